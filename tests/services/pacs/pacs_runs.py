"""Running the PACS worker in tests: rules for a real archive, images for it, and what must be true at the end."""

from __future__ import annotations

import copy
import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import orthanc
import pydicom
import requests
import yaml
from dicom_files import shipped
from dicom_validation import new_kinds_of_error
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, UltrasoundImageStorage

from lowlight import Enhancer
from lowlight.services.pacs.queue import Queue, Row, State
from lowlight.services.pacs.rules import Rules, load
from lowlight.services.pacs.worker import Worker

ROOT = "1.2.826.0.1.3680043.8.498.77"


def rules_file(folder: Path, archive: orthanc.Orthanc, **changed: Any) -> Path:
    """Rules that watch an archive and store into it, written beside their secret."""
    (folder / "password").write_text(archive.password)
    access = {"user": "test", "password_file": "password", "connect": "2 s", "answer": "3 s"}
    source = {"kind": "orthanc", "name": "main", "url": archive.root, "poll": "200 ms", **access}
    destination = {"kind": "stow", "name": "archive", "url": f"{archive.root}/dicom-web", **access}
    content = {
        "folder": "state",
        "sources": [source],
        "destinations": [destination],
        "rules": [{"name": "all", "destination": "archive", "minimum_severity": "weak"}],
        "timing": {"quiet": 0, "retry": "50 ms", "longest_retry": "200 ms", "attempts": 3},
        **changed,
    }
    path = folder / "pacs.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def dicomweb(archive: orthanc.Orthanc, **changed: Any) -> dict[str, Any]:
    """The same archive as a source that is asked by QIDO-RS."""
    access = {"user": "test", "password_file": "password"}
    url = f"{archive.root}/dicom-web"
    return {"kind": "dicomweb", "name": "web", "url": url, "poll": "200 ms", "days": 3650, **access, **changed}


def finished(rules: Rules | Path, enhancer: Enhancer) -> list[Row]:
    """Run a worker until every instance is at its end; returns what became of each."""
    the_rules = load(rules) if isinstance(rules, Path) else rules
    queue = Queue(the_rules.folder)
    try:
        for _ in range(100):
            Worker(the_rules, queue, once=True, enhancer=enhancer).run()
            if not queue.rows(State.SEEN, State.CLAIMED, State.ENHANCED, State.STORED):
                break
        return queue.rows(*State)
    finally:
        queue.close()


@contextmanager
def working(rules: Rules | Path, enhancer: Enhancer) -> Iterator[Worker]:
    """A worker that runs beside this block."""
    the_rules = load(rules) if isinstance(rules, Path) else rules
    queue = Queue(the_rules.folder)
    worker = Worker(the_rules, queue, enhancer=enhancer)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert worker.started.wait(60)
        yield worker
    finally:
        worker.stop()
        thread.join()
        queue.close()


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "took too long"
        time.sleep(0.05)


def by_state(rows: Sequence[Row]) -> dict[str, int]:
    """How many instances ended how."""
    return dict(Counter(row.state.value for row in rows))


def radiograph(number: int, **elements: Any) -> Dataset:
    """A dark radiograph of its own series: a real image, 12 bit."""
    frame = pydicom.dcmread(shipped("examples_overlay.dcm")).pixel_array[::4, ::4] // 6
    frame = np.roll(frame, number, axis=1)
    return _image(frame, f"{ROOT}.1.{number}", f"{ROOT}.2.{number}", ComputedRadiographyImageStorage, "CR", **elements)


def clip(count: int, series: int = 1, **elements: Any) -> list[Dataset]:
    """A dark clip of single frames, each a little darker than the one before."""
    frame = pydicom.dcmread(shipped("examples_overlay.dcm")).pixel_array[::4, ::4]
    made = []
    for number in range(count):
        instance = f"{ROOT}.3.{series}.{number + 1}"
        dataset = _image(
            frame // (4 + number), instance, f"{ROOT}.4.{series}", UltrasoundImageStorage, "US", **elements
        )
        dataset.InstanceNumber, dataset.AcquisitionNumber = number + 1, 1
        made.append(dataset)
    return made


def _image(frame: np.ndarray, instance: str, series: str, sop_class: str, modality: str, **elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.9", series
    dataset.PatientName, dataset.PatientID, dataset.StudyDate = "Quixote^Alonso", "Quixote", "20260101"
    dataset.Modality, dataset.InstanceNumber = modality, 1
    dataset.Rows, dataset.Columns = frame.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = frame.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = sop_class, instance
    dataset.preamble = b"\0" * 128
    return dataset


def push(archive: orthanc.Orthanc, datasets: Sequence[Dataset]) -> None:
    """Put images into an archive."""
    for dataset in datasets:
        push_file(archive, encoded(dataset))


def encoded(dataset: Dataset) -> bytes:
    """A data set as a file's content."""
    stream = io.BytesIO()
    copy.deepcopy(dataset).save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def push_file(archive: orthanc.Orthanc, content: bytes) -> bool:
    """Put a file into an archive, which may refuse it, or hang up in the middle and be asked again."""
    url, headers = f"{archive.root}/instances", {"Connection": "close"}
    for _ in range(5):
        with suppress(requests.ConnectionError):
            return archive.session.post(url, data=content, headers=headers, timeout=60).ok
    raise AssertionError("the archive does not answer")


def stored(archive: orthanc.Orthanc) -> Iterator[tuple[str, bytes]]:
    """SOP Instance UID and file of every instance in an archive."""
    for found in archive.session.get(f"{archive.root}/instances?expand", timeout=60).json():
        content = archive.session.get(f"{archive.root}/instances/{found['ID']}/file", timeout=60).content
        yield found["MainDicomTags"]["SOPInstanceUID"], content


def results(archive: orthanc.Orthanc) -> dict[str, list[Dataset]]:
    """The derived instances in an archive by the SOP Instance UID of their source."""
    found: dict[str, list[Dataset]] = {}
    for _, content in stored(archive):
        dataset = pydicom.dcmread(io.BytesIO(content))
        models = [item.get("ManufacturerModelName") for item in dataset.get("ContributingEquipmentSequence") or []]
        if "LowLightEnhance" in models:
            found.setdefault(dataset.SourceImageSequence[0].ReferencedSOPInstanceUID, []).append(dataset)
    return found


def assert_one_result_each(archive: orthanc.Orthanc, rows: Sequence[Row], folder: Path | None) -> None:
    """Every verified instance has one result in the archive, and no other has any. With a folder for files, no result
    has a new kind of error either."""
    contents, derived = dict(stored(archive)), results(archive)
    verified = {row.instance: row for row in rows if row.state == State.VERIFIED}
    assert derived.keys() == verified.keys()
    for instance, (result, *others) in derived.items():
        assert not others, "nothing is enhanced twice"
        assert result.SOPInstanceUID == verified[instance].result
        if folder is None:
            continue
        source, made = folder / "source.dcm", folder / "made.dcm"
        source.write_bytes(contents[instance])
        made.write_bytes(contents[result.SOPInstanceUID])
        assert new_kinds_of_error(source, made, folder / "inflated.dcm") == set()
