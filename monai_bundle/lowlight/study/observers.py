"""Simulated readers. Whatever they answer is SIMULATION: good for tests and for planning a study's size, no evidence.

A simulated reader gives every version a utility and chooses by a logistic law (Bradley and Terry 1952), with lapses and
a liking for one side. The utility follows, by choice,

- what can be seen (`lowlight.study.perception`): visible structure, less visible noise, less the distance of the mean
  brightness from a comfortable one; or
- a stated preference for a strength: minus the squared distance from the reader's own favourite.

Readers differ: in their favourites, in how sharply they distinguish, in their aversion to noise, in where on the
grading scale they sit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lowlight.study.perception import Seen
from lowlight.study.questions import CRITERIA, SCALE
from lowlight.study.studyfile import Version

COMFORTABLE = float(np.log(40.0))
"""Mean of log luminance in cd/m2 that needs no effort."""

GRADE_LIMITS = (-2.2, -0.9, 0.4, 1.7)
"""Utilities at which a neutral reader passes from one grade to the next."""


@dataclass(frozen=True)
class Population:
    """What simulated readers have in common, and how much they differ.

    Attributes:
        prefers: by modality, the brightness that readers like best on the mean; other modalities go by what is seen.
        spread: standard deviation of their favourites.
        width: distance from the favourite that costs one unit of utility: two versions whose utilities differ by one
            are told apart 73 % of the time.
        denoise_prefers, denoise_width: the same of the strength of denoising, where brightness has a preference.
        lapse: share of answers given at random.
        side_bias: standard deviation of readers' liking for the left, in units of utility.
        sharpness_spread: standard deviation of the logarithm of how sharply they distinguish.
    """

    prefers: Mapping[str, float] = field(default_factory=dict)
    spread: float = 0.04
    width: float = 0.2
    denoise_prefers: float = 1.0
    denoise_width: float = 0.5
    lapse: float = 0.02
    side_bias: float = 0.1
    sharpness_spread: float = 0.2

    def told(self) -> str:
        """What they have in common, in words, for whoever reads a report of their answers."""
        liked = ", ".join(f"{modality} at brightness {value:g}" for modality, value in sorted(self.prefers.items()))
        return (
            (f"They like {liked} best" if liked else "They go by what can be seen")
            + f"; between readers the favourite differs by a standard deviation of {self.spread:g}, and "
            f"{self.lapse:.0%} of the answers are given at random."
        )

    def reader(self, random: np.random.Generator) -> SimulatedReader:
        """Draw one reader."""
        return SimulatedReader(
            population=self,
            offset=float(random.normal(0, self.spread)),
            sharpness=float(np.exp(random.normal(0, self.sharpness_spread))),
            left_liking=float(random.normal(0, self.side_bias)),
            noise_aversion=float(np.exp(random.normal(-0.3, 0.3))),
            severity=float(random.normal(0, 0.4)),
            random=random,
        )


@dataclass
class SimulatedReader:
    """One simulated reader; answers are drawn from ``random``."""

    population: Population
    offset: float
    sharpness: float
    left_liking: float
    noise_aversion: float
    severity: float
    random: np.random.Generator

    def utility(self, version: Version, modality: str, seen: Seen) -> float:
        """How good a version of an image is to this reader; only differences count."""
        common = self.population
        favourite = common.prefers.get(modality)
        if favourite is None:
            comfort = -((seen.brightness - COMFORTABLE - self.offset) ** 2) / 2
            return self.sharpness * (seen.structure - self.noise_aversion * seen.noise + comfort)
        # The original is what brightness 0 and denoise 0 give; of other methods no strength is known.
        if version.kind == "other":
            return -2.0 * self.sharpness
        brightness, denoise = version.brightness or 0.0, version.denoise or 0.0
        distance = ((brightness - favourite - self.offset) / common.width) ** 2
        return -self.sharpness * (distance + ((denoise - common.denoise_prefers) / common.denoise_width) ** 2)

    def prefers_left(self, left: float, right: float) -> bool:
        """Choose between two utilities."""
        if self.random.random() < self.population.lapse:
            return bool(self.random.random() < 0.5)
        return bool(self.random.random() < 1 / (1 + np.exp(-(left - right + self.left_liking))))

    def grades(self, utility: float, best: float, seen: Seen) -> dict[str, int]:
        """Grade a version of known utility, beside the best of its image; every criterion has a noise of its own."""
        leaning = {"noise": 1.5 - self.noise_aversion * seen.noise, "clarity": utility - best + 1.5}
        return {
            criterion.key: self._grade(leaning.get(criterion.key, 0.7 * (utility - best) + 1.2))
            for criterion in CRITERIA
        }

    def _grade(self, level: float) -> int:
        felt = level - self.severity + self.random.logistic(0, 0.5)
        return SCALE[int(np.searchsorted(GRADE_LIMITS, felt))]

    def seconds(self) -> float:
        """How long an answer takes: log-normal, 8 s in the middle."""
        return float(np.exp(self.random.normal(np.log(8.0), 0.4)))
