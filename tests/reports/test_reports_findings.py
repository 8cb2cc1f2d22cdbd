"""Numbers in words: what a report says of each artifact."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.quantifying import quantify
from lowlight.artifacts.severity import LEVELS, thresholds
from lowlight.reports import FACTORS, findings, reassurance, verdict
from lowlight.reports.findings import _LEADS, DAMAGE


@cache
def photograph() -> dict[str, Any]:
    """The report of a real photograph."""
    from skimage import data

    return quantify(data.retina()[::4, ::4], (0, 255)).as_dict()


def report(**changes: Any) -> dict[str, Any]:
    """The same with some entries changed."""
    return {**photograph(), **changes}


def test_every_rated_artifact_is_told_by_the_number_it_is_rated_by() -> None:
    rated = {name: scale.measurement for name, scale in thresholds().scales.items()}
    assert rated == {factor.key: _LEADS[factor.key].name for factor in FACTORS}
    assert set(rated) == set(DAMAGE)


@pytest.mark.parametrize("artifact", [factor.key for factor in FACTORS])
def test_the_needle_stands_in_the_field_of_the_severity(artifact: str) -> None:
    scale = thresholds().scales[artifact]
    spread = max(scale.limits) - min(scale.limits)
    for value in np.linspace(0, max(scale.limits) + spread, 60):
        severity = scale.rate({scale.measurement: Measurement(float(value), "")})
        numbers = report(**{scale.measurement: float(value), "severities": {artifact: severity}})
        (found,) = (one for one in findings(numbers) if one.key == artifact)
        assert found.position is not None
        field = LEVELS.index(severity)
        assert field / 4 - 1e-9 <= found.position <= (field + 1) / 4 + 1e-9, (value, severity, found.position)


def test_a_number_that_is_missing_has_its_reason() -> None:
    reasons = {"blur_width": "no edge is sharp enough"}
    numbers = report(blur_width=None, not_measurable=reasons, severities={"blur": "unknown"})
    (blur,) = (one for one in findings(numbers) if one.key == "blur")
    assert (blur.value, blur.short, blur.position) == ("", "", None)
    assert blur.told == "not measurable: no edge is sharp enough"


def test_no_trace_of_compression_is_no_damage() -> None:
    numbers = report(jpeg_quality=None, not_measurable={"jpeg_quality": "no trace of a compression"})
    numbers["severities"] = {**numbers["severities"], "jpeg": "none"}
    (jpeg,) = (one for one in findings(numbers) if one.key == "jpeg")
    assert jpeg.told == "no trace of a compression"


def test_details_say_where_a_quality_comes_from_and_which_way_motion_went() -> None:
    numbers = report(
        jpeg_quality=40.0, jpeg_source="file", blockiness=0.2, blur_kind="motion", blur_direction=30.0, blur_width=2.0
    )
    found = {one.key: one for one in findings(numbers)}
    assert (found["jpeg"].value, found["jpeg"].details) == (
        "quality 40",
        ("by the tables of the file", "blockiness 0.2"),
    )
    assert found["blur"].details == ("motion, direction 30°",)


@pytest.mark.parametrize(
    ("severities", "undamaged", "said"),
    [
        ({"noise": "none", "jpeg": "weak"}, True, "undamaged"),
        ({"noise": "moderate", "jpeg": "strong", "blur": "weak"}, False, "strong JPEG damage, moderate noise"),
        ({"noise": "weak", "exposure": "none"}, False, "weak noise"),
        ({"noise": "none", "exposure": "unknown"}, False, "not judged: too little can be measured"),
        ({"noise": "none", "exposure": "none"}, False, "not judged: no single damage stands out"),
    ],
)
def test_the_verdict_names_the_worst_first(severities: dict[str, str], undamaged: bool, said: str) -> None:
    assert verdict(report(severities=severities, undamaged=undamaged)) == said


def test_an_undamaged_image_with_a_rating_says_why_in_one_sentence() -> None:
    rated = report(
        undamaged=True, severities={"noise": "none", "blur": "strong", "jpeg": "weak", "exposure": "unknown"}
    )
    said = reassurance(rated)
    assert "Good images have as much blur and JPEG damage" in said
    assert said.count(".") == 1
    assert not reassurance(report(undamaged=True, severities={"noise": "none", "blur": "unknown"}))
    assert not reassurance(report(undamaged=False, severities={"blur": "strong"}))


def test_a_lower_bound_is_said_to_be_one() -> None:
    numbers = report(impulse_ratio=0.0017, lower_bounds=["impulse_ratio"])
    (found,) = (one for one in findings(numbers) if one.key == "impulses")
    assert found.told == "at least 0.17 % of pixels"
    assert found.short == "≥ 0.17"
    assert found.details == ("JPEG hides some, most at low quality",)


def test_numbers_are_told_in_words_that_need_no_engineer() -> None:
    numbers = report(read_sigma=0.001, poisson_slope=2.5e-5, unevenness=0.905)
    said = " ".join(detail for one in findings(numbers) for detail in one.details)
    assert "from the light (shot noise) 0.5 % at white" in said
    assert "darkest region 90.5 % dimmer than the brightest" in said
    assert "slope" not in said
    meanings = " ".join(factor.meaning for factor in FACTORS)
    assert "a single channel has up to 1.7 times as much" in meanings
