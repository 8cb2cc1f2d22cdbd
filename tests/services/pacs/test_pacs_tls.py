"""Encrypted connections: certificates are checked on both sides, and a token is sent where one is stated."""

from __future__ import annotations

import ipaddress
import select
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orthanc
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pacs_runs import push, radiograph, rules_file, until, working
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import ComputedRadiographyImageStorage

from lowlight import Enhancer
from lowlight.errors import UnavailableError
from lowlight.services.pacs.rules import OrthancRule, load
from lowlight.services.pacs.web import Web


class Files(NamedTuple):
    """Of one side: its certificate, its key, both in one, and the authority that signed it."""

    certificate: Path
    key: Path
    both: Path
    authority: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An authority that nobody else trusts, and what it signed for this machine."""
    folder, now = tmp_path_factory.mktemp("tls"), datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "127.0.0.1")]
    made = []
    for index, (key, name) in enumerate(zip(keys, names, strict=True)):
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(names[0]).public_key(key.public_key())
        builder = builder.serial_number(index + 1).not_valid_before(now - timedelta(days=1))
        builder = builder.not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=index == 0, path_length=None), critical=True)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made.append(builder.add_extension(address, critical=False).sign(keys[0], hashes.SHA256()))
    authority, certificate = (one.public_bytes(Encoding.PEM) for one in made)
    key = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    content = {"certificate": certificate, "key": key, "both": key + certificate, "authority": authority}
    for name, text in content.items():
        (folder / f"{name}.pem").write_bytes(text)
    return Files(*(folder / f"{name}.pem" for name in content))


@contextmanager
def encrypted(port: int, files: Files) -> Iterator[int]:
    """TLS before an archive, as a reverse proxy speaks it; who calls shows a certificate. Debian's Orthanc cannot be
    asked itself: it dies of a signal when the first encrypted request arrives."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files.certificate, files.key)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                while True:
                    ready = [outer] if outer.pending() else select.select([outer, inner], [], [])[0]
                    for one in ready:
                        if not (block := one.recv(65536)):
                            return
                        (inner if one is outer else outer).sendall(block)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_an_archive_is_trusted_by_its_certificate_and_shown_ours(
    tmp_path: Path, files: Files, enhancer: Enhancer
) -> None:
    with orthanc.running(tmp_path) as archive, encrypted(archive.http, files) as port:
        path = rules_file(tmp_path, archive)
        push(archive, [radiograph(1)])

        def access(**stated: str) -> OrthancRule:
            content = yaml.safe_load(path.read_text())
            for part in (*content["sources"], *content["destinations"]):
                part["url"] = part["url"].replace(archive.root, f"https://127.0.0.1:{port}")
                part.update(stated)
            (tmp_path / "encrypted.yaml").write_text(yaml.safe_dump(content))
            rule = load(tmp_path / "encrypted.yaml").sources[0]
            assert isinstance(rule, OrthancRule)
            return rule

        with pytest.raises(UnavailableError, match=r"main \(127.0.0.1\): its certificate is not trusted"):
            Web(access()).json("system")
        with pytest.raises(UnavailableError, match=r"main \(127.0.0.1\)"):
            Web(access(ca_file=str(files.authority))).json("system")
        ours = {"client_certificate": str(files.certificate), "client_key": str(files.key)}
        access(ca_file=str(files.authority), **ours)
        with working(tmp_path / "encrypted.yaml", enhancer) as worker:
            until(lambda: worker.queue.counts()["verified"] == 1)


def test_a_caller_without_a_certificate_is_refused(tmp_path: Path, files: Files, enhancer: Enhancer) -> None:
    port = orthanc.free_port()
    tls = {"certificate": str(files.certificate), "key": str(files.key), "ca_file": str(files.authority)}
    listener = {"kind": "dimse", "name": "listener", "port": port, "callers": "FRIEND", "tls": tls, "silence": "60 s"}
    nobody = orthanc.Orthanc(9, 9, "secret")
    with working(rules_file(tmp_path, nobody, sources=[listener]), enhancer) as worker:
        context = ssl.create_default_context(cafile=files.authority)
        assert send(port, None) is None
        assert send(port, context) is None
        context.load_cert_chain(files.certificate, files.key)
        assert send(port, context) == 0
        until(lambda: sum(worker.queue.counts().values()) == 1)
        # Who connects and says nothing keeps nobody out: the other is let in before he is hung up on.
        with ExitStack() as crowd:
            for _ in range(3):
                crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            begun = time.monotonic()
            assert send(port, context) == 0
            assert time.monotonic() - begun < 4.5
        for _ in range(20):
            with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1"):
                """Agrees on TLS and hangs up."""
        until(lambda: send(port, context) == 0, 4)
        silent = socket.create_connection(("127.0.0.1", port))
        begun = time.monotonic()
    with silent:
        # Nor does one keep the worker from ending.
        assert time.monotonic() - begun < 4.5


def send(port: int, context: ssl.SSLContext | None) -> int | None:
    """Send by C-STORE over TLS; returns the status, None where nobody lets us in."""
    entity = AE("FRIEND")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
    tls: Any = None if context is None else (context, "127.0.0.1")
    association = entity.associate("127.0.0.1", port, ae_title="LOWLIGHT", tls_args=tls)
    if not association.is_established:
        return None
    try:
        return int(association.send_c_store(radiograph(1)).Status)
    finally:
        association.release()


_TOKENS = """
function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  local file = io.open({path!r})
  local token = file:read("*l")
  file:close()
  local shown = headers["authorization"] or ""
  return shown == "Bearer " .. token or string.sub(shown, 1, 5) == "Basic"
end
"""


def test_a_token_is_read_from_its_file_for_each_request(tmp_path: Path, enhancer: Enhancer) -> None:
    wanted, token, script = tmp_path / "wanted", tmp_path / "token", tmp_path / "tokens.lua"
    # Without user and password of its own the archive asks this; the test itself comes in by its password.
    script.write_text(_TOKENS.format(path=str(wanted)))
    wanted.write_text("first-secret\n")
    token.write_text("another-secret\n")
    with orthanc.running(tmp_path, LuaScripts=[str(script)], AuthenticationEnabled=False) as archive:
        path = rules_file(tmp_path, archive)
        content = yaml.safe_load(path.read_text())
        for part in (*content["sources"], *content["destinations"]):
            del part["user"], part["password_file"]
            part["token_file"] = "token"
        path.write_text(yaml.safe_dump(content))
        push(archive, [radiograph(1)])
        with working(path, enhancer) as worker:
            until(lambda: "access is not allowed" in worker.progress.faults.get("main", ""))
            assert "secret" not in str(worker.progress.faults)
            token.write_text("first-secret\n")
            until(lambda: worker.queue.counts()["verified"] == 1)
            for file in (wanted, token):
                file.write_text("second-secret\n")
            push(archive, [radiograph(2)])
            until(lambda: worker.queue.counts()["verified"] == 2)
