"""A real image, darkened, enhanced and shown beside the truth: needs no network connection and no data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lowlight import __version__
from lowlight.degradation import LowLight
from lowlight.enhance.enhancer import Enhancer
from lowlight.errors import DependencyError
from lowlight.evaluation import Measures, compare
from lowlight.imaging import read, write_png


@dataclass(frozen=True)
class Example:
    """A real image inside an installed package.

    Attributes:
        package, resource: where it lies.
        modality: which preset darkens it.
        origin: what it is and where it comes from.
        seed: of its degradation.
    """

    package: str
    resource: str
    modality: str
    origin: str
    seed: int = 1

    def pixels(self) -> NDArray[np.uint8]:
        """The image, 8 bit, (H, W) or (H, W, 3), scaled down by a whole factor to at most `LONGEST_SIDE` pixels.

        Raises:
            DependencyError: the package is not installed, or came without its images.
            InputError: the image is damaged.
        """
        try:
            path = Path(str(files(self.package) / self.resource))
        except ModuleNotFoundError:
            path = None
        if path is None or not path.is_file():
            raise DependencyError(
                f"the example image of {self.package} is not installed; "
                "install lowlight-enhance[bundle], or choose another image"
            )
        return _eight_bit(_reduced(np.clip(read(path).normalised(), 0, 1)))

    def darkened(self, severity: str) -> tuple[NDArray[np.uint8], str]:
        """The image as low light would have left it, 8 bit, of the shape of `pixels`; and what was done, in a line.

        Args:
            severity: light, medium or heavy.

        Raises:
            DependencyError, InputError: as `pixels`.
        """
        transform = LowLight(severity, self.modality).set_random_state(self.seed)
        dark = _eight_bit(_channels_last(transform(_channels_first(self.pixels()))))
        return dark, "as it was" if transform.drawn is None else transform.drawn.describe()


EXAMPLES = {
    "retina": Example(
        "skimage",
        "data/retina.jpg",
        "fundus",
        "public-domain fundus photograph of a normal left eye, from scikit-image",
    ),
    "ultrasound": Example(
        "pydicom", "data/test_files/examples_jpeg2k.dcm", "ultrasound", "ultrasound of a lymph node, from pydicom"
    ),
}

SEVERITY = "medium"
LONGEST_SIDE = 640

_BACKGROUND, _TITLE, _TEXT = (24, 24, 26), (255, 255, 255), (190, 190, 195)
_GAP, _CAPTION, _FOOTER = 12, 64, 34


@dataclass(frozen=True)
class Demonstration:
    """What was shown.

    Attributes:
        picture: the file: dark, enhanced and true image side by side.
        origin: what the image is and where it comes from.
        degradation: what was done to darken it, in a line.
        before, after: the dark and the enhanced image, measured against the truth.
    """

    picture: Path
    origin: str
    degradation: str
    before: Measures
    after: Measures


def demonstrate(picture: str | Path, example: str, enhancer: Enhancer) -> Demonstration:
    """Darken an example image, enhance it, and write the picture that shows both and the truth.

    Args:
        picture: the PNG to write.
        example: one of `EXAMPLES`.
        enhancer: sees nothing but the 8-bit dark image and what kind of image it is, as any user's.

    Raises:
        DependencyError: the example is not installed.
        OutputError: the picture cannot be written.
    """
    chosen = EXAMPLES[example]
    truth = chosen.pixels()
    dark, described = chosen.darkened(SEVERITY)
    enhanced = enhancer(dark, modality=chosen.modality).image
    before, after = (compare(image / 255, truth / 255) for image in (dark, enhanced))
    panels = [
        ("Dark", f"simulated: {_scores(before)}", dark),
        ("Enhanced", f"from the dark image alone: {_scores(after)}", enhanced),
        ("Truth", "before it was darkened", truth),
    ]
    footer = f"LowLightEnhance {__version__}. {chosen.origin[0].upper()}{chosen.origin[1:]}. Not a medical device."
    path = write_png(_side_by_side(panels, footer), picture)
    return Demonstration(path, chosen.origin, described, before, after)


def _scores(measures: Measures) -> str:
    return f"PSNR {measures.psnr:.1f} dB, SSIM {measures.ssim:.2f}"


def _side_by_side(panels: Sequence[tuple[str, str, NDArray[np.uint8]]], footer: str) -> NDArray[np.uint8]:
    """Images of one size with a title and a line each; the images themselves pixel for pixel."""
    height, width = panels[0][2].shape[:2]
    canvas = Image.new(
        "RGB",
        (len(panels) * (width + _GAP) + _GAP, _CAPTION + height + _FOOTER),
        _BACKGROUND,
    )
    draw = ImageDraw.Draw(canvas)
    for index, (title, line, pixels) in enumerate(panels):
        left = _GAP + index * (width + _GAP)
        draw.text((left, 10), title, _TITLE, ImageFont.load_default(24))
        draw.text((left, 40), line, _TEXT, ImageFont.load_default(15))
        canvas.paste(Image.fromarray(pixels).convert("RGB"), (left, _CAPTION))
    draw.text((_GAP, _CAPTION + height + 10), footer, _TEXT, ImageFont.load_default(13))
    return np.asarray(canvas)


def _reduced(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over squares of a whole number of pixels: no interpolation that could flatter or blur."""
    factor = -(-max(image.shape[:2]) // LONGEST_SIDE)
    height, width = (side // factor for side in image.shape[:2])
    cut = image[: height * factor, : width * factor]
    return cut.reshape(height, factor, width, factor, *image.shape[2:]).mean((1, 3))


def _eight_bit(image: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _channels_first(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    scaled = image.astype(np.float32) / np.float32(255)
    return scaled[None] if scaled.ndim == 2 else np.moveaxis(scaled, -1, 0)


def _channels_last(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    return planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)
