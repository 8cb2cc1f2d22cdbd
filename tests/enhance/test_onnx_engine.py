"""ONNX Runtime gives what torch gives, is chosen where it fits, and needs neither torch nor MONAI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from published_bundle import Published, copied, plausible_weights
from pydicom.data import get_testdata_file
from skimage import data

from lowlight import Enhancer
from lowlight.enhance.onnx_engine import OnnxEngine, open_session
from lowlight.enhance.result import FramePrediction, Result
from lowlight.enhance.tiling import Tiling
from lowlight.enhance.watching import Watch
from lowlight.errors import BundleError
from lowlight.imaging import read, write_png
from lowlight.model.network import DualPathNet

MODEL_FILE = Path("models/model.onnx")

LARGEST_DIFFERENCE = 1e-4
"""Between the engines, of the displayed range."""

SIZES = [(1, 1), (1, 2), (3, 3), (7, 5), (37, 50), (8, 8), (24, 16), (400, 9), (5, 700)]


@pytest.fixture(scope="module")
def onnx(own_bundle: Published) -> Enhancer:
    return Enhancer(own_bundle.folder, engine="onnx")


@pytest.fixture(scope="module")
def in_torch(own_bundle: Published) -> Enhancer:
    return Enhancer(own_bundle.folder, device="cpu", engine="torch")


def dark(image: np.ndarray) -> np.ndarray:
    """The same with a quarter of the light and some noise, float32 in [0, 1]."""
    noise = np.random.default_rng(0).normal(0, 0.01, image.shape)
    return np.clip(0.25 * (image / 255) ** 1.3 + noise, 0, 1).astype(np.float32)


def difference(first: Result, second: Result) -> float:
    """The largest difference of anything that the two say, in display space or its logarithms."""
    found = [np.abs(first.image - second.image).max()]
    for one, other in zip(first.predictions, second.predictions, strict=True):
        for name in ("residual", "log_error", "log_gain", "log_gamma"):
            found.append(np.abs(getattr(one, name) - getattr(other, name)).max())
    return float(np.max(found))


def frames_of(image: np.ndarray, count: int) -> np.ndarray:
    """Display-space frames (count, 3, H, W) of one scene in different light; the last one is grey."""
    scene = np.moveaxis(dark(image), -1, 0)
    frames = np.stack([scene * (1 - 0.3 * index) for index in range(count)])
    frames[-1] = frames[-1, :1]
    return np.ascontiguousarray(frames, np.float32)


def greatest(first: list[FramePrediction], second: list[FramePrediction]) -> float:
    pairs = zip(first, second, strict=True)
    return max(float(np.abs(one.residual - other.residual).max()) for one, other in pairs)


@pytest.mark.parametrize("name", ["retina", "camera", "coins", "coffee"])
def test_real_images_come_out_the_same(onnx: Enhancer, in_torch: Enhancer, name: str) -> None:
    image = dark(getattr(data, name)()[::2, ::2])
    found, expected = onnx(image, force=True), in_torch(image, force=True)
    assert np.abs(expected.residual).max() > 0.02, "weights that change nothing prove nothing"
    assert np.abs(expected.image - image).max() > 0.1
    assert difference(found, expected) <= LARGEST_DIFFERENCE
    assert np.abs(found.blend(0.6, 0.3) - expected.blend(0.6, 0.3)).max() <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_odd_sizes_come_out_the_same(onnx: Enhancer, in_torch: Enhancer, size: tuple[int, int]) -> None:
    image = dark(data.retina()[400 : 400 + size[0], 500 : 500 + size[1]])
    assert image.shape[:2] == size
    assert difference(onnx(image, force=True), in_torch(image, force=True)) <= LARGEST_DIFFERENCE


def test_the_file_alone_takes_a_batch_as_the_network_does(own_bundle: Published) -> None:
    network = DualPathNet().eval()
    network.load_state_dict(torch.load(own_bundle.weights, weights_only=True))
    frames = frames_of(data.retina()[500:551, 600:683], 3)
    with torch.inference_mode():
        expected = network(torch.from_numpy(frames)).numpy()
    session = open_session(own_bundle.folder / MODEL_FILE)
    (found,) = session.run(["pred"], {"image": frames})
    assert np.abs(found - expected).max() <= LARGEST_DIFFERENCE
    grey = frames[:, :1]
    with torch.inference_mode():
        expected = network(torch.from_numpy(grey)).numpy()
    (found,) = session.run(["pred"], {"image": grey})
    assert found.shape == (3, 5, 51, 83)
    assert np.abs(found - expected).max() <= LARGEST_DIFFERENCE


def test_the_tone_is_decided_without_running_the_denoise_path(own_bundle: Published) -> None:
    session = open_session(own_bundle.folder / MODEL_FILE)
    image = frames_of(data.retina()[500:551, 600:683], 1)
    wanted = ["pred", "decided_maps"]
    pred, maps = session.run(wanted, {"image": image, "tone_only": np.array(True)})
    assert pred.size == 0
    assert np.array_equal(maps, session.run(wanted, {"image": image})[1])


def test_a_clip_has_one_tone_and_its_grey_frames_stay_grey(onnx: Enhancer, in_torch: Enhancer) -> None:
    frames = frames_of(data.retina()[400:480, 500:590], 3)
    found, expected = (engine.engine.predict(frames) for engine in (onnx, in_torch))
    assert greatest(found, expected) <= LARGEST_DIFFERENCE
    for prediction, other in zip(found, expected, strict=True):
        assert np.array_equal(prediction.log_gain, found[0].log_gain)
        assert np.abs(prediction.log_gain - other.log_gain).max() <= LARGEST_DIFFERENCE
    assert np.ptp(found[-1].residual, axis=0).max() == 0
    assert np.ptp(found[0].residual, axis=0).max() > 0.001


@pytest.mark.parametrize("count", [1, 2])
def test_tiles_agree_with_the_whole_frame(onnx: Enhancer, in_torch: Enhancer, count: int) -> None:
    frames = frames_of(data.retina()[300:480, 400:740], count)
    engine = onnx.engine
    assert isinstance(engine, OnnxEngine)
    tiled = OnnxEngine(engine.session, Tiling(tile=64, halo=96), engine.stride)
    heard: list[tuple[int, int]] = []
    found = tiled.predict(frames, Watch.of_progress(lambda done, total: heard.append((done, total))))
    assert greatest(found, in_torch.engine.predict(frames)) <= LARGEST_DIFFERENCE
    # Six tiles side by side (the height fits into one with its halo), or two frames.
    steps = 6 if count == 1 else 2
    assert heard == [(step, steps) for step in range(1, steps + 1)]


def test_tiles_that_do_not_fit_the_stride_are_refused(onnx: Enhancer) -> None:
    engine = onnx.engine
    assert isinstance(engine, OnnxEngine)
    with pytest.raises(ValueError, match="stride 8"):
        OnnxEngine(engine.session, Tiling(tile=60, halo=96), engine.stride).predict(
            np.zeros((1, 3, 8, 400), np.float32)
        )


def test_it_is_chosen_on_a_processor_and_said_in_the_report(own_bundle: Published, in_torch: Enhancer) -> None:
    chosen = Enhancer(own_bundle.folder, device="cpu")
    image = np.full((8, 8), 20, np.uint8)
    report = chosen(image).report
    assert (report["engine"], report["device"]) == ("onnx", "cpu")
    assert report["weights_sha256"] == in_torch(image).report["weights_sha256"]
    assert in_torch(image).report["engine"] == "torch"


def changed(own_bundle: Published, folder: Path, change: str) -> Path:
    """A copy of the bundle whose model.onnx no longer fits."""
    copy = copied(own_bundle.folder, folder / "changed")
    if change == "other weights":
        plausible_weights(copy / "models/model.pt", seed=1)
        metadata = copy / "configs/metadata.json"
        content = json.loads(metadata.read_text(encoding="utf-8"))
        del content["weights_sha256"]
        metadata.write_text(json.dumps(content), encoding="utf-8")
    elif change == "another network":
        config = copy / "configs/inference.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(
            text.replace("  in_channels: 3\n", "  in_channels: 3\n  residual_bound: 0.5\n"), encoding="utf-8"
        )
    elif change == "damaged":
        content = (copy / MODEL_FILE).read_bytes()
        (copy / MODEL_FILE).write_bytes(content[: len(content) // 2])
    elif change == "computed":
        config = copy / "configs/inference.yaml"
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("  in_channels: 3\n", "  in_channels: $1 + 2\n"), encoding="utf-8")
    else:
        (copy / MODEL_FILE).unlink()
    return copy


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("other weights", "other weights"),
        ("another network", "other weights"),
        ("damaged", "damaged"),
        ("missing", "missing"),
        ("computed", "not plain enough"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name_and_torch_steps_in(
    own_bundle: Published, tmp_path: Path, change: str, fault: str
) -> None:
    copy = changed(own_bundle, tmp_path, change)
    with pytest.raises(BundleError, match=fault) as caught:
        Enhancer(copy, engine="onnx")
    assert "\n" not in str(caught.value)
    instead = Enhancer(copy, device="cpu")
    assert instead.engine.name == "torch"
    assert instead(np.full((8, 8), 20, np.uint8), force=True).image.shape == (8, 8)


def test_an_unknown_engine_and_a_device_that_it_has_not_are_refused(own_bundle: Published) -> None:
    with pytest.raises(ValueError, match="auto, onnx, torch"):
        Enhancer(own_bundle.folder, engine="tensorflow")
    with pytest.raises(BundleError, match='not on "cuda"'):
        Enhancer(own_bundle.folder, engine="onnx", device="cuda")


def test_it_uses_as_many_threads_as_torch_would(own_bundle: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    options = open_session(own_bundle.folder / MODEL_FILE).get_session_options()
    assert options.intra_op_num_threads == 3


WITHOUT_EXTRAS = """
import sys

EXTRAS = {"torch", "monai", "ignite", "nibabel", "SimpleITK", "fire", "onnx", "onnxscript", "tensorboard", "mlflow",
          "matplotlib", "psutil", "tqdm", "pandas"}

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from lowlight.cli.app import run
sys.exit(run(sys.argv[1:]))
"""
"""The command line in a process that has what the core install has, and nothing else."""


def without_extras(bundle: Path, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_EXTRAS, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(bundle)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_command_line_enhances_without_torch_and_monai(
    own_bundle: Published, onnx: Enhancer, tmp_path: Path
) -> None:
    picture = np.rint(255 * dark(data.retina()[::5, ::5])).astype(np.uint8)
    write_png(picture, tmp_path / "in/eye.png")
    shutil.copy(str(get_testdata_file("CT_small.dcm")), tmp_path / "in/ct.dcm")
    arguments = [
        "enhance",
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--json",
        "--force",
        "--any-modality",
        "--report",
        tmp_path / "page.html",
    ]
    ended = without_extras(own_bundle.folder, tmp_path, *arguments)
    assert ended.returncode == 0, ended.stderr
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {line["parameters"]["engine"] for line in lines[:-1]} == {"onnx"}
    assert np.array_equal(read(tmp_path / "out/eye.png").pixels, onnx(picture, force=True).image)
    (derived,) = (tmp_path / "out").rglob("*.dcm")
    assert read(derived).pixels.shape == (128, 128)
    assert "<html" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_without_torch_a_missing_file_is_named_in_one_line(own_bundle: Published, tmp_path: Path) -> None:
    copy = changed(own_bundle, tmp_path, "missing")
    write_png(np.full((8, 8), 20, np.uint8), tmp_path / "grey.png")
    ended = without_extras(copy, tmp_path, "enhance", tmp_path / "grey.png", "-o", tmp_path / "out")
    assert ended.returncode == 1
    assert "model.onnx: missing; write it with configs/export.yaml" in ended.stderr
    assert "Traceback" not in ended.stderr
    ended = without_extras(
        own_bundle.folder, tmp_path, "enhance", tmp_path / "grey.png", "-o", tmp_path / "out", "--device", "cuda"
    )
    assert ended.returncode == 1
    assert "needs the package torch" in ended.stderr
