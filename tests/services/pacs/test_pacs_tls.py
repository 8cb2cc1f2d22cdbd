"""Encrypted connections: certificates are checked on both sides, and a token is sent where one is stated."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
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


def test_an_archive_is_trusted_by_its_certificate_alone(tmp_path: Path, files: Files, enhancer: Enhancer) -> None:
    settings = {"SslEnabled": True, "SslCertificate": str(files.both)}
    with orthanc.running(tmp_path, authority=files.authority, **settings) as archive:
        path = rules_file(tmp_path, archive)
        content = yaml.safe_load(path.read_text())
        for part in (*content["sources"], *content["destinations"]):
            part["ca_file"] = str(files.authority)
        push(archive, [radiograph(1)])
        rule = load(path).sources[0]
        assert isinstance(rule, OrthancRule)
        with pytest.raises(UnavailableError, match=r"main \(127.0.0.1\): its certificate is not trusted"):
            Web(rule).json("system")
        path.write_text(yaml.safe_dump(content))
        with working(path, enhancer) as worker:
            until(lambda: worker.queue.counts()["verified"] == 1)


def test_a_caller_without_a_certificate_is_refused(tmp_path: Path, files: Files, enhancer: Enhancer) -> None:
    port = orthanc.free_port()
    tls = {"certificate": str(files.certificate), "key": str(files.key), "ca_file": str(files.authority)}
    listener = {"kind": "dimse", "name": "listener", "port": port, "callers": "FRIEND", "tls": tls, "silence": "2 s"}
    nobody = orthanc.Orthanc(9, 9, "secret")
    with working(rules_file(tmp_path, nobody, sources=[listener]), enhancer) as worker:
        context = ssl.create_default_context(cafile=files.authority)
        assert send(port, None) is None
        assert send(port, context) is None
        context.load_cert_chain(files.certificate, files.key)
        assert send(port, context) == 0
        until(lambda: sum(worker.queue.counts().values()) == 1)


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


def test_a_token_is_read_from_its_file_for_each_request(tmp_path: Path) -> None:
    met: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            met.append(self.headers["Authorization"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    token = tmp_path / "token"
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        web = Web(OrthancRule(kind="orthanc", name="main", url=url, token_file=str(token)))
        for secret in ("first", "second"):
            token.write_text(f"{secret}\n")
            assert web.json("studies") == []
        web.close()
        server.shutdown()
        thread.join()
    assert met == ["Bearer first", "Bearer second"]
