"""Where results go: stored, and asked back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom import AE, Association, build_role, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelGet,
)

from lowlight.errors import OutputError, RejectedError, UnavailableError
from lowlight.imaging import atomic_path
from lowlight.services.pacs.dimse import committed, tls_client
from lowlight.services.pacs.queue import Queue
from lowlight.services.pacs.rules import CStoreRule, StowRule
from lowlight.services.pacs.web import Web, uid_path

_SUCCESS = 0x0000
_WARNINGS = (0xB000, 0xB006, 0xB007)
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_DUPLICATE = 0x0111


class Destination(Protocol):
    """An archive that takes results. Storing one twice leaves it there once."""

    @property
    def name(self) -> str:
        """As in the rules."""

    def store(self, file: Path) -> None:
        """Store a DICOM file.

        Raises:
            UnavailableError: the archive cannot be asked now.
            RejectedError: it does not take this object.
        """

    def fetch(self, about: Dataset, target: Path) -> bool:
        """Write what the archive has under the UIDs of a data set as a file; False if it has nothing.

        Raises:
            UnavailableError: the archive cannot be asked now.
        """

    def commit(self, about: Dataset, queue: Queue) -> str | None:
        """Whether the archive has committed itself to keep an object: "" if so, why not, or None for not yet.

        Raises:
            UnavailableError: the archive cannot be asked now.
            RejectedError: it knows no storage commitment.
        """


class StowDestination:
    """STOW-RS and WADO-RS (PS3.18 10.5, 10.4).

    Args:
        rule: where it is.
    """

    def __init__(self, rule: StowRule) -> None:
        self.name, self._web = rule.name, Web(rule)

    def store(self, file: Path) -> None:
        """See `Destination`."""
        status, answer = self._web.store("studies", file)
        failed = _sequence(answer, "00081198")
        if failed or status == 409:
            reasons = {_first(item, "00081197") for item in failed}
            codes = ", ".join(sorted(f"{reason:04X}" for reason in reasons if isinstance(reason, int)))
            raise RejectedError(f"{self.name} refuses it" + (f" (failure reason {codes})" if codes else ""))
        if not _sequence(answer, "00081199"):
            raise RejectedError(f"{self.name} answers without saying that it has stored it")

    def fetch(self, about: Dataset, target: Path) -> bool:
        """See `Destination`."""
        path = uid_path(
            studies=str(about.StudyInstanceUID),
            series=str(about.SeriesInstanceUID),
            instances=str(about.SOPInstanceUID),
        )
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        try:
            with atomic_path(target) as temporary, temporary.open("r+b") as stream:
                self._web.download(path, stream, accept)
        except RejectedError:
            return False
        return True

    def commit(self, about: Dataset, queue: Queue) -> str | None:
        """See `Destination`: read-back has to do here."""
        return ""


class CStoreDestination:
    """C-STORE, C-GET and storage commitment (PS3.4 B, C, J).

    Args:
        rule: where it is.
    """

    def __init__(self, rule: CStoreRule) -> None:
        self.name, self._rule = rule.name, rule

    def store(self, file: Path) -> None:
        """See `Destination`."""
        about = pydicom.dcmread(file, stop_before_pixels=True)
        entity = self._entity()
        entity.add_requested_context(about.SOPClassUID, about.file_meta.TransferSyntaxUID)
        with self._associated(entity) as association:
            try:
                status = association.send_c_store(file)
            except ValueError:
                raise RejectedError(f"{self.name} does not take objects of this SOP class and encoding") from None
            code = _status(status, self.name)
        if code in _OUT_OF_RESOURCES:
            raise UnavailableError(f"{self.name} is out of resources (status {code:04X})")
        if code not in (_SUCCESS, _DUPLICATE, *_WARNINGS):
            raise RejectedError(f"{self.name} refuses it (status {code:04X})")

    def fetch(self, about: Dataset, target: Path) -> bool:
        """See `Destination`."""
        wanted = str(about.SOPInstanceUID)
        written: list[Path] = []

        def take(event: evt.Event) -> int:
            if str(event.request.AffectedSOPInstanceUID) != wanted:
                return 0xC001
            try:
                with atomic_path(target) as temporary:
                    shutil.copyfile(event.dataset_path, temporary)
            except OutputError:
                return 0xA700
            written.append(target)
            return _SUCCESS

        entity = self._entity()
        entity.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
        entity.add_requested_context(about.SOPClassUID, about.file_meta.TransferSyntaxUID)
        role = build_role(about.SOPClassUID, scp_role=True)
        identifier = Dataset()
        identifier.QueryRetrieveLevel = "IMAGE"
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(identifier, keyword, str(about[keyword].value))
        with self._associated(entity, [role], [(evt.EVT_C_STORE, take)]) as association:
            try:
                answers = list(association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet))
            except ValueError:
                raise UnavailableError(f"{self.name} does not offer C-GET to us, which reads results back") from None
            code = _status(answers[-1][0] if answers else None, self.name)
        if code in _OUT_OF_RESOURCES or (code != _SUCCESS and code not in _WARNINGS and not written):
            raise UnavailableError(f"{self.name} does not give back what it has (status {code:04X})")
        return bool(written)

    def commit(self, about: Dataset, queue: Queue) -> str | None:
        """See `Destination`."""
        if not self._rule.commitment:
            return ""
        result = str(about.SOPInstanceUID)
        asked = queue.commitment(result)
        if asked is not None and asked[1] is not None:
            queue.forget_commitments(result)
            return asked[1]
        if asked is not None and time.time() - asked[0] < self._rule.commitment_patience:
            return None
        request = Dataset()
        request.TransactionUID = generate_uid(prefix=None)
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = about.SOPClassUID, UID(result)
        request.ReferencedSOPSequence = [item]
        # Before it is asked: the answer may be there before the call returns.
        queue.ask_commitment(str(request.TransactionUID), result)

        def answered(event: evt.Event) -> tuple[int, None]:
            return committed(event, queue), None

        entity = self._entity()
        entity.add_requested_context(StorageCommitmentPushModel)
        with self._associated(entity, handlers=[(evt.EVT_N_EVENT_REPORT, answered)]) as association:
            try:
                status, _ = association.send_n_action(
                    request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
                )
            except ValueError:
                raise RejectedError(f"{self.name} offers no storage commitment; state commitment: false") from None
            code = _status(status, self.name)
        if code != _SUCCESS:
            queue.forget_commitments(result)
            raise UnavailableError(f"{self.name} takes no request for storage commitment (status {code:04X})")
        return None

    def _entity(self) -> AE:
        entity = AE(self._rule.calling)
        entity.connection_timeout = self._rule.connect
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self._rule.answer
        return entity

    @contextmanager
    def _associated(self, entity: AE, roles: Any = None, handlers: Any = None) -> Iterator[Association]:
        tls = None if self._rule.tls is None else (tls_client(self._rule.tls), self._rule.host)
        try:
            association = entity.associate(
                self._rule.host,
                self._rule.port,
                ae_title=self._rule.title,
                ext_neg=roles,
                evt_handlers=handlers,
                tls_args=tls,
            )
        except OSError as error:
            raise UnavailableError(f"{self.name} cannot be reached ({error.strerror}): is its host right?") from None
        if not association.is_established:
            refused = association.is_rejected
            offered = association.acceptor.primitive is not None and not refused
            if offered:
                raise RejectedError(f"{self.name} accepts nothing of what is asked for")
            how = (
                "refuses the association: do its settings know our title and address?" if refused else "does not answer"
            )
            raise UnavailableError(f"{self.name} {how}")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def _status(answer: Any, name: str) -> int:
    if not answer or "Status" not in answer:
        raise UnavailableError(f"{name} does not answer in time")
    return int(answer.Status)


def _sequence(answer: Any, tag: str) -> list[Any]:
    element = answer.get(tag) if isinstance(answer, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []


def _first(item: Any, tag: str) -> Any:
    values = _sequence(item, tag)
    return values[0] if values else None
