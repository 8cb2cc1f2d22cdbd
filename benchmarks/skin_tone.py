"""Dark skin is not under-exposure: what becomes of dermatology images, by skin tone.

    python benchmarks/skin_tone.py --data SHARED/bench/clean [--weights model.pt]

Skin tone is the individual typology angle ITA = atan((L* - 50) / b*) 180 / pi of the skin around the lesion, in the
classes of Chardon, Cretois and Hourseau 1991 (with Del Bino's "brown" and "dark" below). The pictures' light and
cameras are not calibrated, so a class says how the skin looks in the picture, not what it is.
Brightness errors are signed, in L* (0 black, 100 white): above 0 the result is lighter than the truth.
"""

from __future__ import annotations

import numpy as np
from collection import SEVERITIES, clean_images, enhance, enhancer, observation, options, print_table, shown
from rich.progress import track
from skimage.color import rgb2lab
from skimage.filters import threshold_otsu

CLASSES = {"very light": 55, "light": 41, "intermediate": 28, "tan": 10, "brown": -30, "dark": -90}
"""Least angle of each class, in degrees."""

BLACK, WHITE = 12, 97
"""L* below which a pixel belongs to a black border, and above which it is a reflection."""


def skin(lab: np.ndarray) -> np.ndarray:
    """Which pixels show skin without the lesion: the lighter side of Otsu's threshold, borders and glare left out."""
    lightness = lab[..., 0]
    seen = (lightness > BLACK) & (lightness < WHITE)
    if np.ptp(lightness[seen]) < 1:
        return seen
    return seen & (lightness > threshold_otsu(lightness[seen]))


def typology_angle(lab: np.ndarray, mask: np.ndarray) -> float:
    """Individual typology angle of the median skin colour, in degrees."""
    lightness, _, yellow = np.median(lab[mask], axis=0)
    return float(np.degrees(np.arctan((lightness - 50) / max(yellow, 1e-3))))


def skin_class(angle: float) -> str:
    """Chardon's class of an angle."""
    return next(name for name, least in CLASSES.items() if angle > least)


def main() -> None:
    """Measure and print one table."""
    chosen = options(__doc__).parse_args()
    engine = enhancer(chosen.weights)
    found: dict[str, list[list[float]]] = {}
    for clean in track(list(clean_images(chosen.data, chosen.limit, "dermatology")), "enhancing"):
        lab = rgb2lab(clean.pixels)
        mask = skin(lab)
        own = shown(enhance(engine, clean.pixels))
        numbers = [-10 * np.log10(max(float(np.mean((own - clean.pixels) ** 2)), 1e-10))]
        for image in (clean.pixels, *(observation(clean.pixels, clean.name, clean.modality, s) for s in SEVERITIES)):
            result = own if image is clean.pixels else shown(enhance(engine, image))
            numbers.append(float((rgb2lab(result) - lab)[mask, 0].mean()))
        found.setdefault(skin_class(typology_angle(lab, mask)), []).append(numbers)
    groups = [(name, found[name]) for name in CLASSES if name in found]
    everything = [numbers for _, group in groups for numbers in group]
    rows = [
        [name, str(len(group)), f"{np.mean(group, 0)[0]:.1f}", f"{np.min(group, 0)[0]:.1f}"]
        + [f"{value:+.1f}" for value in np.mean(group, 0)[1:]]
        for name, group in [*groups, ("all", everything)]
    ]
    columns = ["skin (ITA)", "images", "clean: mean dB", "clean: least dB"]
    columns += [f"L* error, {kind}" for kind in ("clean", *SEVERITIES)]
    print_table("Skin tones: clean image to its own output, and brightness after enhancement", columns, rows)


if __name__ == "__main__":
    main()
