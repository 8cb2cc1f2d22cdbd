"""DIMSE with a real archive: it forwards instances to the listener, takes results, and gives them back."""

from __future__ import annotations

from pathlib import Path

import orthanc
import pytest
from pacs_runs import assert_one_result_each, push, radiograph, rules_file, until, working

from lowlight import Enhancer
from lowlight.services.pacs.queue import State

FORWARDING = """
function OnStoredInstance(id, tags, metadata, origin)
  SendToModality(id, "lowlight")
end
"""


def settings(folder: Path, port: int) -> dict:
    """Of an archive that forwards all that it gets to the listener, and answers to it."""
    script = folder / "forward.lua"
    script.write_text(FORWARDING)
    ours = {"AET": "LOWLIGHT", "Host": "127.0.0.1", "Port": port, "AllowGet": True, "AllowStorageCommitment": True}
    return {"LuaScripts": [str(script)], "DicomModalities": {"lowlight": ours}}


@pytest.mark.parametrize("commitment", [False, True])
def test_forwarded_instances_come_back_as_results_that_the_archive_keeps(
    commitment: bool, tmp_path: Path, enhancer: Enhancer
) -> None:
    port = orthanc.free_port()
    listener = {"kind": "dimse", "name": "listener", "port": port, "callers": ["ORTHANC"]}
    with orthanc.running(tmp_path, **settings(tmp_path, port)) as archive:
        destination = {
            "kind": "cstore",
            "name": "archive",
            "host": "127.0.0.1",
            "port": archive.dicom,
            "title": "ORTHANC",
            "commitment": commitment,
        }
        path = rules_file(tmp_path, archive, sources=[listener], destinations=[destination])
        with working(path, enhancer) as worker:
            push(archive, [radiograph(1), radiograph(2)])
            # The results are forwarded, too, and known for what they are.
            until(lambda: worker.queue.counts()["verified"] == 2 and worker.queue.counts()["skipped"] == 2)
            rows = worker.queue.rows(*State)
        assert_one_result_each(archive, rows, tmp_path)
