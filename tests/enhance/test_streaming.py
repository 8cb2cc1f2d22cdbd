"""Frames that come one after the other: no flicker, scenes told apart, and what really changes is followed."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from film_files import panned, retina
from numpy.typing import NDArray

from lowlight import Enhancer
from lowlight.degradation import LowLight, Observation, RowNoise, SaltAndPepper, SensorNoise
from lowlight.degradation.base import draw_seed
from lowlight.enhance.enhancer import frames_to_display
from lowlight.enhance.result import FramePrediction
from lowlight.enhance.scenes import SceneDetector
from lowlight.enhance.steadying import LARGEST_CORRECTION, BrightnessSteadier, ToneSmoother
from lowlight.enhance.streaming import KEPT, Frame, survey
from lowlight.errors import InputError
from lowlight.model.tone import tone_curve

Pixels = NDArray[np.uint8]


def noisy(frames: list[Pixels], severity: str = "medium", seed: int = 1) -> list[Pixels]:
    """Frames of a camera with one exposure, and fresh noise in each."""
    random = np.random.RandomState(seed)
    drawn = LowLight(severity=severity).draw(random)
    made = []
    for frame in frames:
        steps = tuple(
            dataclasses.replace(step, seed=draw_seed(random))
            if isinstance(step, (SensorNoise, RowNoise, SaltAndPepper))
            else step
            for step in drawn.steps
        )
        dark = Observation(steps).apply(np.moveaxis(frame, -1, 0).astype(np.float32) / 255)
        made.append(np.rint(np.clip(np.moveaxis(dark, 0, -1), 0, 1) * 255).astype(np.uint8))
    return made


def flicker(frames: list[Pixels]) -> float:
    """Standard deviation of the change of the mean from frame to frame, in grey levels."""
    return float(np.diff([frame.mean() for frame in frames]).std())


def other(count: int) -> list[Pixels]:
    """A scene of another place: the same photograph, upside down and greyer."""
    return [np.ascontiguousarray(frame[::-1, ::-1] // 2 + frame[..., 1:2] // 2) for frame in panned(count)]


def scenes(frames: list[Pixels], rate: float = 25) -> list[int]:
    """The number of each frame's scene."""
    detector = SceneDetector()
    return [detector.feed(frame, (0, 255), number / rate) for number, frame in enumerate(frames)]


@pytest.mark.parametrize(("severity", "width", "height"), [("medium", 160, 120), ("heavy", 640, 480)])
def test_an_enhanced_film_flickers_as_little_as_the_clean_one(
    enhancer: Enhancer, severity: str, width: int, height: int
) -> None:
    clean = panned(15, width, height, light=1)
    dark = noisy(clean, severity)
    alone = flicker([enhancer(frame, force=True).image for frame in dark[:5]])
    streamed = flicker([result.image for result in enhancer.stream(dark)])
    assert streamed <= 1.1 * flicker(clean) + 0.1
    assert alone > 2 * streamed


def test_the_mean_of_two_tones_lies_between_them(enhancer: Enhancer) -> None:
    frames = np.stack([retina(), retina()[::-1] // 6])
    tones = enhancer.engine.decide_tones(frames_to_display(frames, (0, 255), frames=True))
    mean = tones.mean(0)
    assert np.abs(tones[0] - tones[1]).max() > 0.3, "two different tones"
    assert (mean >= tones.min(0) - 1e-6).all()
    assert (mean <= tones.max(0) + 1e-6).all()
    # Of the curve, too, at every pixel: gain and gamma trade against each other, so a little beyond the two may be met.
    levels = np.linspace(0.01, 1, 50, dtype=np.float32)[:, None, None]
    first, second, between = (tone_curve(levels, *tone) for tone in (*tones, mean))
    low, high = np.minimum(first, second), np.maximum(first, second)
    assert np.maximum(low - between, between - high).max() < 0.02
    assert (np.diff(between, axis=0) > 0).all(), "brighter stays brighter"


def test_both_engines_stream_alike(enhancer: Enhancer) -> None:
    dark = noisy(panned(5, light=1))
    torch = Enhancer(device="cpu", engine="torch")
    for one, same, batched in zip(enhancer.stream(dark), torch.stream(dark), torch.stream(dark, batch=3), strict=True):
        assert np.abs(one.image.astype(int) - same.image).max() <= 1
        assert np.abs(one.image.astype(int) - batched.image).max() <= 1


@pytest.mark.parametrize("rate", [12.5, 25, 60])
def test_a_change_of_the_light_is_followed_within_about_a_second(rate: float) -> None:
    smoother, step = ToneSmoother(), np.ones((1, 2, 2, 2), np.float32)
    for number in range(int(4 * rate)):
        smoother.feed(0 * step, 0, number / rate)
    followed = [smoother.feed(step, 0, 4 + number / rate).max() for number in range(int(2 * rate))]
    assert followed[int(rate * 0.1)] < 0.3, "not at once: that would let noise through"
    assert followed[int(rate)] > 0.9
    assert max(followed) <= 1, "without overshooting"
    assert np.diff(followed).min() >= 0


def test_frames_that_come_at_uneven_times_count_by_their_times() -> None:
    tone, even, uneven = np.ones((1, 2, 2, 2), np.float32), ToneSmoother(), ToneSmoother()
    for smoother in (even, uneven):
        smoother.feed(0 * tone, 0, 0.0)
    for number in range(1, 101):
        slow = even.feed(tone, 0, number / 100)
    fast = uneven.feed(tone, 0, 1.0)
    assert slow.max() > 0.9
    assert 0.5 < fast.max() < 0.999, "one frame after a second nearly stands for itself"


def test_a_lamp_that_goes_dimmer_is_followed(enhancer: Enhancer) -> None:
    bright, dim = [panned(1, light=0.35)[0]] * 20, [panned(1, light=0.31)[0]] * 30
    results = list(enhancer.stream([*bright, *dim]))
    assert {result.facts["scene"] for result in results} == {0}
    gains = [float(result.gain.mean()) for result in results]
    alone = float(enhancer(dim[0], force=True).gain.mean())
    assert gains[19] < gains[-1]
    assert (gains[45] - gains[19]) / (alone - gains[19]) > 0.8, "26 frames after, a second later"


def test_a_cut_begins_anew(enhancer: Enhancer) -> None:
    film = [*noisy(panned(8, light=1)), *noisy(other(8), "light")]
    assert scenes(film) == [0] * 8 + [1] * 8
    results = list(enhancer.stream(film))
    assert [result.facts["scene"] for result in results] == [0] * 8 + [1] * 8
    alone = enhancer(film[8], force=True)
    assert np.abs(results[8].image.astype(int) - alone.image).max() <= 1, "as if it were the first"


def test_a_flash_ends_no_scene() -> None:
    film = panned(20)
    film[9] = np.full_like(film[9], 255)
    film[15] = np.zeros_like(film[15])
    numbers = scenes(film)
    assert numbers[9] != 0
    assert numbers[15] not in (0, numbers[9])
    assert [number for place, number in enumerate(numbers) if place not in (9, 15)] == [0] * 18


def test_noise_and_movement_that_goes_on_are_no_cuts() -> None:
    assert scenes(noisy(panned(30, 160, 120, light=1), "heavy"))[-1] == 0
    wide = retina(400, 64)
    fast = [np.ascontiguousarray(np.roll(wide, 12 * number, axis=1)[:, :96]) // 4 for number in range(30)]
    for film in (fast, noisy([frame * 4 for frame in fast], "heavy")):
        assert scenes(film)[-1] <= 3, "only a jerk that begins at once may be taken for cuts"
        assert len(set(scenes(film)[8:])) == 1


def test_frames_of_another_size_are_another_scene(enhancer: Enhancer) -> None:
    film = [*panned(2), *panned(2, 80, 48)]
    assert [result.image.shape for result in enhancer.stream(film)] == [frame.shape for frame in film]
    assert scenes(film) == [0, 0, 1, 1]


def test_flicker_of_the_lamp_is_taken_out_and_a_change_is_let_through() -> None:
    flat = np.zeros((64, 96), np.float32)
    steadier, shown, changes = BrightnessSteadier(), [], []
    for number in range(60):
        light = 0.4 * (1 + (0.01 if number % 2 else -0.01) + (0.4 if number >= 40 else 0))
        display = np.full((1, 64, 96), light, np.float32)
        prediction = FramePrediction(display * 0, flat, flat, flat)
        steady = steadier.feed(display, prediction, 1.0, 0, number / 25)
        changes.append(float(np.abs(steady.log_gain).max()))
        shown.append(float(tone_curve(display, steady.log_gain, steady.log_gamma).mean()))
    assert np.abs(np.diff(shown[10:40])).max() < 0.2 * 0.4 * 0.02, "a fifth of what it was"
    assert max(changes) <= LARGEST_CORRECTION + 1e-6
    assert shown[41] / shown[39] > 1.25, "what changes by more is not held up"


def test_a_scene_is_judged_as_a_whole(enhancer: Enhancer) -> None:
    good, dark = panned(15, 160, 120, light=0.9), [frame[::-1] for frame in panned(10, 160, 120, light=0.15)]
    found = survey([*good, *dark])
    assert (found.frames, found.shots) == (25, [(0, 0), (15, 1)])
    assert found.leaves(0)
    assert not found.leaves(1)
    assert not found.undamaged
    results = list(enhancer.stream([*good, *dark], survey=found))
    assert [result.undamaged for result in results] == [True] * 15 + [False] * 10
    for result, frame in zip(results, good, strict=False):
        np.testing.assert_array_equal(result.image, frame)
    assert survey(good).undamaged
    assert not survey(good, judging=False).undamaged


def test_one_damaged_frame_among_those_looked_at_has_all_of_its_scene_enhanced() -> None:
    film = panned(40, 160, 120, light=0.9)
    # Darker by and by: no cut, and the end is damaged.
    film = [(frame * (1 - 0.85 * number / 39)).astype(np.uint8) for number, frame in enumerate(film)]
    found = survey(film)
    assert found.shots == [(0, 0)]
    assert not found.leaves(0)


def test_no_more_is_held_than_the_frame_at_hand(enhancer: Enhancer) -> None:
    seen: list[weakref.ref[Pixels]] = []
    most = 0

    def film() -> Iterator[Pixels]:
        nonlocal most
        for number in range(40):
            frame = panned(1, light=0.2 + number * 1e-4)[0]
            seen.append(weakref.ref(frame))
            yield frame
            del frame
            most = max(most, sum(one() is not None for one in seen))

    for result in enhancer.stream(film()):
        del result
    assert most <= 3
    seen.clear()
    most = 0
    assert survey(film()).frames == 40
    assert most <= KEPT + 3, "a few to be judged, however long the film is"


def test_luma_of_limited_range_and_colour_go_together(enhancer: Enhancer) -> None:
    colour = [np.repeat(frame[..., 1:2], 3, axis=2) for frame in panned(2)]
    grey = np.rint(16 + colour[1][..., 1] * (219 / 255)).astype(np.uint8)
    film = [Frame(colour[0], 0.0), Frame(grey, 0.04, (16, 235)), Frame(colour[1], 0.08)]
    results = list(enhancer.stream(film))
    assert [result.image.shape for result in results] == [(64, 96, 3), (64, 96), (64, 96, 3)]
    assert {result.facts["scene"] for result in results} == {0}


def test_what_is_no_frame_is_refused(enhancer: Enhancer) -> None:
    with pytest.raises(InputError, match="its shape is"):
        list(enhancer.stream([np.zeros((4, 5, 4), np.uint8)]))
    with pytest.raises(ValueError, match="brightness must lie in"):
        enhancer.stream([], brightness=2)
    with pytest.raises(ValueError, match="batch and rate must be positive"):
        enhancer.stream([], batch=0)
    assert list(enhancer.stream([])) == []
