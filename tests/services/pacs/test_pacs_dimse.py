"""DIMSE with a real archive: it forwards instances to the listener, takes results, and gives them back."""

from __future__ import annotations

from pathlib import Path

import orthanc
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


def test_forwarded_instances_come_back_as_results_that_the_archive_keeps_or_commits_itself_to(
    tmp_path: Path, enhancer: Enhancer
) -> None:
    port = orthanc.free_port()
    listener = {"kind": "dimse", "name": "listener", "port": port, "callers": ["ORTHANC"]}
    with orthanc.running(tmp_path, **settings(tmp_path, port)) as archive:
        access = {"kind": "cstore", "host": "127.0.0.1", "port": archive.dicom, "title": "ORTHANC"}
        destinations = [{**access, "name": "kept"}, {**access, "name": "committed", "commitment": True}]
        rules = [{"name": name, "stations": name, "destination": name} for name in ("kept", "committed")]
        path = rules_file(tmp_path, archive, sources=[listener], destinations=destinations, rules=rules)
        with working(path, enhancer) as worker:
            push(archive, [radiograph(1, StationName="KEPT"), radiograph(2, StationName="COMMITTED")])
            # The results are forwarded, too, and known for what they are.
            until(lambda: worker.queue.counts()["verified"] == 2 and worker.queue.counts()["skipped"] == 2)
            rows = worker.queue.rows(*State)
        assert_one_result_each(archive, rows, tmp_path)
