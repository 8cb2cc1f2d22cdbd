"""Details are planted where they can be seen, found again, and nothing else is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from lowlight.evaluation.planting import (
    CONTRAST,
    EACH,
    VISIBLE,
    Kind,
    Planting,
    contrast_to_noise,
    false_details,
    plant,
    recovered,
)


@pytest.fixture(scope="module", params=["retina", "camera"])
def clean(request: pytest.FixtureRequest) -> np.ndarray:
    image = data.retina()[::3, ::3] if request.param == "retina" else data.camera()
    return image.astype(np.float64) / 255


@pytest.fixture(scope="module")
def planting(clean: np.ndarray) -> Planting:
    return plant(clean, np.random.RandomState(3))


def test_every_kind_is_planted_bright_and_dark_inside_the_range(clean: np.ndarray, planting: Planting) -> None:
    assert len(planting.details) == sum(EACH.values())
    assert {detail.kind for detail in planting.details} == set(Kind)
    assert {detail.contrast > 0 for detail in planting.details} == {True, False}
    assert planting.image.min() >= 0
    assert planting.image.max() <= 1
    for number, detail in enumerate(planting.details, 1):
        # The median over the core of a thin or small shape lies below its peak.
        assert 0.6 * CONTRAST[0] <= abs(detail.contrast) <= 1.05 * CONTRAST[1]
        assert np.array_equal(planting.labels[detail.where] == number, detail.core)
        assert contrast_to_noise(planting.image, detail) > 1.5
    changed = np.abs(planting.image - clean)
    assert changed.max() > CONTRAST[0]
    assert (changed[planting.labels > 0] > 0).mean() > 0.99


def test_sizes_are_those_of_what_they_stand_for(planting: Planting) -> None:
    for detail in planting.details:
        area = int(detail.core.sum())
        rows, columns = (np.ptp(axis) + 1 for axis in np.nonzero(detail.core))
        if detail.kind is Kind.DOT:
            assert max(rows, columns) <= 7
        elif detail.kind is Kind.LINE:
            length = np.hypot(rows, columns)
            assert 15 <= length <= 70
            assert area / length < 3.2
        else:
            assert 6 <= max(rows, columns) <= 26


def test_the_same_seed_plants_the_same_and_the_clean_image_stays(clean: np.ndarray) -> None:
    before = clean.copy()
    one, same, other = (plant(clean, np.random.RandomState(seed)) for seed in (5, 5, 6))
    assert np.array_equal(clean, before)
    assert np.array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)


def test_what_is_recovered_is_the_share_of_the_true_contrast(clean: np.ndarray, planting: Planting) -> None:
    half = (clean + planting.image) / 2
    for detail in planting.details:
        assert recovered(planting.image, detail) == pytest.approx(1)
        assert recovered(clean, detail) == pytest.approx(0)
        assert recovered(half, detail) == pytest.approx(0.5, abs=0.1)


def test_impulses_move_neither_contrast_nor_visibility_much(planting: Planting) -> None:
    random = np.random.default_rng(0)
    salted = planting.image.copy()
    salted[random.random(salted.shape[:2]) < 0.02] = 1
    shares = [recovered(salted, detail) for detail in planting.details]
    assert np.median(np.abs(np.array(shares) - 1)) < 0.05


def test_noise_hides_details_from_the_faintest_on(planting: Planting) -> None:
    visible = []
    for sigma in (0.0, 0.03, 0.3):
        noisy = planting.image + sigma * np.random.default_rng(1).standard_normal(planting.image.shape)
        visible.append(sum(contrast_to_noise(noisy, detail) > VISIBLE for detail in planting.details))
    assert visible[0] > visible[2]
    assert visible == sorted(visible, reverse=True)
    assert visible[2] <= 2


def test_blur_takes_more_from_dots_and_lines_than_from_lesions(planting: Planting) -> None:
    blurred = gaussian_filter(planting.image, (2, 2, 0)[: planting.image.ndim])
    kept = {kind: [recovered(blurred, one) for one in planting.details if one.kind is kind] for kind in Kind}
    assert max(np.mean(kept[Kind.LINE]), np.mean(kept[Kind.DOT])) < np.mean(kept[Kind.LESION]) - 0.1
    assert np.mean(kept[Kind.LESION]) > 0.65


def test_the_truth_has_no_false_details_and_neither_brightness_nor_blur_makes_any(planting: Planting) -> None:
    blurred = gaussian_filter(planting.image, (1.5, 1.5, 0)[: planting.image.ndim])
    for image in (planting.image, planting.image**0.6, 0.2 + 0.5 * planting.image, blurred):
        assert len(false_details(image, planting.image)) == 0


def test_details_that_the_truth_lacks_are_found_where_they_are(clean: np.ndarray) -> None:
    added = plant(clean, np.random.RandomState(11), {Kind.DOT: 6, Kind.LESION: 0, Kind.LINE: 0})
    strong = [detail for detail in added.details if abs(detail.contrast) > 0.15]
    assert strong
    found = false_details(added.image, clean)
    hit = 0
    for detail in strong:
        middle = [(side.start + side.stop - 1) / 2 for side in detail.where]
        hit += bool(len(found)) and np.hypot(*(found - middle).T).min() <= 4
    assert hit >= 0.8 * len(strong)
    middles = [[(side.start + side.stop - 1) / 2 for side in one.where] for one in added.details]
    assert all(np.hypot(*(np.array(middles) - place).T).min() <= 8 for place in found), "and nowhere else"
    assert len(false_details(added.image, clean, least=0.5)) == 0, "none of them has such a contrast"


def test_an_image_without_room_gets_fewer_details_and_no_error() -> None:
    assert plant(np.full((12, 12), 0.5), np.random.RandomState(0)).details == []
    assert plant(np.full((80, 80), 0.5), np.random.RandomState(0), {Kind.DOT: 2}).details != []
    assert false_details(np.full((3, 3), 0.5), np.full((3, 3), 0.2)).shape == (0, 2)


def test_nothing_is_planted_into_black_borders() -> None:
    framed = np.zeros((160, 160, 3))
    framed[60:, 60:] = 0.5
    planting = plant(framed, np.random.RandomState(0), {Kind.DOT: 8})
    assert planting.details
    assert np.isfinite(planting.image).all()
    assert not planting.labels[:58].any()
    assert not planting.labels[:, :58].any()
