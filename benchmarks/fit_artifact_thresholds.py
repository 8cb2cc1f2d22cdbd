"""Fit what `lowlight.artifacts` calls weak, moderate, strong and undamaged, and write it to thresholds.yaml.

    python benchmarks/fit_artifact_thresholds.py --data SHARED/data --numbers numbers.csv

Two steps. The first degrades images of train/ and val/ in a known way, measures them, and keeps the numbers in a CSV
file; the second fits the limits to that file, and is all that runs if it exists already.

Limits of an artifact: that artifact alone, drawn from the ranges of light, medium and heavy
(`lowlight.degradation.COMMON`), is put on the middle of images of train/. Weak begins where clean and light are told
apart best (the shares on the right sides, averaged), moderate between light and medium, strong between medium and
heavy. Blur has a rule of its own, because scenes are soft too: weak begins above what 95 % of the clean images have,
moderate and strong above what 75 % and 95 % of the heavily blurred ones have. Photon noise depends on the light: it
comes with the exposure. For JPEG the images are halved in size first, by which the coding of their own goes.

Verdict: whole observations with every damage (`LowLight`) against the clean images of train/ give a logistic
regression. The limit of its evidence is reached by nine in ten clean images of val/, and neither on train/ nor on val/
by more than one light observation in a hundred, or by any medium or heavy one. Besides, no artifact may be worse than
in 99 of 100 clean images.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from scipy.optimize import minimize

from lowlight.artifacts.blur import estimate_blur
from lowlight.artifacts.exposure import measure_exposure
from lowlight.artifacts.impulse import estimate_impulses
from lowlight.artifacts.jpeg import estimate_jpeg
from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.noise import estimate_noise
from lowlight.artifacts.quantifying import quantify
from lowlight.artifacts.severity import THRESHOLDS_FILE, features
from lowlight.degradation import (
    COMMON,
    SEVERITIES,
    Defocus,
    Degradation,
    Exposure,
    JpegCompression,
    LowLight,
    Profile,
    Quantisation,
    SaltAndPepper,
    SensorNoise,
)

SHARED = Path(os.environ.get("LOWLIGHT_SHARED", "../shared"))
FEATURES = ("log_p99", "log_mean", "unevenness", "log_noise")
CAPPED = ("noise_sigma", "impulse_ratio", "blur_width", "jpeg_quality")
COLUMNS = ("split", "modality", "file", "about", "severity", *FEATURES, *CAPPED, "value")
SIDE = 384
"""Longest side of the parts of images on which single artifacts are put, px."""

NO_TRACE = 100.0
"""JPEG quality of an image that was never compressed."""

SCENES_AS_SOFT = 0.95
"""Share of the clean images that have no blur to speak of."""

HEAVY_AS_SOFT = (0.75, 0.95)
"""Shares of the heavily blurred images above whose widths moderate and strong begin."""

GOOD = 0.99
"""Share of the clean images whose noise, impulses, blur and JPEG quality the verdict's other condition allows."""

USED_RANGE = 0.1
"""Half of what the flattest clean images of train/ use: with less there is hardly a scene to judge."""

CLEAN_KEPT = 0.9
"""Share of the clean images of val/ that reach the limit, unless the observations ask for a higher one.

Enhancing a good image costs little, since the network leaves most of them alone; leaving a dark one alone costs all of
its enhancement.
"""

LET_THROUGH = {"light": 0.01, "medium": 0.0, "heavy": 0.0}
WEIGHTS = {"clean": 1.0, "light": 0.8, "medium": 0.1, "heavy": 0.1}
"""Of the groups in the regression: light observations are the ones hard to tell."""


class Factor:
    """One artifact alone: how it is put on an image, and by which number it is rated.

    Args:
        measurement: the number's name in `ArtifactReport.numbers`.
        measure: the number of a luminance (H, W).
        steps: the degradation for a profile and a source of random numbers.
        absent: the number where none can be measured because there is no trace of the artifact.
        halved: the images are to be halved in size first.
    """

    def __init__(
        self,
        measurement: str,
        measure: Callable[[np.ndarray], Measurement],
        steps: Callable[[Profile, np.random.RandomState], Sequence[Degradation]],
        absent: float | None = None,
        halved: bool = False,
    ) -> None:
        self.measurement, self.steps, self.absent, self.halved = measurement, steps, absent, halved
        self._measure = measure

    def measure(self, luminance: np.ndarray) -> float | None:
        """The number; None if it cannot be measured."""
        value = self._measure(luminance).value
        return self.absent if value is None else value


def _noise(profile: Profile, random: np.random.RandomState) -> list[Degradation]:
    exposure = Exposure(profile.gain.draw(random), profile.gamma.draw(random))
    read = profile.read.draw(random) * exposure.gain**0.5
    return [exposure, SensorNoise(profile.photons.draw(random), read, random.randint(2**31)), Quantisation(8)]


FACTORS = {
    "noise": Factor("noise_sigma", lambda luminance: estimate_noise(luminance).sigma, _noise),
    "impulses": Factor(
        "impulse_ratio",
        lambda luminance: estimate_impulses(luminance).ratio,
        lambda profile, random: [SaltAndPepper(profile.impulses.draw(random), seed=random.randint(2**31))],
    ),
    "blur": Factor(
        "blur_width",
        lambda luminance: estimate_blur(luminance).width,
        lambda profile, random: [Defocus(profile.blur.draw(random)), Quantisation(8)],
    ),
    "jpeg": Factor(
        "jpeg_quality",
        lambda luminance: estimate_jpeg(luminance).quality,
        lambda profile, random: [JpegCompression(round(profile.quality.draw(random)))],
        NO_TRACE,
        halved=True,
    ),
    "exposure": Factor(
        "p99",
        lambda luminance: measure_exposure(luminance).percentiles[99],
        lambda profile, random: [Exposure(profile.gain.draw(random), profile.gamma.draw(random)), Quantisation(8)],
    ),
}


def images(folder: Path, per_modality: int) -> Iterator[tuple[str, Path, np.ndarray]]:
    """Modality, file and pixels (1 or 3, H, W) float32 in [0, 1], in steps of 1/255; 0: all images."""
    random = np.random.RandomState(0)
    for modality in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(modality.glob("*.*"))
        for index in random.permutation(len(files))[: per_modality or len(files)]:
            picture = np.asarray(Image.open(files[index]))
            # The 16-bit files of the collection do not declare their range.
            white = 255 if picture.dtype == np.uint8 else picture.max()
            levels = np.rint(picture[..., :3] if picture.ndim == 3 else picture) * (255 / white)
            planes = levels[None] if levels.ndim == 2 else np.moveaxis(levels, -1, 0)
            yield modality.name, files[index], (np.rint(planes) / 255).astype(np.float32)


def measure(data: Path, split: str, per_modality: int, seed: int) -> Iterator[dict[str, Any]]:
    """Degrade and measure: a row an observation, and on train/ a row an image, artifact and severity."""
    for modality, file, pixels in images(data / split, per_modality):
        row = {"split": split, "modality": modality, "file": file.name}
        for severity in ("clean", *SEVERITIES):
            seen = pixels
            if severity != "clean":
                seen = np.asarray(LowLight(severity, modality, seed=seed, modality_share=0.1)(pixels))
            numbers = quantify(seen[0] if len(seen) == 1 else np.moveaxis(seen, 0, -1), (0, 1)).evidence
            capped = {name: numbers[name].value for name in CAPPED}
            yield row | {"about": "observation", "severity": severity} | capped | (features(numbers) or {})
        if split == "train":
            yield from (row | found for found in _single_factors(pixels.mean(0), seed))


def _single_factors(luminance: np.ndarray, seed: int) -> Iterator[dict[str, Any]]:
    random = np.random.RandomState((int(luminance.sum()), seed))
    for name, factor in FACTORS.items():
        clean = _middle(_halved(luminance) if factor.halved else luminance)
        yield {"about": name, "severity": "clean", "value": factor.measure(clean)}
        for severity in SEVERITIES:
            seen = clean[None]
            for step in factor.steps(COMMON[severity], random):
                seen = step.apply(seen)
            yield {"about": name, "severity": severity, "value": factor.measure(np.clip(seen[0], 0, 1))}


def _halved(luminance: np.ndarray) -> np.ndarray:
    """Mean over 2 x 2 pixels."""
    height, width = (length // 2 for length in luminance.shape)
    return luminance[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))


def _middle(luminance: np.ndarray) -> np.ndarray:
    """The middle of an image in steps of 1/255."""
    top, left = (max(0, (length - SIDE) // 2) for length in luminance.shape)
    return np.rint(luminance[top : top + SIDE, left : left + SIDE] * 255).astype(np.float32) / np.float32(255)


def best_limits(groups: Sequence[np.ndarray]) -> tuple[list[float], list[float]]:
    """Three limits between four groups of numbers, and the balanced accuracy of each; rising or falling as they do."""
    sign = 1 if np.median(groups[-1]) >= np.median(groups[0]) else -1
    limits, accuracies = [], []
    for better, worse in itertools.pairwise(sign * group for group in groups):
        values = np.unique(np.concatenate([better, worse]))
        candidates = (values[:-1] + values[1:]) / 2
        scores = np.array([((better < limit).mean() + (worse >= limit).mean()) / 2 for limit in candidates])
        best = candidates[scores >= scores.max() - 1e-9]
        limits.append(sign * float(best[len(best) // 2]))
        accuracies.append(float(scores.max()))
    return sorted(limits, reverse=sign < 0), accuracies


def blur_limits(groups: Sequence[np.ndarray]) -> tuple[list[float], list[float]]:
    """Three widths: above those of clean scenes and of most heavily blurred ones; and the balanced accuracy of each.

    Softness of the scene and blur of the lens add up to one width, so groups of blurred images lie within the clean
    ones: limits between neighbouring groups would call good images blurred.
    """
    clean, heavy = groups[0], groups[-1]
    limits = [float(np.quantile(clean, SCENES_AS_SOFT)), *map(float, np.quantile(heavy, HEAVY_AS_SOFT))]
    pairs = zip(itertools.pairwise(groups), limits, strict=True)
    return limits, [float(((better < limit).mean() + (worse >= limit).mean()) / 2) for (better, worse), limit in pairs]


def regression(features_: np.ndarray, good: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Intercept and coefficients of a logistic regression with a small ridge on standardised features."""
    middle, spread = features_.mean(0), features_.std(0)
    standard = (features_ - middle) / spread

    def loss(parameters: np.ndarray) -> float:
        margin = (parameters[0] + standard @ parameters[1:]) * np.where(good, 1, -1)
        return float(np.average(np.logaddexp(0, -margin), weights=weights) + 0.01 * np.square(parameters[1:]).sum())

    found = minimize(loss, np.zeros(features_.shape[1] + 1)).x
    slopes = found[1:] / spread
    return float(found[0] - slopes @ middle), slopes


def fit_verdict(rows: Sequence[dict[str, str]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdict's part of the YAML file, and how well it does on val/."""
    rows = [row for row in rows if row["about"] == "observation" and row[FEATURES[0]]]
    table = np.array([[float(row[name]) for name in FEATURES] for row in rows])
    severity = np.array([row["severity"] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    weights = np.array([WEIGHTS[name] for name in severity])
    intercept, slopes = regression(table[train], severity[train] == "clean", weights[train])
    evidence = intercept + table @ slopes
    reached = [
        np.quantile(evidence[chosen & (severity == name)], 1 - LET_THROUGH[name])
        for chosen in (train, ~train)
        for name in SEVERITIES
    ]
    kept = np.quantile(evidence[~train & (severity == "clean")], 1 - CLEAN_KEPT)
    least = float(max(kept, *reached))
    least = float(np.ceil(least * 100) / 100)
    rule = {
        "at_most": {name: _worst_of_good(rows, name) for name in CAPPED},
        "used_range": USED_RANGE,
        "intercept": round(intercept, 3),
        "weights": {name: round(float(slope), 3) for name, slope in zip(FEATURES, slopes, strict=True)},
        "least": least,
    }
    shares = {
        f"{split}_{name}": round(float((evidence[chosen & (severity == name)] >= least).mean()), 3)
        for split, chosen in (("train", train), ("val", ~train))
        for name in WEIGHTS
    }
    return rule, shares


def _worst_of_good(rows: Sequence[dict[str, str]], name: str) -> float:
    values = [float(row[name]) for row in rows if row["severity"] == "clean" and row[name]]
    return float(f"{np.quantile(values, 1 - GOOD if name == 'jpeg_quality' else GOOD):.3g}")


def fit(rows: Sequence[dict[str, str]], command: str) -> dict[str, Any]:
    """The content of thresholds.yaml."""
    severity: dict[str, Any] = {}
    accuracies: dict[str, list[float]] = {}
    reached: dict[str, dict[str, list[float]]] = {}
    for name, factor in FACTORS.items():
        groups = [
            np.array([float(r["value"]) for r in rows if r["about"] == name and r["severity"] == s and r["value"]])
            for s in ("clean", *SEVERITIES)
        ]
        limits, accuracy = blur_limits(groups) if name == "blur" else best_limits(groups)
        severity[name] = {"measurement": factor.measurement, "limits": [float(f"{limit:.3g}") for limit in limits]}
        if factor.absent is not None:
            severity[name]["none_beside"] = "blockiness"
        accuracies[name] = [round(value, 3) for value in accuracy]
        falling = limits[0] > limits[-1]
        reached[name] = {
            severity_: [round(float(((group <= at) if falling else (group >= at)).mean()), 3) for at in limits]
            for severity_, group in zip(("clean", *SEVERITIES), groups, strict=True)
        }
    verdict, shares = fit_verdict(rows)
    counts = {split: len({r["file"] for r in rows if r["split"] == split}) for split in ("train", "val")}
    return {
        "fitted": {
            "date": datetime.date.today().isoformat(),
            "command": command,
            "images": counts,
            "balanced_accuracy": accuracies,
            "rated_weak_moderate_strong_or_worse": reached,
            "judged_undamaged_by_evidence": shares,
        },
        "severity": severity,
        "verdict": verdict,
    }


HEADER = """\
# What lowlight.artifacts calls weak, moderate, strong and undamaged. Written by benchmarks/fit_artifact_thresholds.py.
#
# Method. Severities: each artifact alone, drawn from the ranges of light, medium and heavy (lowlight.degradation), was
# put on images of the training split, whose own state is "clean", and measured.
#   noise      weak begins where clean and light are told apart best, moderate between light and medium, strong between
#              medium and heavy: the limit with the highest mean of the shares on its two right sides
#   impulses   the same
#   jpeg       the same, on images halved in size, by which their own coding goes; quality falls where damage grows
#   exposure   the same, on the brightness that 99 of 100 pixels stay below; it falls where damage grows
#   blur       scenes are soft too: weak begins above what 95 % of the clean images have, moderate and strong above what
#              75 % and 95 % of the heavily blurred ones have
# Verdict: a logistic regression with a small ridge (weights by group) tells clean images from observations with every
# damage at once. `least` keeps nine in ten clean images of the validation split, unless more than one light observation
# in a hundred, or any medium or heavy one, of either split would pass. `at_most`: the worst of 99 in 100 clean images.
# fitted: when, by which command, on how many images; the balanced accuracy of each limit between its two groups; the
#   share of each group that reaches each limit; the share of each group that the evidence lets pass as undamaged.
# severity: where weak, moderate and strong begin, rising where more is worse, falling where less is worse.
# verdict: an image is undamaged if no number is worse than `at_most`, its used range is `used_range` or more, and
#   intercept + sum of weights x (ln p99, ln mean, unevenness, ln(noise_sigma + 0.001)) >= least.
"""


def main() -> None:
    """Measure unless that is done, fit, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED / "data", help="folder that holds train/ and val/")
    parser.add_argument("--per-modality", type=int, default=14, help="images of train/ a modality; val/ is used whole")
    parser.add_argument("--numbers", type=Path, default=Path("numbers.csv"), help="CSV file between the two steps")
    parser.add_argument("--out", type=Path, default=THRESHOLDS_FILE)
    parser.add_argument("--seed", type=int, default=11, help="of the degradations")
    options = parser.parse_args()
    if not options.numbers.exists():
        with options.numbers.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            for split, count in (("train", options.per_modality), ("val", 0)):
                writer.writerows(measure(options.data, split, count, options.seed))
    with options.numbers.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    command = f"python benchmarks/fit_artifact_thresholds.py --per-modality {options.per_modality}"
    content = fit(rows, f"{command} --seed {options.seed}")
    options.out.write_text(
        HEADER + yaml.safe_dump(content, sort_keys=False, width=120, default_flow_style=None), encoding="utf-8"
    )
    print(options.out.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
