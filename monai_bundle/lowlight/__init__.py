"""LowLightEnhance: makes dark, noisy, blurred or JPEG-damaged medical images readable.

from lowlight import Enhancer
result = Enhancer()(image)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Enhancer", "__version__"]

if TYPE_CHECKING:
    from lowlight.enhance import Enhancer


def __getattr__(name: str) -> Any:
    # Loading torch takes seconds: only those who enhance wait for it.
    if name == "Enhancer":
        from lowlight.enhance import Enhancer

        return Enhancer
    raise AttributeError(f"module 'lowlight' has no attribute {name!r}")
