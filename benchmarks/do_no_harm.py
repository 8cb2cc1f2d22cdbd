"""What becomes of good images: PSNR of each clean image to its own output, in two tables.

    python benchmarks/do_no_harm.py --data SHARED/bench/clean [--weights model.pt]

With the judgement in front, as a user calls `Enhancer`: targets are >= 90 % judged undamaged or >= 40 dB, none below
32 dB, and no medium observation judged undamaged. The network alone, forced at full strength: targets are a mean of
>= 42 dB, >= 40 dB for 88 % of the images, and at least 24 dB for each. Identical images count as 100 dB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from collection import Clean, clean_images, enhance, enhancer, observation, options, print_table, shown
from rich.progress import track

from lowlight import Enhancer
from lowlight.enhance.judging import Subject, judge


@dataclass(frozen=True)
class Outcome:
    """What became of one clean image: dB to itself as a user gets it and by the network alone; what was judged."""

    name: str
    modality: str
    undamaged: bool
    missed: bool
    as_called: float
    forced: float


def psnr(output: np.ndarray, clean: np.ndarray) -> float:
    """dB, at most 100."""
    return float(-10 * np.log10(max(float(np.mean((output - clean) ** 2)), 1e-10)))


def outcome(engine: Enhancer, clean: Clean) -> Outcome:
    """Enhance one clean image both ways, and judge its medium observation."""
    result = engine(np.asarray(clean.pixels, np.float32))
    medium = observation(clean.pixels, clean.name, clean.modality, "medium")
    return Outcome(
        name=clean.name,
        modality=clean.modality,
        undamaged=result.undamaged,
        missed=judge(Subject(np.asarray(medium, np.float32), (0, 1), frames=False)).undamaged,
        as_called=psnr(shown(result), clean.pixels),
        forced=psnr(shown(enhance(engine, clean.pixels)), clean.pixels),
    )


def called_row(name: str, group: list[Outcome]) -> list[str]:
    """A line of the first table."""
    values = np.array([one.as_called for one in group])
    undamaged = np.array([one.undamaged for one in group])
    return [
        name,
        str(len(group)),
        str(undamaged.sum()),
        f"{np.mean(undamaged | (values >= 40)):.0%}",
        str((values < 32).sum()),
        f"{values.min():.1f}",
        str(sum(one.missed for one in group)),
    ]


def forced_row(name: str, group: list[Outcome]) -> list[str]:
    """A line of the second table."""
    values = np.array([one.forced for one in group])
    shares = [f"{np.mean(values >= bound):.0%}" for bound in (40, 32)]
    return [name, str(len(group)), f"{values.mean():.1f}", *shares, f"{values.min():.1f}"]


def main() -> None:
    """Measure and print both tables."""
    chosen = options(__doc__).parse_args()
    engine = enhancer(chosen.weights)
    found = [outcome(engine, clean) for clean in track(list(clean_images(chosen.data, chosen.limit)), "enhancing")]
    names = sorted({one.modality for one in found})
    groups = [(name, [one for one in found if one.modality == name]) for name in names] + [("all", found)]
    print_table(
        "Clean images as a user gets them",
        ["modality", "images", "undamaged", "undamaged or >= 40 dB", "< 32 dB", "least dB", "medium judged undamaged"],
        [called_row(*group) for group in groups],
    )
    print("\ntargets: >= 90 %, none, least 32 dB, none")
    print_table(
        "Clean images by the network alone",
        ["modality", "images", "mean dB", ">= 40 dB", ">= 32 dB", "least dB"],
        [forced_row(*group) for group in groups],
    )
    print("\ntargets: mean >= 42 dB, >= 40 dB for 88 %, least 24 dB")
    print(f"least: {min(found, key=lambda one: one.forced).name}")


if __name__ == "__main__":
    main()
