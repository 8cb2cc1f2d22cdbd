"""Real images that come with scikit-image and pydicom, channel-first float32 in [0, 1]."""

from functools import cache

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from skimage import data


def _channel_first(levels: np.ndarray) -> np.ndarray:
    pixels = levels.astype(np.float32) / np.float32(255)
    pixels = pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    pixels.setflags(write=False)
    return pixels


@cache
def retina() -> np.ndarray:
    """A colour fundus photograph, (3, 256, 256)."""
    return _channel_first(data.retina()[500:756, 500:756])


@cache
def photograph() -> np.ndarray:
    """A grey photograph, (1, 256, 256)."""
    return _channel_first(data.camera()[100:356, 100:356])


@cache
def ultrasound() -> np.ndarray:
    """A colour ultrasound frame with a grey sector, (3, H, W)."""
    return _channel_first(pydicom.dcmread(get_testdata_file("examples_rgb_color.dcm")).pixel_array)
