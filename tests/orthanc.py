"""A real Orthanc on loopback: an archive that takes what it is sent, over STOW-RS and C-STORE."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.presentation import build_context
from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as NobodyThereError
from urllib3.util import Retry

PLUGINS = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


class Orthanc:
    """An archive that runs.

    Attributes:
        web: its DICOMweb.
        http, dicom: its ports. password: of the user "test".
        server: its process.
    """

    server: subprocess.Popen[bytes]

    def __init__(self, http: int, dicom: int, password: str) -> None:
        self.http, self.dicom, self.password = http, dicom, password
        self._dicom, session = dicom, Session()
        session.auth = ("test", password)
        # It hangs up on a kept connection now and then; what only reads may be asked again.
        session.mount("http://", HTTPAdapter(max_retries=Retry(total=3, backoff_factor=0.1, allowed_methods=("GET",))))
        self.root, self.session = f"http://127.0.0.1:{http}", session
        self.web = DICOMwebClient(f"{self.root}/dicom-web", session=session)

    def c_store(self, dataset: Dataset) -> int:
        """Send a data set by DIMSE; returns the status, 0 for success."""
        entity = AE("TEST")
        entity.requested_contexts = [build_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)]
        association = entity.associate("127.0.0.1", self._dicom, ae_title="ORTHANC")
        assert association.is_established
        try:
            return int(association.send_c_store(dataset).Status)
        finally:
            association.release()

    def fetch(self, dataset: Dataset) -> Dataset:
        """The instance as the archive has it."""
        return self.web.retrieve_instance(
            dataset.StudyInstanceUID,
            dataset.SeriesInstanceUID,
            dataset.SOPInstanceUID,
            media_types=(("application/dicom", "*"),),
        )

    def forget(self) -> None:
        """Delete everything."""
        for study in self.session.get(f"{self.root}/studies", timeout=20).json():
            self.session.delete(f"{self.root}/studies/{study}", timeout=20)
        self.session.delete(f"{self.root}/changes", timeout=20)

    def count(self) -> int:
        """How many instances it has."""
        return int(self.session.get(f"{self.root}/statistics", timeout=20).json()["CountInstances"])


@contextmanager
def running(folder: Path, before: Orthanc | None = None, **changed: Any) -> Iterator[Orthanc]:
    """Start an archive that nobody but this machine may use, and end it with the block.

    Args:
        folder: for what it stores.
        before: one that ran there, whose ports and password are used again.
        changed: settings.
    """
    if before is None:
        http, dicom, password = free_port(), free_port(), secrets.token_hex(16)
    else:
        http, dicom, password = before.http, before.dicom, before.password
    settings: dict[str, Any] = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"test": password},
        "DicomModalities": {"test": ["TEST", "127.0.0.1", 11112]},
        "DicomCheckCalledAet": True,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowStore": False,
        "Plugins": [PLUGINS],
        "DicomWeb": {"Enable": True},
        **changed,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        server = subprocess.Popen(["Orthanc", folder / "orthanc.json"], stdout=log, stderr=log)
        try:
            archive = Orthanc(http, dicom, password)
            archive.server = server
            _wait(archive, server, folder / "orthanc.log")
            yield archive
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait(archive: Orthanc, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            if archive.session.get(f"{archive.root}/system", timeout=5).ok:
                return
        except NobodyThereError:
            time.sleep(0.05)
    raise AssertionError(f"Orthanc does not answer: {log.read_text()[-2000:]}")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
