"""An image that comes later gets the tone of those that it belongs to, and not one of its own."""

from __future__ import annotations

import numpy as np
import pytest

from lowlight import Enhancer
from lowlight.errors import InputError

ENGINES = ["onnx", "torch"]


@pytest.fixture(scope="module", params=ENGINES)
def either(request: pytest.FixtureRequest) -> Enhancer:
    return Enhancer(device="cpu", engine=request.param)


@pytest.fixture(scope="module")
def clip(radiograph_like: np.ndarray) -> np.ndarray:
    """One scene in four lights, of which the last is the darkest: float32 (4, 128, 128) in [0, 1]."""
    light = np.array([0.3, 0.25, 0.28, 0.05], np.float32)[:, None, None]
    return light * (radiograph_like.astype(np.float32) / 255) ** 1.4


def enhanced(engine: Enhancer, image: np.ndarray, frames: bool = False, tone: np.ndarray | None = None) -> np.ndarray:
    return engine(image, value_range=(0, 1), frames=frames, force=True, tone=tone).image


def test_frames_enhanced_apart_with_the_tone_of_all_are_those_enhanced_together(
    either: Enhancer, clip: np.ndarray
) -> None:
    tone = either.decide_tone(clip, (0, 1), frames=True)
    together = enhanced(either, clip, frames=True)
    apart = np.stack([enhanced(either, frame, tone=tone) for frame in clip])
    np.testing.assert_allclose(apart, together, atol=1e-6)


def test_a_late_frame_does_not_get_the_tone_that_it_would_get_alone(either: Enhancer, clip: np.ndarray) -> None:
    tone = either.decide_tone(clip[:3], (0, 1), frames=True)
    joined, alone = enhanced(either, clip[3], tone=tone), enhanced(either, clip[3])
    # It stays as much darker as it was when it was taken.
    assert joined.mean() < 0.8 * alone.mean()
    assert np.abs(enhanced(either, clip[3], tone=either.decide_tone(clip[3], (0, 1))) - alone).max() < 1e-6


def test_both_engines_join_alike(clip: np.ndarray) -> None:
    found = []
    for name in ENGINES:
        engine = Enhancer(device="cpu", engine=name)
        found.append(enhanced(engine, clip[3], tone=engine.decide_tone(clip[:3], (0, 1), frames=True)))
    assert np.abs(found[0] - found[1]).max() < 1e-4


def test_a_tone_of_another_engine_or_a_damaged_one_is_refused(either: Enhancer, clip: np.ndarray) -> None:
    tone = either.decide_tone(clip[0], (0, 1))
    other = Enhancer(device="cpu", engine=next(name for name in ENGINES if name != either.engine.name))
    for wrong in (other.decide_tone(clip[0], (0, 1)), tone[..., :3], np.full_like(tone, np.nan), tone.astype(int)):
        with pytest.raises(InputError, match="was decided by another engine, for images of another size, or is dam"):
            either(clip[0], value_range=(0, 1), tone=wrong)
