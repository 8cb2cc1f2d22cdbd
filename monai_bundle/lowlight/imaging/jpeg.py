"""JPEG in; results go out as PNG, so that nothing is compressed twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lowlight.errors import InputError
from lowlight.imaging import png
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.orientation import swaps_axes, upright
from lowlight.imaging.values import check_size, decide_range

_EXIF_ORIENTATION = 0x0112


def load(path: Path, declared: tuple[float, float] | None) -> MedicalImage:
    """Read a baseline or progressive 8-bit JPEG, grey or colour; see `lowlight.imaging.read`."""
    with png.open_picture(path, ("JPEG",), path) as picture:
        check_size(path, picture.height, picture.width)
        if picture.mode not in ("L", "RGB"):
            raise InputError(path, f"is a JPEG in {picture.mode} colours, made for printing", "save it as RGB")
        orientation = int(picture.getexif().get(_EXIF_ORIENTATION, 1))
        pixels = upright(np.asarray(picture), orientation)
        profile, resolution = picture.info.get("icc_profile"), picture.info.get("dpi")
        quantisation = tables_of(picture)
    if resolution and swaps_axes(orientation):
        resolution = resolution[::-1]
    return MedicalImage(
        pixels=pixels,
        value_range=decide_range(path, pixels, declared),
        frames=False,
        modality=None,
        alpha=None,
        path=path,
        kind="jpeg",
        restore=png.restore_from(profile, resolution, 3 if pixels.ndim == 3 else 1),
        quantisation=quantisation,
    )


def tables_of(picture: Image.Image) -> dict[int, list[int]] | None:
    """The quantisation tables of a JPEG that Pillow has opened, 64 entries each; None if it has none."""
    tables = getattr(picture, "quantization", None) or {}
    return {int(number): [int(step) for step in table] for number, table in tables.items()} or None
