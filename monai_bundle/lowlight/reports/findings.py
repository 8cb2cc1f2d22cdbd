"""The numbers of an artifact report as people read them: one finding per artifact, in words and short numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowlight.artifacts.severity import LEVELS, State, state_of, thresholds
from lowlight.reports.pictures import number

SEVERITIES = ("none", "weak", "moderate", "strong", "unknown")
"""From nothing to much; unknown where the image does not let it be told."""

Report = Mapping[str, Any]
"""`lowlight.artifacts.ArtifactReport.as_dict()`, or the same out of `Result.report`."""


@dataclass(frozen=True)
class Finding:
    """What is known of one artifact of one image.

    Attributes:
        key: as in `Factor`. name: for people.
        severity: one of `SEVERITIES`.
        value: the leading number with its unit; empty where there is none.
        short: the same for the cell of a table whose head says the unit.
        reason: why there is no number, in words that follow "not measurable: "; empty where there is one.
        position: where the number lies on the scale of severities, 0 to 1, each having a quarter; None where it cannot
            be said.
        details: further numbers, a line each.
    """

    key: str
    name: str
    severity: str
    value: str
    short: str
    reason: str
    position: float | None
    details: tuple[str, ...]

    @property
    def told(self) -> str:
        """The number, or why there is none; where the reason is that there is no such damage, that is all there is."""
        if not self.reason:
            return self.value
        return self.reason if self.severity == "none" else f"not measurable: {self.reason}"


@dataclass(frozen=True)
class Factor:
    """An artifact: its key in reports, its name, the unit of its leading number, and what it means."""

    key: str
    name: str
    unit: str
    meaning: str


FACTORS = (
    Factor(
        "noise",
        "Noise",
        "% of range",
        "Standard deviation of the sensor noise, in per cent of the range from black to white, at the typical "
        "brightness of the image. It has two parts: read noise, which is there in the dark, and shot noise, whose "
        "variance grows with the light. Texture and edges do not count. Of a colour image it is the noise of the mean "
        "of its channels; a single channel has up to 1.7 times as much.",
    ),
    Factor(
        "impulses",
        "Salt-and-pepper",
        "% of pixels",
        "Share of pixels that were replaced by black or white. Pixels that are dark because the scene is dark do not "
        "count. JPEG smears such pixels, and most are missed after it: then the share is at least what is said (≥).",
    ),
    Factor(
        "blur",
        "Blur",
        "px",
        "Width of the blur: the standard deviation of the Gaussian that blurs alike, in pixels, and its kind where it "
        "can be told: out of focus, or motion with its direction (0° is horizontal).",
    ),
    Factor(
        "jpeg",
        "JPEG",
        "quality",
        "Quality of the last JPEG compression on the usual scale of 1 to 100: from the tables of the file where it is "
        "a JPEG, otherwise estimated from what compression left in the pixels. Blockiness is by how much steps across "
        "the 8 x 8 blocks exceed those inside: 0 is no grid.",
    ),
    Factor(
        "exposure",
        "Exposure",
        "brightest, % of range",
        "Brightness as shown that 99 of 100 pixels stay below, in per cent of the range from black to white: an image "
        "whose brightest parts are dark is under-exposed. Beside it the mean, the part of the range that is used (1st "
        "to 99th percentile), the share of pixels lost in black or white, and by how much the darkest region is dimmer "
        "than the brightest, on a smooth surface through the image: uneven lighting, or a scene that itself is darker "
        "there.",
    ),
)
"""All artifacts, in the order in which they are told."""

KINDS = {"defocus": "out of focus", "motion": "motion"}

DAMAGE = {
    "noise": "noise",
    "impulses": "salt-and-pepper",
    "blur": "blur",
    "jpeg": "JPEG damage",
    "exposure": "under-exposure",
}
"""What a bad rating of each artifact is called within a sentence."""


@dataclass(frozen=True)
class _Lead:
    """The number that an artifact is rated by: its name in reports, and how it is written."""

    name: str
    before: str
    write: Callable[[float], str]
    after: str


def _percent(share: float) -> str:
    return number(100 * share)


def _share(share: float) -> str:
    return "< 0.1" if 0 < share < 0.001 else f"{100 * share:.1f}".removesuffix(".0")


def _hundredths(value: float) -> str:
    return f"{value:.2f}"


def _whole(value: float) -> str:
    return f"{value:.0f}"


_LEADS = {
    "noise": _Lead("noise_sigma", "", _percent, " % of range"),
    "impulses": _Lead("impulse_ratio", "", _percent, " % of pixels"),
    "blur": _Lead("blur_width", "", _hundredths, " px"),
    "jpeg": _Lead("jpeg_quality", "quality ", _whole, ""),
    "exposure": _Lead("p99", "brightest parts at ", _percent, " % of range"),
}


def findings(report: Report) -> list[Finding]:
    """All findings of a report, in the order of `FACTORS`."""
    details = {"noise": _noise, "impulses": _impulses, "blur": _blur, "jpeg": _jpeg, "exposure": _exposure}
    return [_finding(factor, report, details.get(factor.key, _nothing)(report)) for factor in FACTORS]


def state(report: Report) -> State:
    """What is held of the whole image: undamaged, damaged, or not judged."""
    return state_of(bool(report["undamaged"]), report["severities"])


def verdict(report: Report) -> str:
    """The judgement in a few words: undamaged, what is wrong, the worst first, or why nothing is claimed."""
    if state(report) == "undamaged":
        return "undamaged"
    rated = [(severity, DAMAGE[key]) for key, severity in report["severities"].items() if key in DAMAGE]
    for wanted in (("strong", "moderate"), ("weak",)):
        named = [f"{severity} {damage}" for word in wanted for severity, damage in rated if severity == word]
        if named:
            return ", ".join(named)
    if "unknown" in report["severities"].values():
        return "not judged: too little can be measured"
    return "not judged: no single damage stands out"


def reassurance(report: Report) -> str:
    """Why an image is judged undamaged although an artifact is rated; empty where there is nothing to explain."""
    if state(report) != "undamaged":
        return ""
    rated = [DAMAGE[key] for key, word in report["severities"].items() if key in DAMAGE and word in LEVELS[1:]]
    if not rated:
        return ""
    named = rated[0] if len(rated) == 1 else f"{', '.join(rated[:-1])} and {rated[-1]}"
    return f"Good images have as much {named}, and enhancing would not improve it."


def _finding(factor: Factor, report: Report, details: list[str]) -> Finding:
    lead = _LEADS[factor.key]
    value = report[lead.name]
    severity = str(report["severities"].get(factor.key, "unknown"))
    short = "" if value is None else lead.write(value)
    # "At least none" would say nothing; that some may be hidden stands among the details.
    at_least = bool(value) and lead.name in report.get("lower_bounds", ())
    return Finding(
        key=factor.key,
        name=factor.name,
        severity=severity,
        value=f"{'at least ' if at_least else ''}{lead.before}{short}{lead.after}" if short else "",
        short=f"≥ {short}" if at_least else short,
        reason="" if short else str(report["not_measurable"].get(lead.name, "not told")),
        position=_position(factor.key, value),
        details=tuple(details),
    )


def _position(artifact: str, value: float | None) -> float | None:
    """Where a value lies on the scale of its artifact: the limits at 1/4, 1/2 and 3/4, straight lines between them."""
    scale = thresholds().scales.get(artifact)
    if value is None or scale is None:
        return None
    first, second, third = scale.limits
    # The outer quarters have one limit each. What is best is 0, or as far beyond the first limit as the second is.
    best = 0.0 if third > first else 2 * first - second
    worst = 2 * third - second
    sign = 1 if third > first else -1
    limits = [sign * limit for limit in (best, first, second, third, worst)]
    return float(np.interp(sign * value, limits, [0.02, 0.25, 0.5, 0.75, 0.98]))


def _nothing(report: Report) -> list[str]:
    return []


def _noise(report: Report) -> list[str]:
    read, slope = report["read_sigma"], report["poisson_slope"]
    parts = [] if read is None else [f"in the dark (read noise) {_percent(read)} %"]
    # As a variance per unit of signal only an engineer could read it.
    parts += [] if slope is None else [f"from the light (shot noise) {_percent(slope**0.5)} % at white"]
    return [", ".join(parts)] if parts else []


def _impulses(report: Report) -> list[str]:
    return ["JPEG hides some, most at low quality"] if "impulse_ratio" in report.get("lower_bounds", ()) else []


def _blur(report: Report) -> list[str]:
    kind, direction = report["blur_kind"], report["blur_direction"]
    if kind not in KINDS:
        return []
    return [KINDS[kind] + ("" if direction is None else f", direction {direction:.0f}°")]


def _jpeg(report: Report) -> list[str]:
    lines = []
    if report["jpeg_quality"] is not None:
        lines.append("by the tables of the file" if report["jpeg_source"] == "file" else "estimated from the pixels")
    if report["blockiness"] is not None:
        lines.append(f"blockiness {number(report['blockiness'])}")
    return lines


def _exposure(report: Report) -> list[str]:
    def text(name: str, form: str) -> list[str]:
        return [] if report[name] is None else [form.format(_share(report[name]))]

    lines = [
        text("mean", "mean {} %") + text("used_range", "{} % of the range used"),
        text("clipped_low", "{} % black") + text("clipped_high", "{} % white"),
        text("unevenness", "darkest region {} % dimmer than the brightest"),
    ]
    return [", ".join(parts) for parts in lines if parts]
