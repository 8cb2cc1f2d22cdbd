"""Whatever an archive holds, each instance comes to one end."""

from __future__ import annotations

from pathlib import Path

from pacs_mixture import put_through

from lowlight import Enhancer


def test_each_of_a_mixture_comes_to_one_end(tmp_path: Path, enhancer: Enhancer) -> None:
    told = put_through(34, tmp_path, enhancer)
    for state in ("verified", "skipped", "quarantined"):
        assert f" {state}" in told
