"""The worker between a real archive and itself: what is dark gets one derived instance, and nothing gets two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orthanc
import pytest
from dicom_files import shipped
from pacs_runs import (
    assert_one_result_each,
    by_state,
    clip,
    dicomweb,
    finished,
    push,
    push_file,
    radiograph,
    results,
    rules_file,
)

from lowlight import Enhancer


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orthanc.Orthanc]:
    with orthanc.running(tmp_path_factory.mktemp("orthanc")) as archive:
        yield archive


@pytest.fixture
def archive(running: orthanc.Orthanc) -> orthanc.Orthanc:
    running.forget()
    return running


def test_dark_images_get_one_derived_instance_each_that_reads_back_equal(
    archive: orthanc.Orthanc, tmp_path: Path, enhancer: Enhancer
) -> None:
    push(archive, [radiograph(1), radiograph(2), *clip(3)])
    push_file(archive, shipped("CT_small.dcm").read_bytes())
    rows = finished(rules_file(tmp_path, archive), enhancer)
    # The results have been met as well, and left alone.
    assert by_state(rows) == {"verified": 5, "skipped": 1}
    assert_one_result_each(archive, rows, tmp_path)
    rows = finished(tmp_path / "pacs.yaml", enhancer)
    assert by_state(rows) == {"verified": 5, "skipped": 6}
    assert len(results(archive)) == 5
