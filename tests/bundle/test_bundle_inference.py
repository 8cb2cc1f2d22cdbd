"""inference.yaml: a folder of images in, the same kinds of files out, by the one inference path there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from bundle_runs import monai_bundle, run

from lowlight import Enhancer
from lowlight.imaging import collect, read, write


def test_a_folder_comes_out_as_the_enhancer_would_enhance_it(images: Path, tmp_path: Path) -> None:
    # The workflow runs in torch; another engine may differ in the last bit.
    enhancer = Enhancer(device="cpu", engine="torch")
    inputs, outputs = tmp_path / "in", tmp_path / "out"
    shutil.copytree(images, inputs)
    (inputs / "notes.txt").write_text("not an image", encoding="utf-8")
    (inputs / "broken.png").write_text("nor is this", encoding="utf-8")
    command = monai_bundle(None, "--config_file", "configs/inference.yaml")
    output = run([*command, "--dataset_dir", inputs, "--output_dir", outputs], tmp_path / "log.txt").succeeded()
    assert "Refused:" in output
    assert "broken.png: is named .png but holds text" in output
    assert "8 of 8 files done." in output
    found = {path.relative_to(outputs).as_posix() for path in outputs.rglob("*") if path.is_file()}
    expected = {path.relative.as_posix() for path in collect([images])}
    assert found == expected - {"train/natural/coffee.jpg"} | {"train/natural/coffee.png"}
    left_alone = set()
    for name in sorted(expected):
        source = read(images / name)
        result = enhancer(source.pixels, modality=source.modality, value_range=source.value_range, frames=source.frames)
        written = read(outputs / name.replace(".jpg", ".png"))
        # DICOM stores display values in its own bits: what is compared is what the Enhancer's image becomes in a file.
        own = write(source, result.image, tmp_path / "own" / name.replace(".jpg", ".png"))
        assert written.kind == ("png" if source.kind == "jpeg" else source.kind)
        np.testing.assert_array_equal(written.pixels, read(own).pixels, err_msg=name)
        if source.pixels.dtype.kind in "iu":
            np.testing.assert_array_equal(written.pixels, result.image, err_msg=name)
        assert np.array_equal(written.pixels, source.pixels) == result.undamaged, name
        left_alone |= {name} if result.undamaged else set()
    assert 0 < len(left_alone) < len(expected), left_alone
