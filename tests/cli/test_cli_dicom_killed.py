"""kill -9 in the middle of a batch: what is there is whole, and a second run completes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cli_runs import fingerprints, names
from dicom_killing import FILES, assert_whole, batch, completed, killed_after


def test_a_killed_batch_leaves_whole_files_and_a_second_run_completes_it(tmp_path: Path) -> None:
    source, out = batch(tmp_path / "in"), tmp_path / "out"
    killed_after(source, out, results=int(np.random.default_rng().integers(1, FILES - 1)))
    assert_whole(out)
    before = {name: digest for name, digest in fingerprints(out).items() if "/." not in name}
    completed(source, out)
    assert len(names(out)) == FILES, "no duplicate, and nothing temporary"
    assert fingerprints(out).items() >= before.items(), "the same again"
    assert_whole(out)
