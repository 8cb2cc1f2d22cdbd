"""How damaged an image is: noise, impulses, blur, JPEG and exposure, in numbers with units.

Estimators know arrays, no files: display space, 0 black and 1 white.

    report = quantify(pixels, value_range=(0, 255))
    report.noise.sigma, report.severities["noise"], report.undamaged
"""

from lowlight.artifacts.measurement import Measurement
from lowlight.artifacts.quantifying import ArtifactReport, quantify

__all__ = ["ArtifactReport", "Measurement", "quantify"]
