"""Image in, enhanced image out: the one engine that the command line, the bundle's workflows and services call."""

from lowlight.enhance.enhancer import Enhancer
from lowlight.enhance.result import Result

__all__ = ["Enhancer", "Result"]
