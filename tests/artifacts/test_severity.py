"""Limits come from one file, rate monotonically, and the verdict needs both evidence and the absence of damage."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.quantifying import LABELS
from lowlight.artifacts.severity import (
    LEVELS,
    THRESHOLDS_FILE,
    Scale,
    features,
    needs_nothing,
    rate,
    thresholds,
)

GOOD = {
    "p99": 0.95,
    "mean": 0.5,
    "used_range": 0.9,
    "unevenness": 0.3,
    "noise_sigma": 0.001,
    "impulse_ratio": 0.0,
    "blur_width": 0.3,
}


def numbers(**values: float | None) -> dict[str, Measurement]:
    """The numbers of a good image with some replaced; None: not measurable. Those not named are not measurable."""
    given_ = {**dict.fromkeys(LABELS), **GOOD, "jpeg_quality": 95.0, "blockiness": 0.0, **values}
    return {
        name: Measurement.missing("", "too small") if value is None else Measurement(value, "")
        for name, value in given_.items()
    }


def verdict(**values: float | None) -> bool:
    return needs_nothing(numbers(**values))


def test_the_file_says_how_when_and_on_what_it_was_fitted() -> None:
    fitted = yaml.safe_load(THRESHOLDS_FILE.read_text(encoding="utf-8"))["fitted"]
    assert set(fitted) >= {"date", "command", "images", "balanced_accuracy"}
    assert min(fitted["images"].values()) >= 70


def test_every_artifact_has_three_ordered_limits_on_a_number_of_the_report() -> None:
    scales = thresholds().scales
    assert set(scales) == {"noise", "impulses", "blur", "jpeg", "exposure"}
    for scale in scales.values():
        assert scale.measurement in LABELS
        assert list(scale.limits) in (sorted(scale.limits), sorted(scale.limits, reverse=True))
        assert len(set(scale.limits)) == 3


def test_the_softness_of_good_scenes_is_no_blur() -> None:
    reached = yaml.safe_load(THRESHOLDS_FILE.read_text(encoding="utf-8"))["fitted"]
    blur = reached["rated_weak_moderate_strong_or_worse"]["blur"]
    assert blur["clean"][0] <= 0.055
    assert blur["clean"][1:] == [0, 0]
    assert blur["heavy"] == pytest.approx([0.5, 0.25, 0.05], abs=0.03)
    assert thresholds().scales["blur"].limits == pytest.approx((1.0, 1.32, 1.76), abs=0.05)


def test_the_file_says_the_rule_of_each_artifact() -> None:
    head = [line for line in THRESHOLDS_FILE.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for name in thresholds().scales:
        assert any(line.startswith(f"#   {name} ") for line in head), name
    assert any("logistic regression" in line for line in head)


def test_more_damage_is_never_rated_lower() -> None:
    rising, falling = Scale("blur_width", (1.0, 2.0, 3.0)), Scale("jpeg_quality", (90.0, 70.0, 50.0))
    assert [rising.rate(numbers(blur_width=value)) for value in (0.5, 1, 2.5, 9)] == list(LEVELS)
    assert [falling.rate(numbers(jpeg_quality=value)) for value in (95, 90, 60, 1)] == list(LEVELS)


@given(st.sampled_from(sorted(thresholds().scales)), st.floats(0, 100), st.floats(0, 100))
def test_ratings_are_monotone(artifact: str, first: float, second: float) -> None:
    scale = thresholds().scales[artifact]
    falling = scale.limits[0] > scale.limits[-1]
    better, worse = sorted((first, second), reverse=falling)
    levels = [LEVELS.index(scale.rate(numbers(**{scale.measurement: value}))) for value in (better, worse)]
    assert levels == sorted(levels)


def test_a_missing_number_is_unknown_unless_its_absence_was_seen() -> None:
    assert rate(numbers(blur_width=None))["blur"] == "unknown"
    assert rate(numbers(jpeg_quality=None, blockiness=0.01))["jpeg"] == "none"
    assert rate(numbers(jpeg_quality=None, blockiness=None))["jpeg"] == "unknown"


def test_a_well_exposed_clean_image_needs_nothing() -> None:
    assert verdict()
    assert verdict(blur_width=None, jpeg_quality=None)


@pytest.mark.parametrize(
    "damage",
    [
        {"p99": 0.3, "mean": 0.1},
        {"noise_sigma": 0.08},
        {"impulse_ratio": 0.01},
        {"blur_width": 4.0},
        {"jpeg_quality": 20.0},
    ],
)
def test_each_strong_damage_alone_is_enough_to_need_something(damage: dict[str, float]) -> None:
    assert not verdict(**damage)


def test_a_flat_image_is_not_judged_undamaged() -> None:
    assert not verdict(used_range=0.02)
    assert not verdict(used_range=None)


@pytest.mark.parametrize("name", ["p99", "mean", "noise_sigma", "unevenness"])
def test_without_evidence_nothing_is_judged_undamaged(name: str) -> None:
    assert features(numbers(**{name: None})) is None
    assert not verdict(**{name: None})


def test_darker_noisier_and_more_uneven_never_speaks_for_an_image() -> None:
    weights = thresholds().verdict.weights
    assert weights["log_p99"] > 0
    assert weights["log_mean"] > 0
    assert weights["log_noise"] < 0
    assert weights["unevenness"] < 0
