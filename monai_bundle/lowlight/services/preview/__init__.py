"""A page on this machine that shows images before and after while they are made."""

from lowlight.services.preview.serving import Preview

__all__ = ["Preview"]
