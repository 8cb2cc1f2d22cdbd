"""`lowlight simulate`: the same low light every time, in the kind and depth of the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from cli_runs import Ended, fingerprints, grey, load, lowlight, retina, save

from lowlight.cli.options import Modality
from lowlight.cli.simulating import Severity
from lowlight.degradation import MODALITIES, SEVERITIES, replay


def test_the_same_seed_and_name_give_the_same_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(grey(), tmp_path / "in/a.png").parent
    save(grey(), source / "sub/a.png")

    def simulate(out: str, *options: str) -> dict[str, str]:
        assert lowlight(capsys, "simulate", source, "-o", tmp_path / out, *options).code == 0
        return fingerprints(tmp_path / out)

    first = simulate("one", "--seed", "7")
    assert simulate("two", "--seed", "7") == first
    other = simulate("three", "--seed", "8")
    assert all(other[name] != first[name] for name in first)
    assert first["a.png"] != first["sub/a.png"], "a batch holds more than one observation"


def test_severity_decides_how_dark_it_gets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(retina(), tmp_path / "eye.jpg")
    means = []
    for severity in SEVERITIES:
        out = tmp_path / f"{severity}.png"
        assert lowlight(capsys, "simulate", source, "-o", out, "--severity", severity).code == 0
        means.append(load(out).mean())
    assert retina().mean() > means[0] > means[1] > means[2] > 0


def test_each_line_says_what_was_done_and_json_can_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save(retina(), tmp_path / "eye.png")
    told = lowlight(capsys, "simulate", source, "-o", tmp_path / "out", "--modality", "fundus")
    line, summary = told.out.splitlines()
    assert line.startswith(f"{source}: severity medium, ranges ")
    assert "Exposure(gain=0." in line
    assert summary.startswith("1 file darkened, in ")
    entry = parsed(lowlight(capsys, "simulate", source, "-o", tmp_path / "out", "--modality", "fundus", "--json"))
    clean = np.moveaxis(retina(), -1, 0).astype(np.float32) / np.float32(255)
    again = np.moveaxis(replay(clean, entry["parameters"]["record"]), 0, -1)
    np.testing.assert_array_equal(np.rint(again * 255), load(tmp_path / "out/eye.png"))


def test_depth_and_frames_survive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deep = grey().astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "clip.tif", np.stack([deep, deep, deep]), photometric="minisblack")
    assert lowlight(capsys, "simulate", tmp_path / "clip.tif", "-o", tmp_path / "dark.tif").code == 0
    dark = tifffile.imread(tmp_path / "dark.tif")
    assert (dark.dtype, dark.shape) == (np.uint16, (3, 96, 96))
    assert dark.mean() < 0.6 * deep.mean()
    # One exposure for all frames, but noise of its own for each.
    assert np.ptp([frame.mean() for frame in dark]) < 0.05 * dark.mean()
    assert not np.array_equal(dark[0], dark[1])


def test_the_command_line_offers_every_preset() -> None:
    assert [str(modality) for modality in Modality] == list(MODALITIES)
    assert [str(severity) for severity in Severity] == list(SEVERITIES)


def parsed(ended: Ended) -> dict:
    assert (ended.code, ended.err) == (0, "")
    (entry,) = ended.entries
    return entry
