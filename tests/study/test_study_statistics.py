"""The statistics against published worked examples and documented results of R packages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lowlight.study import statistics

# Citations between statistics journals, cited by citing: Biometrika, Comm Statist, JASA, JRSS-B. Stigler, Statistical
# Science 9 (1994), as data `citations` of the R package BradleyTerry2.
CITATIONS = np.array(
    [[714, 730, 498, 221], [33, 425, 68, 17], [320, 813, 1072, 142], [284, 276, 325, 188]], dtype=float
)


def test_bradley_terry_gives_the_documented_abilities_of_the_journals() -> None:
    # Turner and Firth, J. Stat. Softw. 48(9), 2012, section 2.1, and the package's vignette: abilities of BTm.
    found = statistics.bradley_terry(CITATIONS)
    np.testing.assert_allclose(found.abilities, [0, -2.94907, -0.47957, 0.26895], atol=5e-5)
    np.testing.assert_allclose(found.errors, [0, 0.10255, 0.06059, 0.07083], atol=5e-5)
    assert not found.bounded


def test_another_reference_shifts_all_abilities_alike() -> None:
    first, third = statistics.bradley_terry(CITATIONS), statistics.bradley_terry(CITATIONS, reference=2)
    np.testing.assert_allclose(third.abilities, first.abilities - first.abilities[2], atol=1e-6)


def test_resamples_are_fitted_as_the_whole_is() -> None:
    tables = np.stack([CITATIONS, CITATIONS[::-1, ::-1], [[0, 9, 9, 9], [0, 0, 5, 1], [0, 4, 0, 3], [1, 2, 3, 0]]])
    found = statistics.bradley_terry_abilities(tables, np.zeros(4))
    for table, abilities in zip(tables, found, strict=True):
        np.testing.assert_allclose(abilities, statistics.bradley_terry(table).abilities, atol=1e-5)
    grades = np.array([[33.0, 6, 6, 11, 2], [3, 2, 2, 11, 33], [1, 0, 0, 0, 0]])
    areas = statistics.vgc_areas(grades, grades[[1, 0, 1]])
    np.testing.assert_allclose(
        areas, [statistics.vgc(*pair).area for pair in zip(grades, grades[[1, 0, 1]], strict=True)], atol=1e-12
    )


def test_a_version_that_always_wins_gets_a_finite_ability_and_says_so() -> None:
    found = statistics.bradley_terry(np.array([[0.0, 0.0], [9.0, 0.0]]))
    assert found.bounded
    assert 3 < found.abilities[1] < 8
    assert np.isfinite(found.errors[1])


# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example D: four observers, twelve units.
NONE = np.nan
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_alpha_is_that_of_krippendorffs_own_example(level: str, published: float) -> None:
    assert statistics.alpha(OBSERVERS, level) == pytest.approx(published, abs=5e-4)


def test_alpha_is_not_defined_without_two_values_or_two_observers() -> None:
    assert statistics.alpha(np.ones((3, 4)), "ordinal") is None
    assert statistics.alpha(np.array([[1.0, 2.0, 3.0]]), "ordinal") is None


def test_the_vgc_area_is_the_published_one_of_ratings_on_five_points() -> None:
    # No table of ratings with its area is printed in Båth and Månsson 2007 as far as could be found. A VGC curve is an
    # ROC curve whose two groups are the two systems, so the area is checked with the worked example of Hanley and
    # McNeil, Radiology 143 (1982), table I: 58 normal and 51 abnormal CT images, area 0.893 by trapezoids.
    normal, abnormal = np.array([33.0, 6, 6, 11, 2]), np.array([3.0, 2, 2, 11, 33])
    assert statistics.vgc(normal, abnormal).area == pytest.approx(0.893, abs=5e-4)
    assert statistics.vgc(abnormal, normal).area == pytest.approx(1 - 0.893, abs=5e-4)


def test_equal_gradings_lie_on_the_diagonal() -> None:
    curve = statistics.vgc(np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 4, 6, 8, 10]))
    assert curve.area == pytest.approx(0.5)
    np.testing.assert_allclose(curve.reference, curve.test)


# Satisfaction of tenants in Copenhagen, data `housing` of the R package MASS: by contact, type of rental, influence.
# fmt: off
HOUSING = np.array([
    21, 21, 28, 34, 22, 36, 10, 11, 36, 61, 23, 17, 43, 35, 40, 26, 18, 54, 13, 9, 10, 8, 8, 12,
    6, 7, 9, 18, 6, 7, 15, 13, 13, 7, 5, 11, 14, 19, 37, 17, 23, 40, 3, 5, 23, 78, 46, 43,
    48, 45, 86, 15, 25, 62, 20, 23, 20, 10, 22, 24, 7, 10, 21, 57, 23, 13, 31, 21, 13, 5, 6, 13,
]).reshape(2, 4, 3, 3)
# fmt: on


def test_the_ordinal_regression_gives_the_documented_coefficients_of_polr() -> None:
    # Venables and Ripley, Modern Applied Statistics with S (2002), section 7.3; ?polr of MASS, house.plr: influence
    # medium and high 0.5663937 and 1.2888191, type apartment, atrium, terrace -0.5723501, -0.3661866, -1.0910149.
    # Here influence plays the version and type the reader; contact is left out of both by fitting it as a reader, too.
    rows = [
        (satisfaction, influence, f"{kind}", contact)
        for (contact, kind, influence, satisfaction), count in np.ndenumerate(HOUSING)
        for _ in range(count)
    ]
    table = pd.DataFrame(rows, columns=["value", "version", "reader", "contact"])
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    design = pd.DataFrame({"medium": table.version == 1, "high": table.version == 2}).astype(float)
    for kind in "123":
        design[kind] = (table.reader == kind).astype(float)
    design["contact"] = table.contact.astype(float)
    fit = OrderedModel(table.value, design, distr="logit").fit(method="bfgs", disp=0)
    expected = [0.5663937, 1.2888191, -0.5723501, -0.3661866, -1.0910149, 0.3602841]
    np.testing.assert_allclose(fit.params.to_numpy()[:6], expected, atol=5e-4)
    # Our own call on the same data without contact finds what the same model fitted here finds.
    ours = statistics.grading_regression(table.assign(image=0), reference=0, clustered=False)
    same = OrderedModel(table.value, design.drop(columns="contact"), distr="logit").fit(method="bfgs", disp=0)
    assert [one.log_odds for one in ours] == pytest.approx(same.params[["medium", "high"]].tolist(), abs=5e-4)
    assert [one.error for one in ours] == pytest.approx(same.bse[["medium", "high"]].tolist(), abs=5e-4)


def test_holms_adjustment_is_that_of_his_example() -> None:
    # R's documentation of p.adjust gives the rule; by hand for 0.01, 0.04, 0.03, 0.005: 0.03, 0.06, 0.06, 0.02.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_power_agrees_with_the_sample_size_of_the_textbook_where_answers_are_independent() -> None:
    # One proportion against 0.5, two-sided 5 %, power 80 %, normal approximation: 0.65 needs 85 (Fleiss 1981, 2.2). On
    # the logit scale, where the error of a share near one half is 2 / sqrt(n), the approximation is another one.
    assert statistics.needed_comparisons(0.65, 2 / np.sqrt(100), 100) == pytest.approx(85, rel=0.05)
    needed = statistics.needed_comparisons(0.65, 0.3, 50)
    assert statistics.detectable_preference(0.3 * np.sqrt(50 / needed)) == pytest.approx(0.65)
    assert statistics.detectable_area(0.05) == pytest.approx(0.14, abs=5e-4)
    assert statistics.detectable_area(9) == 0.5


def test_what_power_says_is_found_is_found_by_the_intervals_of_the_report() -> None:
    readers, images = np.repeat(np.arange(8), 12), np.tile(np.arange(12), 8)

    def interval(ability: float, seed: int) -> tuple[float, float]:
        """Of the ability over all readers and images, in one study of some that differ."""
        random = np.random.default_rng(seed)
        # What differs draws the mean share to one half: by 16 sqrt(3) / (15 pi) the logistic is nearly a normal law.
        spread_out = np.sqrt(1 + (16 * np.sqrt(3) / (15 * np.pi)) ** 2 * (0.5**2 + 0.5**2))
        felt = ability * spread_out + random.normal(0, 0.5, 8)[readers] + random.normal(0, 0.5, 12)[images]
        chosen = random.random(96) < 1 / (1 + np.exp(-felt))
        weights = statistics.resampled_weights(readers, images, 150, random)
        share = np.clip((weights @ chosen) / weights.sum(1), 0.01, 0.99)
        return statistics.interval(np.log(share / (1 - share)))

    errors = [statistics.error_of(interval(0, seed)) for seed in range(60)]
    detectable = statistics.detectable_preference(float(np.median(errors)))
    assert 0.6 < detectable < 0.85
    ability = float(np.log(detectable / (1 - detectable)))
    found = np.mean([interval(ability, seed)[0] > 0 for seed in range(100, 200)])
    # 80 % or more: resampling readers and cases at once errs on the side of wide intervals.
    assert 0.75 <= found <= 0.99, found
    assert np.mean([interval(0, seed)[0] > 0 for seed in range(100)]) <= 0.05


def test_a_resample_counts_answers_by_their_reader_times_their_image() -> None:
    readers, images = np.repeat([0, 1, 2], 4), np.tile([0, 1, 2, 3], 3)
    weights = statistics.resampled_weights(readers, images, 200, np.random.default_rng(1)).reshape(200, 3, 4)
    assert weights.sum((1, 2)) == pytest.approx(np.full(200, 12))
    ranks = [np.linalg.matrix_rank(table) for table in weights]
    assert set(ranks) == {1}
    alone = statistics.resampled_weights(np.zeros(4, int), images[:4], 50, np.random.default_rng(1))
    assert alone.sum(1) == pytest.approx(np.full(50, 4))


def test_the_regressions_errors_are_those_of_images_not_of_grades() -> None:
    random = np.random.default_rng(3)
    rows = []
    for image in range(12):
        for version in (0, 1):
            for reader in range(4):
                # What an image adds to a version is the same for all readers: four readers are not four images.
                level = 3 + version * (0.3 + np.sin(9.0 * image)) + random.normal(0, 0.5)
                rows.append((int(np.clip(np.rint(level), 1, 5)), version, f"R{reader}", image))
    table = pd.DataFrame(rows, columns=["value", "version", "reader", "image"])
    (clustered,) = statistics.grading_regression(table, 0)
    (independent,) = statistics.grading_regression(table, 0, clustered=False)
    assert clustered.log_odds == pytest.approx(independent.log_odds)
    assert clustered.error > 1.2 * independent.error
    assert statistics.grading_regression(table[table.image < 9].reset_index(drop=True), 0) == []
