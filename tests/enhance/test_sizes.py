"""The sizes of the network: "fast" is another network with weights of its own, "best" eight looks at each frame."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from published_bundle import copied
from skimage import data

from lowlight import Enhancer
from lowlight.bundle import file_sha256
from lowlight.enhance.definition import Definition
from lowlight.enhance.onnx_engine import OnnxEngine
from lowlight.enhance.result import FramePrediction
from lowlight.enhance.tiling import Tiling
from lowlight.enhance.views import ManyViews
from lowlight.enhance.watching import Watch
from lowlight.errors import BundleError, InputError, StoppedError

PARTS = ("residual", "log_error", "log_gain", "log_gamma")


@pytest.fixture(scope="module")
def best() -> Enhancer:
    return Enhancer(device="cpu", size="best")


@pytest.fixture(scope="module")
def fast() -> dict[str, Enhancer]:
    return {engine: Enhancer(device="cpu", engine=engine, size="fast") for engine in ("onnx", "torch")}


def dark(image: NDArray[Any]) -> NDArray[np.float32]:
    """The same with a quarter of the light and some noise, float32 in [0, 1]."""
    noise = np.random.default_rng(0).normal(0, 0.01, image.shape)
    return np.clip(0.25 * (image / 255) ** 1.3 + noise, 0, 1).astype(np.float32)


def frames_of(image: NDArray[Any], count: int = 1) -> NDArray[np.float32]:
    """Display-space frames (count, 3, H, W) of one scene in different light."""
    scene = np.moveaxis(dark(image), -1, 0)
    return np.stack([scene * np.float32(1 - 0.3 * number) for number in range(count)])


def differences(first: FramePrediction, second: FramePrediction) -> dict[str, float]:
    return {name: float(np.abs(getattr(first, name) - getattr(second, name)).max()) for name in PARTS}


def turned(array: NDArray[Any], transposed: bool, upside_down: bool, mirrored: bool) -> NDArray[Any]:
    """One of the eight ways, told otherwise than by quarters: rows and columns swapped, or not, then flipped."""
    seen = array.swapaxes(-1, -2) if transposed else array
    return np.ascontiguousarray(seen[..., :: -1 if upside_down else 1, :: -1 if mirrored else 1])


def turned_back(array: NDArray[Any], transposed: bool, upside_down: bool, mirrored: bool) -> NDArray[Any]:
    upright = array[..., :: -1 if upside_down else 1, :: -1 if mirrored else 1]
    return upright.swapaxes(-1, -2) if transposed else upright


EIGHT = [(swap, down, mirror) for swap in (False, True) for down in (False, True) for mirror in (False, True)]


@pytest.mark.parametrize("image", [data.coffee()[::3, ::3], data.camera()[::3, ::3], data.retina()[500:537, 600:651]])
def test_fast_is_the_same_in_both_engines(fast: dict[str, Enhancer], image: NDArray[Any]) -> None:
    found, expected = (fast[name](dark(image), force=True) for name in ("onnx", "torch"))
    assert np.abs(expected.residual).max() > 0.005, "a network that changes nothing proves nothing"
    assert np.abs(found.image - expected.image).max() <= 1e-4
    assert max(differences(found.predictions[0], expected.predictions[0]).values()) <= 1e-4


def test_fast_is_a_smaller_network_with_weights_of_its_own(
    fast: dict[str, Enhancer], enhancer: Enhancer, bundle: Path
) -> None:
    sizes: list[int] = [
        sum(
            parameter.numel()
            for parameter in Definition.of(bundle, size).made("network_def")["network_def"].parameters()
        )
        for size in ("fast", "default")
    ]
    assert sizes[0] < sizes[1]
    for own in fast.values():
        assert own.model.weights_sha256 == file_sha256(bundle / "models" / "fast.pt") != enhancer.model.weights_sha256


def test_results_say_what_made_them(fast: dict[str, Enhancer], best: Enhancer, enhancer: Enhancer) -> None:
    image = np.full((8, 8), 20, np.uint8)
    image[2:5] = 30
    for size, own in (("fast", fast["onnx"]), ("best", best), ("default", enhancer)):
        result = own(image, force=True)
        assert result.report["size"] == own.model.size == size
        assert result.report["weights_sha256"] == own.model.weights_sha256
        assert (f"size {size}" in result.derivation) == (size != "default")
        assert own.model.weights_sha256[:16] in result.derivation
    assert best.model.weights_sha256 == enhancer.model.weights_sha256


def test_a_size_that_is_not_there_is_refused_with_those_that_are(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match='no size "huge"; it has fast, default, best'):
        Enhancer(bundle, size="huge")
    older = copied(bundle, tmp_path / "older")
    config = older / "configs/inference.yaml"
    before, _, rest = config.read_text(encoding="utf-8").partition("sizes:")
    config.write_text(before + rest[rest.index("\npreprocessing:") :], encoding="utf-8")
    assert Enhancer(older, device="cpu")(np.full((8, 8), 20, np.uint8), force=True).report["size"] == "default"
    for size in ("fast", "best"):
        with pytest.raises(BundleError, match=f'no size "{size}"; it has default'):
            Enhancer(older, size=size)


@pytest.mark.parametrize("line", ["{views: 3}", "{weights: ../model}", "{tile: 64}", "[64]", "{network_def: 8}"])
def test_a_damaged_table_is_told_in_a_line(bundle: Path, tmp_path: Path, line: str) -> None:
    (tmp_path / "configs").mkdir()
    text = (bundle / "configs/inference.yaml").read_text(encoding="utf-8")
    (tmp_path / "configs/inference.yaml").write_text(text.replace("default: {}", f"odd: {line}"), encoding="utf-8")
    with pytest.raises(BundleError, match=r"inference\.yaml: cannot be read") as caught:
        Definition.of(tmp_path, "odd")
    assert "\n" not in str(caught.value)


def test_a_definition_that_is_computed_has_its_sizes_too(bundle: Path, tmp_path: Path) -> None:
    copy = copied(bundle, tmp_path / "computed")
    config = copy / "configs/inference.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("  in_channels: 3\n", "  in_channels: $1 + 2\n"), encoding="utf-8")
    with pytest.raises(BundleError, match="not plain enough"):
        Enhancer(copy, size="fast", engine="onnx")
    opened = Enhancer(copy, size="fast", device="cpu")
    assert (opened.engine.name, opened.model.size) == ("torch", "fast")
    assert opened.model.weights_sha256 == file_sha256(copy / "models" / "fast.pt")
    assert Enhancer(copy, size="best", device="cpu").model.weights_sha256 == file_sha256(copy / "models" / "model.pt")


@pytest.mark.parametrize(
    ("change", "fault"),
    [("the graph of model.pt", "fast.onnx: was exported from other"), ("no graph", "fast.onnx: missing")],
)
def test_a_graph_that_is_not_of_its_weights_is_refused_and_torch_steps_in(
    bundle: Path, tmp_path: Path, change: str, fault: str
) -> None:
    copy = copied(bundle, tmp_path / "copy")
    (copy / "models/fast.onnx").unlink()
    if change == "the graph of model.pt":
        shutil.copy(copy / "models/model.onnx", copy / "models/fast.onnx")
    with pytest.raises(BundleError, match=fault):
        Enhancer(copy, size="fast", engine="onnx")
    assert Enhancer(copy, size="fast", device="cpu").engine.name == "torch"
    assert Enhancer(copy, device="cpu").engine.name == "onnx"


def test_weights_that_are_not_those_of_the_metadata_are_refused(bundle: Path, tmp_path: Path) -> None:
    copy = copied(bundle, tmp_path / "copy")
    metadata = copy / "configs/metadata.json"
    stated = {**json.loads(metadata.read_text(encoding="utf-8")), "fast_weights_sha256": "0" * 64}
    metadata.write_text(json.dumps(stated), encoding="utf-8")
    with pytest.raises(BundleError, match=r"fast\.pt: does not belong to this bundle"):
        Enhancer(copy, size="fast", device="cpu")
    shutil.copy(copy / "models/model.pt", copy / "models/fast.pt")
    del stated["fast_weights_sha256"]
    metadata.write_text(json.dumps(stated), encoding="utf-8")
    with pytest.raises(BundleError):
        Enhancer(copy, size="fast", device="cpu")


@pytest.mark.parametrize("engine", ["onnx", "torch"])
@pytest.mark.parametrize("colour", [True, False])
def test_best_is_the_mean_of_eight_looks_under_the_tone_of_the_upright_one(engine: str, colour: bool) -> None:
    once = Enhancer(device="cpu", engine=engine).engine
    display = frames_of(data.retina()[400:461, 500:583])[:, : 3 if colour else 1]
    tone = once.decide_tone(display)
    looks = [once.predict(turned(display, *way), tone=turned(tone, *way))[0] for way in EIGHT]
    residuals = [turned_back(look.residual, *way) for look, way in zip(looks, EIGHT, strict=True)]
    errors = [turned_back(np.exp(look.log_error), *way) for look, way in zip(looks, EIGHT, strict=True)]
    (found,) = Enhancer(device="cpu", engine=engine, size="best").engine.predict(display)
    assert np.std(residuals, axis=0).max() > 0.002, "looks that agree prove nothing"
    np.testing.assert_allclose(found.residual, np.mean(residuals, axis=0), atol=1e-5)
    np.testing.assert_allclose(np.exp(found.log_error), np.sqrt(np.mean(np.square(errors), axis=0)), rtol=1e-4)
    assert differences(found, looks[0])["log_gain"] <= 1e-5
    assert differences(found, looks[0])["log_gamma"] <= 1e-5


def test_best_of_a_symmetric_frame_is_symmetric_and_of_a_grey_one_grey(best: Enhancer, enhancer: Enhancer) -> None:
    display = frames_of(data.coffee()[100:160, 200:260])
    symmetric = np.mean([turned(display, *way) for way in EIGHT], axis=0, dtype=np.float32)
    tone = best.decide_tone(np.moveaxis(symmetric[0], 0, -1))
    tone = np.mean([turned(tone, *way) for way in EIGHT], axis=0, dtype=np.float32)

    def asymmetry(of: Enhancer) -> float:
        residual = of.engine.predict(symmetric, tone=tone)[0].residual
        return max(float(np.abs(turned(residual, *way) - residual).max()) for way in EIGHT)

    assert asymmetry(best) <= 1e-5 < 1e-3 < asymmetry(enhancer)
    grey = np.repeat(dark(data.camera()[100:140, 100:140])[..., None], 3, axis=2)
    assert np.ptp(best(grey, force=True).image, axis=-1).max() == 0


def test_tiles_of_eight_looks_agree_with_the_whole_frame_and_add_up_to_it(enhancer: Enhancer) -> None:
    engine = enhancer.engine
    assert isinstance(engine, OnnxEngine)
    display = frames_of(data.retina()[400:470, 400:740])
    tiled = ManyViews(OnnxEngine(engine.session, Tiling(tile=64, halo=128), engine.stride))
    heard: list[tuple[int, int]] = []
    (found,) = tiled.predict(display, Watch.of_progress(lambda done, total: heard.append((done, total))))
    (whole,) = ManyViews(engine).predict(display)
    assert max(differences(found, whole).values()) <= 1e-4
    # Six tiles side by side, or one above the other, eight times; the short side fits into one with its halo.
    assert heard == [(step, 48) for step in range(1, 49)]


def test_frames_that_belong_together_get_one_tone_and_given_tones_are_kept(best: Enhancer, enhancer: Enhancer) -> None:
    frames = frames_of(data.retina()[400:440, 500:550], 3)
    heard: list[tuple[str, int, int]] = []
    found = best.engine.predict(frames, Watch(lambda *part: heard.append(part)))
    expected = enhancer.engine.predict(frames)
    for prediction, other in zip(found, expected, strict=True):
        assert np.array_equal(prediction.log_gain, found[0].log_gain)
        np.testing.assert_allclose(prediction.log_gain, other.log_gain, atol=1e-5)
        assert np.abs(prediction.residual - other.residual).max() > 1e-4
    assert [part for part in heard if part[0] == "tone"] == [("tone", done, 3) for done in range(3)]
    assert [part for part in heard if part[0] == "enhancing"] == [("enhancing", done, 24) for done in range(1, 25)]

    own = best.engine.decide_tones(frames)
    each = best.engine.predict(frames, tone=own)
    for frame, tone, prediction in zip(frames, own, each, strict=True):
        (alone,) = best.engine.predict(frame[None], tone=tone[None])
        assert max(differences(prediction, alone).values()) == 0
    film = [np.moveaxis(frame, 0, -1) for frame in frames]
    assert [result.facts["size"] for result in best.stream(film)] == ["best"] * 3


def test_it_can_be_stopped_between_two_looks_and_within_one(best: Enhancer) -> None:
    heard: list[int] = []

    def hear(phase: str, done: int, total: int) -> None:
        if phase == "enhancing":
            heard.append(done)
            if done == 3:
                between.stop()

    between = Watch(hear)
    with pytest.raises(StoppedError):
        best.engine.predict(frames_of(data.retina()[400:420, 500:520]), between)
    assert heard == [1, 2, 3]

    within, begun, ended = Watch(), threading.Event(), threading.Event()

    class Endless:
        """An engine whose look never ends by itself: no frame that a test can wait for takes long enough."""

        name, device = "onnx", "cpu"

        def beside(self, held: int) -> Endless:
            return self

        def predict(self, display: NDArray[Any], watch: Watch, tone: NDArray[Any]) -> list[FramePrediction]:
            with watch.ended_by(ended.set):
                begun.set()
                assert ended.wait(60), "nobody stopped it"
                raise RuntimeError("terminated")

    def stop() -> None:
        begun.wait(60)
        within.stop()

    threading.Thread(target=stop).start()
    with pytest.raises(StoppedError):
        ManyViews(Endless()).predict(np.zeros((1, 3, 8, 8), np.float32), within, np.zeros((1, 2, 8, 8), np.float32))  # type: ignore[arg-type]


def test_what_eight_looks_hold_counts_where_memory_is_bounded() -> None:
    image = np.full((6000, 6000), 20, np.uint8)
    once, eight = (Enhancer(max_memory=1_700_000_000, size=size) for size in ("default", "best"))
    shape = (1, 1, *image.shape)
    once.engine.check_size(shape)
    with pytest.raises(InputError, match=r"it needs 2\.\d GB of memory; allow at least that instead of 17\d\d MB"):
        eight.engine.check_size(shape)
    small = dark(data.camera()[:100, :100])
    unbounded = Enhancer(device="cpu", engine="onnx", size="best")
    assert np.abs(eight(small, force=True).image - unbounded(small, force=True).image).max() <= 1e-4
