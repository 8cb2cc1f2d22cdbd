"""Small pictures, scales and histograms inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from lowlight.reports.charts import HEIGHT, WIDTH, histogram
from lowlight.reports.pictures import (
    ANCHORS,
    Picture,
    factor_map,
    number,
    sequential_map,
    symmetric_map,
    thumbnail,
)


def decoded(picture: Picture) -> Image.Image:
    kind, _, data = picture.uri.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (picture.width, picture.height)
    return image.convert("RGB")


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (2000, 3), (353, 353, 3), (1500, 900), (100, 40, 3)])
@pytest.mark.parametrize("longest", [64, 480])
def test_no_picture_is_larger_than_asked_or_loses_its_shape(shape: tuple[int, ...], longest: int) -> None:
    picture = thumbnail(np.full(shape, 0.5, np.float32), longest)
    assert max(picture.width, picture.height) == min(longest, max(shape[:2]))
    scale = min(1, longest / max(shape[:2]))
    assert (picture.height, picture.width) == pytest.approx([max(1, scale * side) for side in shape[:2]], abs=1)
    assert np.abs(np.asarray(decoded(picture)).astype(int) - 128).max() <= 2


def test_a_thumbnail_looks_like_its_image(retina: np.ndarray) -> None:
    shown = np.asarray(decoded(thumbnail(retina / 255, 353))).astype(float)
    assert np.sqrt(np.mean((shown - retina) ** 2)) < 4


def test_what_lies_outside_the_range_is_shown_as_black_or_white() -> None:
    shown = decoded(thumbnail(np.repeat([[-3.0, 7.0]], 16, 1).repeat(8, 0).astype(np.float32), 64))
    assert shown.getpixel((2, 4)) == pytest.approx((0, 0, 0), abs=3)
    assert shown.getpixel((29, 4)) == pytest.approx((255, 255, 255), abs=3)


def test_the_ends_of_a_scale_have_its_end_colours() -> None:
    ramp = np.tile(np.linspace(0, 2, 100), (10, 1))
    drawn = sequential_map(ramp, 100, "of range")
    shown = decoded(drawn.picture)
    assert shown.getpixel((0, 5)) == ANCHORS["sequential"][0]
    assert shown.getpixel((99, 5)) == ANCHORS["sequential"][-1]
    assert (drawn.low, drawn.middle, drawn.high) == ("0 of range", "0.99", "≥ 1.98")


def test_zero_is_the_middle_of_a_symmetric_scale() -> None:
    drawn = symmetric_map(np.tile(np.linspace(-1, 1, 101), (10, 1)) * 5, 101, "%")
    shown = decoded(drawn.picture)
    assert max(shown.getpixel((50, 5))) < 40
    blue, orange = shown.getpixel((0, 5)), shown.getpixel((100, 5))
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    assert drawn.middle == "0 %"


def test_factors_lie_on_a_logarithmic_scale() -> None:
    drawn = factor_map(np.array([[1.0, 4.0, 16.0]]), 3)
    assert (drawn.low, drawn.middle, drawn.high) == ("× 1", "× 4", "× 16")  # noqa: RUF001


def test_lightness_rises_along_the_sequential_scale() -> None:
    luminance = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in ANCHORS["sequential"]]
    assert luminance == sorted(luminance)


@pytest.mark.parametrize("values", [np.zeros((4, 4)), np.zeros((1, 1)), np.full((5, 900), 3.0)])
def test_constant_maps_are_drawn(values: np.ndarray) -> None:
    for drawn in (sequential_map(values, 64, "px"), symmetric_map(values, 64, "px"), factor_map(values + 1, 64)):
        assert "nan" not in f"{drawn.low}{drawn.middle}{drawn.high}"
        decoded(drawn.picture)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1, "1"), (0.1234, "0.123"), (12.34, "12.3"), (1234.5, "1234"), (0.00012, "0.00012"), (3e-6, "3.0e-6")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_a_histogram_counts_what_is_judged() -> None:
    luminance = np.zeros((10, 10))
    luminance[5:] = 0.9
    assert histogram(luminance).text == "50% of the pixels in the darkest quarter of the range, 50% in the brightest"
    assert histogram(luminance, luminance > 0.5).text.startswith("0% of the pixels in the darkest")
    assert histogram(luminance, np.zeros((10, 10), bool)).path == ""


def test_a_histogram_stays_within_its_drawing() -> None:
    path = histogram(np.array([[-1.0, 0.0, 0.3, 1.0, 5.0]])).path
    heights = [float(part.split("H")[0]) for part in path.split("V")[1:-1]]
    widths = [float(part) for part in path.replace("V", "H").split("H")[2::2] if "Z" not in part]
    assert min(heights) >= 0
    assert max(heights) <= HEIGHT
    assert max(widths) <= WIDTH
