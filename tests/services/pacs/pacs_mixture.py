"""All kinds of instances that an archive may hold: grey, colour, multi-frame, refused and hostile ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import orthanc
from dicom_files import changed
from pacs_runs import ROOT, assert_one_result_each, clip, encoded, push_file, radiograph, rules_file, stored

from lowlight import Enhancer
from lowlight.services.pacs.queue import Queue, State
from lowlight.services.pacs.rules import load
from lowlight.services.pacs.worker import Worker

_FINAL = {State.VERIFIED, State.SKIPPED, State.QUARANTINED}


def mixture(count: int, folder: Path) -> Iterator[bytes]:
    """So many files, each an instance of its own."""
    path = folder / "made.dcm"

    def made(name: str, **elements: object) -> Callable[[int], bytes]:
        def make(number: int) -> bytes:
            uids = {"SOPInstanceUID": f"{ROOT}.5.{number}", "SeriesInstanceUID": f"{ROOT}.6.{number}"}
            return changed(path, name, **{**uids, **elements}).read_bytes()

        return make

    kinds: list[Callable[[int], bytes]] = [
        lambda number: encoded(radiograph(1000 + number)),
        lambda number: encoded(clip(number % 10 + 1, 1000 + number // 50)[-1]),
        made("SC_rgb_small_odd.dcm", Modality="ES"),
        made("SC_rgb_rle_2frame.dcm", Modality="US"),
        made("SC_rgb_rle_16bit.dcm", Modality="OP"),
        made("SC_rgb_jpeg_dcmtk.dcm", Modality="ES"),
        # Refused and skipped kinds.
        made("CT_small.dcm"),
        made("MR_small_RLE.dcm"),
        made("reportsi.dcm"),
        made("rtplan.dcm"),
        made("SC_rgb_rle_32bit.dcm", Modality="ES"),
        # Hostile ones, as far as an archive takes them.
        made("MR_small_RLE.dcm", Rows=60000, Columns=60000, Modality="CR", SOPClassUID="1.2.840.10008.5.1.4.1.1.1"),
        made("SC_rgb_jpeg_dcmtk.dcm", Rows=50, Modality="ES"),
        made("SC_rgb_small_odd.dcm", NumberOfFrames=1_000_000, Modality="ES"),
        made("SC_rgb_small_odd.dcm", PhotometricInterpretation="DOE^JOHN", Modality="ES"),
        made("SC_rgb_small_odd.dcm", BitsStored=12, Modality="ES"),
        made("SC_rgb_small_odd.dcm", SeriesInstanceUID="../../etc/evil", Modality="ES"),
    ]
    for number in range(count):
        yield kinds[number % len(kinds)](number)


def put_through(count: int, folder: Path, enhancer: Enhancer) -> str:
    """Push a mixture into an archive and let a worker do it; returns what became of it, in a line.

    Fails if an instance is not in one final state, a result has errors or differs, or there are two of one source.
    """
    with orthanc.running(folder) as archive:
        path = rules_file(folder, archive)
        taken = sum(push_file(archive, content) for content in mixture(count, folder))
        sources = {instance for instance, _ in stored(archive)}
        started = time.monotonic()
        queue = Queue(load(path).folder)
        try:
            while True:
                Worker(load(path), queue, once=True, enhancer=enhancer).run()
                rows = queue.rows(*State)
                if all(row.state in _FINAL for row in rows):
                    break
            seconds = time.monotonic() - started
            # Every instance that has a UID: what has none cannot be asked for, nor have a row.
            assert {row.instance for row in rows} >= sources
            assert_one_result_each(archive, rows, folder)
            assert queue.check() == "ok"
        finally:
            queue.close()
    states = Counter(row.state.value for row in rows if row.instance in sources)
    told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    return f"{count} made, {taken} taken by the archive, {len(sources)} instances: {told}; {seconds:.0f} s"
