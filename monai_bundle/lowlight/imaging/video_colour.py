"""Between the frames of a video, coded as luma and chroma, and pixels: exact, in both directions.

The matrix and the range are done here, by the formulas of the standards, because libswscale's own are off by half a
level in chroma of full range. libswscale changes how many chroma samples there are, and how they are laid out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)
"""Weights of red and blue in luma: ITU-R BT.601-7 and BT.709-6."""

MATRICES = {1: BT709, 4: (0.30, 0.11), 5: BT601, 6: BT601, 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""By MatrixCoefficients of ITU-T H.273; 9 is BT.2020 with non-constant luminance."""

UNSPECIFIED = 2
FULL_RANGE = 2
HIGH_DYNAMIC_RANGE = (16, 18)
"""TransferCharacteristics of H.273 whose values are no display values: PQ and HLG."""

HIGH_DEFINITION = 720
"""Lines from which a video that does not say is taken for BT.709, as players do."""

GREY = ("gray", "mono", "ya8", "ya16")
LAYOUTS = {8: "yuv444p", 16: "yuv444p16le"}

_FLAGS = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True)
class Coding:
    """How the values of a frame are meant.

    Attributes:
        form: "grey" has luma alone, "yuv" chroma besides, "rgb" neither.
        depth: bits of a sample. full: luma uses all values; else 16 to 235 of 255.
        matrix: weights of red and blue in luma.
    """

    form: str
    depth: int
    full: bool
    matrix: tuple[float, float]

    @classmethod
    def of(cls, frame: VideoFrame) -> Coding:
        """How this frame says that it is coded, or how players take it where it does not say."""
        name, depth = frame.format.name, max(component.bits for component in frame.format.components)
        matrix = MATRICES.get(frame.colorspace, BT709 if frame.height >= HIGH_DEFINITION else BT601)
        if name.startswith(GREY):
            # Nobody's convention but FFmpeg's: luma alone that does not say is of full range.
            return cls("grey", depth, frame.color_range != 1, matrix)
        if frame.format.is_rgb or frame.format.has_palette:
            return cls("rgb", depth, True, matrix)
        return cls("yuv", depth, frame.color_range == FULL_RANGE or name.startswith("yuvj"), matrix)

    @property
    def bits(self) -> int:
        """Of the arrays here: 8, or 16 with the sample in the upper ones."""
        return 8 if self.depth <= 8 else 16

    @property
    def value_range(self) -> tuple[float, float]:
        """Black and white of luma, in such an array."""
        if not self.full:
            scale = 1 << (self.bits - 8)
            return 16.0 * scale, 235.0 * scale
        return 0.0, float(((1 << self.depth) - 1) << (self.bits - self.depth)) if self.bits == 16 else 255.0

    @property
    def chroma(self) -> tuple[float, float]:
        """Neutral chroma, and the distance of its ends."""
        black, white = self.value_range
        return float(1 << (self.bits - 1)), (white - black) * (1.0 if self.full else 224 / 219)


def pixels_of(frame: VideoFrame, coding: Coding, coloured: bool | None = None) -> NDArray[Any]:
    """The pixels of a frame: uint8, or uint16 of more than 8 bits.

    Args:
        coloured: True: (H, W, 3), red, green and blue from 0 to 255 or 65535. False: (H, W), luma as it is coded, with
            black and white as `Coding.value_range` says. None: the one or the other, by whether the frame has colour.
    """
    if coding.form == "rgb":
        rgb: NDArray[Any] = frame.reformat(format="rgb24" if coding.bits == 8 else "rgb48le").to_ndarray()
        if coloured or (coloured is None and (rgb != rgb[..., :1]).any()):
            return rgb
        return np.ascontiguousarray(rgb[..., 0])
    if coding.form == "grey":
        format_name = "gray" if coding.bits == 8 else "gray16le"
        same = frame if frame.format.name == format_name else _relaid(frame, format_name)
        luma: NDArray[Any] = same.to_ndarray()
        return to_rgb(luma, None, coding) if coloured else luma
    planes = _relaid(frame, LAYOUTS[coding.bits]).to_ndarray(channel_last=True)
    chroma = planes[..., 1:]
    if coloured is None:
        coloured = bool((chroma != chroma.dtype.type(coding.chroma[0])).any())
    return to_rgb(planes[..., 0], chroma, coding) if coloured else np.ascontiguousarray(planes[..., 0])


def to_rgb(luma: NDArray[Any], chroma: NDArray[Any] | None, coding: Coding) -> NDArray[Any]:
    """Red, green and blue (H, W, 3) from 0 to 255 or 65535, of luma (H, W) and chroma (H, W, 2), None if there is
    none."""
    black, white = coding.value_range
    grey = (luma.astype(np.float32) - np.float32(black)) / np.float32(white - black)
    shown = np.repeat(grey[..., None], 3, axis=2)
    if chroma is not None:
        red, blue = coding.matrix
        green = 1 - red - blue
        middle, span = coding.chroma
        differences = (chroma.astype(np.float32) - np.float32(middle)) / np.float32(span)
        of_blue, of_red = 2 * (1 - blue), 2 * (1 - red)
        steps = np.array([[0, -blue * of_blue / green, of_blue], [of_red, -red * of_red / green, 0]], np.float32)
        shown += differences @ steps
    return _rounded(shown * np.float32((1 << coding.bits) - 1), coding.bits)


def frame_of(pixels: NDArray[Any], source: Coding, target: Coding, format_name: str) -> VideoFrame:
    """A frame of this pixel format from pixels, of a clip that is coded as `source`, for one that will be as `target`.

    Args:
        pixels: as `pixels_of` gives them.
        format_name: of FFmpeg; it has to have the samples that the coding says.
    """
    if target.form == "rgb":
        rgb = pixels if pixels.ndim == 3 else to_rgb(pixels, None, source)
        made = VideoFrame.from_ndarray(rgb, "rgb24" if rgb.dtype == np.uint8 else "rgb48le")
        return made if made.format.name == format_name else made.reformat(format=format_name)
    bits, (black, white), (middle, span) = target.bits, target.value_range, target.chroma
    planes = np.empty((*pixels.shape[:2], 3), np.uint8 if bits == 8 else np.uint16)
    if pixels.ndim == 2:
        planes[..., 0] = _changed(pixels, source, target)
        planes[..., 1:] = int(middle)
    else:
        red, blue = target.matrix
        rgb = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
        luma = rgb @ np.array([red, 1 - red - blue, blue], np.float32)
        planes[..., 0] = _rounded(black + (white - black) * luma, bits)
        for place, (channel, weight) in enumerate(((2, blue), (0, red)), 1):
            difference = (rgb[..., channel] - luma) / np.float32(2 * (1 - weight))
            planes[..., place] = _rounded(middle + span * difference, bits)
    made = VideoFrame.from_ndarray(planes, LAYOUTS[bits], channel_last=True)
    return _relaid(made, format_name)


def _changed(luma: NDArray[Any], source: Coding, target: Coding) -> NDArray[Any]:
    """Luma of the one coding in that of the other; as it is, where black, white and depth are the same."""
    if source.value_range == target.value_range and source.bits == target.bits:
        return luma
    (black, white), (new_black, new_white) = source.value_range, target.value_range
    shown = (luma.astype(np.float32) - np.float32(black)) / np.float32(white - black)
    return _rounded(new_black + (new_white - new_black) * shown, target.bits)


def _rounded(values: NDArray[Any], bits: int) -> NDArray[Any]:
    rounded: NDArray[Any] = np.clip(np.rint(values), 0, (1 << bits) - 1).astype(np.uint8 if bits == 8 else np.uint16)
    return rounded


def _relaid(frame: VideoFrame, format_name: str) -> VideoFrame:
    """The same values in another layout. Told that both have full range and one matrix, libswscale changes neither."""
    return frame.reformat(
        format=format_name,
        src_colorspace=Colorspace.ITU709,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_FLAGS,
    )
