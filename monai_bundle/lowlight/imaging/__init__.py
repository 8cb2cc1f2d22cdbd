"""Files and pixels: PNG, JPEG, TIFF, NIfTI and DICOM in, the same kind, depth and geometry out.

from lowlight.imaging import read, write
image = read("chest.png")
write(image, image.pixels // 2, "darker.png")
"""

from __future__ import annotations

from lowlight.imaging.atomic import atomic_path
from lowlight.imaging.collecting import Found, collect
from lowlight.imaging.image import MedicalImage
from lowlight.imaging.naming import output_name, plan_names
from lowlight.imaging.reading import read
from lowlight.imaging.writing import write, write_png

__all__ = [
    "Found",
    "MedicalImage",
    "atomic_path",
    "collect",
    "output_name",
    "plan_names",
    "read",
    "write",
    "write_png",
]
