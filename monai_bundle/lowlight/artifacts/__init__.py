"""How damaged an image is: noise, impulses, blur, JPEG and exposure, in numbers with units.

Estimators know arrays, no files: display space, 0 black and 1 white.

    report = quantify(pixels, value_range=(0, 255))
    report.noise.sigma, report.severities["noise"], report.undamaged
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lowlight.artifacts.darkness import surely_too_dark
from lowlight.artifacts.measurement import Measurement

if TYPE_CHECKING:
    from lowlight.artifacts.quantifying import ArtifactReport, quantify

__all__ = ["ArtifactReport", "Measurement", "quantify", "surely_too_dark"]


def __getattr__(name: str) -> Any:
    # SciPy takes a fifth of a second to load: who only asks whether an image is dark does not wait for it.
    if name in __all__:
        from lowlight.artifacts import quantifying

        return getattr(quantifying, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
