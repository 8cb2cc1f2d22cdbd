"""How bad a number is: none, weak, moderate or strong, and whether an image needs nothing at all.

All limits stand in `thresholds.yaml`, with the data and the command by which they were fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from lowlight.artifacts.measurement import Measurement

Severity = Literal["none", "weak", "moderate", "strong", "unknown"]

State = Literal["undamaged", "damaged", "not judged"]
"""What is held of a whole image."""

LEVELS: tuple[Severity, ...] = ("none", "weak", "moderate", "strong")
"""From good to bad; "unknown" is for what cannot be measured."""

FLOOR = 0.001
"""What logarithms are kept above, of range: a quarter of a level of an 8-bit display."""

THRESHOLDS_FILE = Path(__file__).with_name("thresholds.yaml")


@dataclass(frozen=True)
class Scale:
    """The limits of one artifact.

    Attributes:
        measurement: name of the number that is rated.
        limits: where weak, moderate and strong begin: rising where more is worse, falling where less is worse.
        none_beside: name of another number that proves, where it could be measured, that this one was looked for: if
            this one is missing then, there is no such damage ("no trace of JPEG compression").
    """

    measurement: str
    limits: tuple[float, float, float]
    none_beside: str | None = None

    def rate(self, numbers: Mapping[str, Measurement]) -> Severity:
        """The level of an image's number; "unknown" if it is missing."""
        value = numbers[self.measurement].value
        if value is None:
            absent = self.none_beside is not None and numbers[self.none_beside].measurable
            return "none" if absent else "unknown"
        return LEVELS[sum(not self.better(value, limit) for limit in self.limits)]

    def better(self, value: float, limit: float) -> bool:
        """Whether a value lies on the good side of a limit."""
        return value > limit if self.limits[0] > self.limits[-1] else value < limit


@dataclass(frozen=True)
class Verdict:
    """The rule by which an image is judged undamaged: no artifact worse than good images have, a scene, and evidence.

    Attributes:
        at_most: by the name of a number, the worst that good images have; a missing number speaks of no damage.
        used_range: least part of the range that the image must use; in one of a single value nothing can be judged.
        intercept, weights, least: the image's evidence is intercept + sum(weight * feature), the logarithm of the odds
            that it is good; it has to reach `least`.
    """

    at_most: Mapping[str, float]
    used_range: float
    intercept: float
    weights: Mapping[str, float]
    least: float


@dataclass(frozen=True)
class Thresholds:
    """What `thresholds.yaml` holds: a scale an artifact, and the verdict's rule."""

    scales: Mapping[str, Scale]
    verdict: Verdict


@cache
def thresholds(file: Path = THRESHOLDS_FILE) -> Thresholds:
    """Read the limits; the package's own once a process."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    verdict = content["verdict"]
    return Thresholds(
        {
            name: Scale(scale["measurement"], tuple(scale["limits"]), scale.get("none_beside"))
            for name, scale in content["severity"].items()
        },
        Verdict(**verdict),
    )


def rate(numbers: Mapping[str, Measurement]) -> dict[str, Severity]:
    """Rate the numbers of an image (names as in `ArtifactReport.numbers`) by artifact."""
    return {name: scale.rate(numbers) for name, scale in thresholds().scales.items()}


def features(numbers: Mapping[str, Measurement]) -> dict[str, float] | None:
    """What the verdict's evidence is made of, or None if one of the numbers is missing.

    "log_p99", "log_mean" and "log_noise", the natural logarithms of these numbers in units of the range, above a floor
    of a quarter of a level of an 8-bit display; "unevenness" as a share.
    """
    values = {name: numbers[name].value for name in ("p99", "mean", "unevenness", "noise_sigma")}
    known = {name: value for name, value in values.items() if value is not None}
    if len(known) < len(values):
        return None
    return {
        "log_p99": math.log(max(known["p99"], FLOOR)),
        "log_mean": math.log(max(known["mean"], FLOOR)),
        "unevenness": known["unevenness"],
        "log_noise": math.log(known["noise_sigma"] + FLOOR),
    }


def needs_nothing(numbers: Mapping[str, Measurement]) -> bool:
    """The verdict "undamaged": no artifact is worse than good images have, and the evidence reaches its limit.

    An image on which too little can be measured is not judged undamaged: there is no evidence for it.
    """
    verdict = thresholds().verdict
    for scale in thresholds().scales.values():
        value, worst = numbers[scale.measurement].value, verdict.at_most.get(scale.measurement)
        if value is not None and worst is not None and scale.better(worst, value):
            return False
    found = features(numbers)
    used_range = numbers["used_range"].value
    if found is None or used_range is None or used_range < verdict.used_range:
        return False
    return _evidence(verdict, found) >= verdict.least


def too_dark_to_be_undamaged(p99: float, mean: float) -> bool:
    """Whether an image so dark cannot be judged undamaged by `needs_nothing`, whatever else is measured on it: even
    lit evenly and without any noise, it would miss the evidence.

    Args:
        p99: 99th percentile of its pixels. mean: their mean. Both of range, or upper bounds of what they may be.
    """
    verdict = thresholds().verdict
    best = {"p99": p99, "mean": mean, "unevenness": 0.0, "noise_sigma": 0.0}
    found = features({name: Measurement(value, "of range") for name, value in best.items()})
    # More light must speak for an image, and noise and uneven light against it, or these are not the best cases.
    known = all(verdict.weights[name] >= 0 for name in ("log_p99", "log_mean"))
    known &= all(verdict.weights[name] <= 0 for name in ("unevenness", "log_noise"))
    return found is not None and known and _evidence(verdict, found) < verdict.least


def _evidence(verdict: Verdict, found: Mapping[str, float]) -> float:
    return verdict.intercept + sum(weight * found[name] for name, weight in verdict.weights.items())


def state_of(undamaged: bool, severities: Mapping[str, str]) -> State:
    """What is held of a whole image, by the verdict and the severities of its artifacts.

    "damaged" takes at least one artifact that was measured and rated: where there is none, and the image is not judged
    undamaged either, nothing is claimed.
    """
    if undamaged:
        return "undamaged"
    return "damaged" if set(severities.values()) & set(LEVELS[1:]) else "not judged"
