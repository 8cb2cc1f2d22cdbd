"""A run can be followed and ended, is the same when it is followed, and does with little memory."""

import threading

import numpy as np
import pytest

from lowlight import Enhancer
from lowlight.enhance.tiling import Tiling
from lowlight.enhance.watching import Watch
from lowlight.errors import StoppedError


@pytest.fixture(scope="module", params=["onnx", "torch"])
def either(request: pytest.FixtureRequest) -> Enhancer:
    return Enhancer(device="cpu", engine=request.param)


@pytest.fixture(scope="module")
def dark(radiograph_like: np.ndarray) -> np.ndarray:
    return radiograph_like // 5


def test_phases_come_in_their_order_and_change_nothing(either: Enhancer, dark: np.ndarray) -> None:
    heard: list[tuple[str, int, int]] = []
    watch = Watch(lambda phase, done, total: heard.append((phase, done, total)))
    stack = np.stack([dark, dark // 2])
    followed = either(stack, frames=True, watch=watch)
    assert np.array_equal(followed.image, either(stack, frames=True).image)
    assert heard == [
        ("judging", 0, 2),
        ("tone", 0, 2),
        ("tone", 1, 2),
        ("enhancing", 1, 2),
        ("enhancing", 2, 2),
    ]


def test_a_run_ends_between_layers_when_it_is_told_to(either: Enhancer, dark: np.ndarray) -> None:
    large = np.kron(dark, np.ones((8, 8), np.uint8))
    ends: list[BaseException] = []
    finished = threading.Event()
    watch = Watch()

    def act() -> None:
        try:
            either(large, force=True, watch=watch)
        except BaseException as error:
            ends.append(error)
        finished.set()

    threading.Timer(0.15, watch.stop).start()
    threading.Thread(target=act).start()
    assert finished.wait(60)
    assert [type(error) for error in ends] == [StoppedError]
    assert either(dark, force=True).image.shape == dark.shape, "the engine is of no use any more"


def test_what_is_stopped_before_it_starts_does_not_run(either: Enhancer, dark: np.ndarray) -> None:
    watch = Watch()
    watch.stop()
    with pytest.raises(StoppedError):
        either(dark, force=True, watch=watch)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_with_little_memory_it_works_in_small_tiles(engine: str, dark: np.ndarray) -> None:
    image = np.kron(dark, np.ones((5, 5), np.uint8))
    heard: list[tuple[int, int]] = []
    frugal = Enhancer(device="cpu", engine=engine, frugal=True)
    found = frugal(image, force=True, progress=lambda done, total: heard.append((done, total)))
    parts = len(Tiling().frugal.parts(*image.shape[:2]))
    assert parts > 4
    assert heard[-1] == (parts, parts)
    assert np.abs(found.image.astype(int) - Enhancer(device="cpu", engine=engine)(image, force=True).image).max() <= 1


def test_a_frame_alone_is_what_it_is_among_others(enhancer: Enhancer, dark: np.ndarray) -> None:
    stack = np.stack([dark, dark // 2])
    result = enhancer(stack, frames=True)
    for kept in (result, result.slimmed()):
        alone = kept.frame(1)
        assert np.array_equal(alone.image, result.image[1])
        assert np.array_equal(alone.blend(0.4, 0.2), result.blend(0.4, 0.2)[1])
        assert np.array_equal(alone.gain, result.gain[1])
        assert np.array_equal(alone.residual, result.residual[1])


def test_a_kept_result_takes_less_memory_and_blends_the_same_in_any_order(enhancer: Enhancer, dark: np.ndarray) -> None:
    result = enhancer(dark)
    slim = result.slimmed()
    for strengths in ((0.4, 0.2), (0.4, 0.2), (0.7, 0.2), (0.7, 1), (1, 0.5), (0, 0.5), (0.7, 0), (0.4, 0.2), (0, 0)):
        assert np.array_equal(slim.blend(*strengths), result.blend(*strengths)), strengths
    assert np.array_equal(slim.residual, result.residual)
    assert slim.predictions[0].residual.base is None, "it holds on to the network's whole output"
    assert slim.predictions[0].residual.shape == (1, *dark.shape)
