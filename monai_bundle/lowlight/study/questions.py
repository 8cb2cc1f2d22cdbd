"""What readers are asked."""

from __future__ import annotations

from dataclasses import dataclass

PAIR_QUESTION = "Which of the two would you rather make a diagnosis from?"

SCALE = (1, 2, 3, 4, 5)
"""Points of the visual grading scale: a higher one is always better."""


@dataclass(frozen=True)
class Criterion:
    """One question of the visual grading.

    Attributes:
        key: how it is stored. title: its name. text: what is asked. worst, best: what 1 and 5 mean.
    """

    key: str
    title: str
    text: str
    worst: str
    best: str


CRITERIA = (
    Criterion("clarity", "Clarity", "How clearly can structures be told apart?", "not at all", "fully"),
    Criterion("detail", "Detail preservation", "Are fine details preserved?", "lost", "all preserved"),
    Criterion("noise", "Noise", "How much does noise disturb?", "makes it unusable", "no noise"),
    Criterion("artefacts", "Artefacts", "How much do artefacts disturb?", "makes it unusable", "no artefacts"),
    Criterion(
        "confidence", "Diagnostic confidence", "How confident is a diagnosis from this image?", "no confidence", "full"
    ),
)
