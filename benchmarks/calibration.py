"""What calibrated strengths do to fidelity: PSNR and SSIM on a benchmark, at the bundle's strengths and at these.

python benchmarks/calibration.py SHARED/bench settings.yaml --every 3

`settings.yaml` is what `lowlight study calibrate --settings` wrote; only its modalities are measured. Readers may ask
for another brightness than the truth has: a lower score is not worse in itself, but nobody should be surprised by it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from feedback import Scores, as_tensor, observed
from PIL import Image

from lowlight import Enhancer
from lowlight.enhance.settings import Settings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every so many-th image of each severity")
    options = parser.parse_args()
    calibrated = Settings.read(options.settings)
    enhancer = Enhancer(settings=Settings(Path(), {}, {}))
    scores = Scores()
    for kind, severity, dark, clean in observed(options.bench, options.every, set(calibrated.entries)):
        strengths = {name: calibrated.entries[kind].get(name) for name in ("brightness", "denoise")}
        result = enhancer(np.asarray(Image.open(dark)), modality=kind, force=True)
        before, after = (as_tensor(image) for image in (result.image, result.blend(**strengths)))
        scores.add((severity, kind), (before, after), as_tensor(np.asarray(Image.open(clean))))
    scores.tell()


if __name__ == "__main__":
    main()
