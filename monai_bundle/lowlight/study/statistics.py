"""The statistics of reader studies, on plain numbers.

- Bradley-Terry: Bradley and Terry, Biometrika 39 (1952); by maximum likelihood, `choix`.
- Visual grading characteristics: Båth and Månsson, Br. J. Radiol. 80 (2007).
- Visual grading regression: Smedby and Fredrikson, Br. J. Radiol. 83 (2010); proportional odds, `statsmodels`.
- Krippendorff's alpha: Krippendorff, Content Analysis, 4th ed. (2018), chapter 12; `krippendorff`.
- Holm, Scand. J. Statist. 6 (1979); `statsmodels`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import choix
import krippendorff
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, logit
from scipy.stats import norm, rv_continuous
from statsmodels.miscmodels.ordinal_model import OrderedModel
from statsmodels.stats.multitest import multipletests

from lowlight.study.questions import SCALE

PRIOR = 0.05
"""Of each version against each other, so many imagined wins each way, where answers alone give no finite estimate."""

ALPHA, POWER = 0.05, 0.8

LEAST_CLUSTERS = 10
"""Images below which a covariance that is clustered by them is far too small to be shown."""

LEAST_IMAGES = 6
"""Images below which no p value is told: five that all agree do not reach 5 % in a two-sided sign test."""


@dataclass(frozen=True)
class BradleyTerry:
    """Abilities on the logit scale, that of the reference 0: version i is preferred to j with the odds exp(a_i - a_j).

    Attributes:
        abilities, errors: (versions,), with standard errors from the observed information.
        bounded: some version always won or lost, and `PRIOR` kept the estimate finite.
    """

    abilities: NDArray[np.float64]
    errors: NDArray[np.float64]
    bounded: bool


def bradley_terry(wins: NDArray[np.float64], reference: int = 0) -> BradleyTerry:
    """Fit the model to (versions, versions) counts: wins[i, j] is how often i was preferred to j."""
    counts, bounded = _made_finite(wins)
    fitted = choix.ilsr_pairwise_dense(counts, alpha=0.0, tol=1e-10)
    abilities = fitted - fitted[reference]
    information = _information(counts[None], abilities[None])[0]
    others = [index for index in range(len(counts)) if index != reference]
    errors = np.zeros(len(counts))
    errors[others] = np.sqrt(np.diag(np.linalg.inv(information[np.ix_(others, others)])))
    return BradleyTerry(abilities, errors, bounded)


def bradley_terry_abilities(
    wins: NDArray[np.float64], start: NDArray[np.float64], reference: int = 0
) -> NDArray[np.float64]:
    """The abilities alone for many tables (tables, versions, versions) at once, by Newton's method: for resamples.

    Args:
        start: (versions,), where to begin: the abilities of the whole.
    """
    counts = np.stack([_made_finite(table)[0] for table in wins])
    abilities = np.tile(start - start[reference], (len(counts), 1))
    others = [index for index in range(len(start)) if index != reference]
    for _ in range(50):
        expected = (counts + counts.swapaxes(1, 2)) * _probabilities(abilities)
        gradient = (counts - expected).sum(2)[:, others]
        information = _information(counts, abilities)[:, others][:, :, others]
        step = np.clip(np.linalg.solve(information, gradient[..., None])[..., 0], -2, 2)
        abilities[:, others] += step
        if np.abs(step).max() < 1e-9:
            break
    return abilities


def _made_finite(wins: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """The counts without a diagonal, with `PRIOR` where it is needed, and whether it was."""
    counts = np.array(wins, np.float64)
    np.fill_diagonal(counts, 0)
    if _all_finite(counts):
        return counts, False
    return counts + PRIOR * (1 - np.eye(len(counts))), True


def _probabilities(abilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(abilities[:, None, :] - abilities[:, :, None]))


def _information(counts: NDArray[np.float64], abilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The observed information (tables, versions, versions); singular without a reference."""
    odds = _probabilities(abilities)
    weight = (counts + counts.swapaxes(1, 2)) * odds * (1 - odds)
    return weight.sum(2)[:, :, None] * np.eye(counts.shape[1]) - weight


def _all_finite(counts: NDArray[np.float64]) -> bool:
    """Ford (1957): the estimate is finite if each version can be reached from each other by wins."""
    return int(connected_components(counts > 0, connection="strong")[0]) == 1


@dataclass(frozen=True)
class Vgc:
    """A visual grading characteristics curve.

    Attributes:
        reference, test: shares of gradings at or above each threshold, from 0 to 1: the curve's points.
        area: under the curve, by trapezoids; 0.5: no difference, more: the test version is graded higher.
    """

    reference: NDArray[np.float64]
    test: NDArray[np.float64]
    area: float


def vgc(reference: NDArray[np.float64], test: NDArray[np.float64]) -> Vgc:
    """The curve from counts of each grade, worst first, of the reference and of the version that is tested."""
    points = [np.concatenate([[0.0], np.cumsum(counts[::-1]) / counts.sum()]) for counts in (reference, test)]
    return Vgc(points[0], points[1], float(np.trapezoid(points[1], points[0])))


def vgc_areas(reference: NDArray[np.float64], test: NDArray[np.float64]) -> NDArray[np.float64]:
    """The areas alone for many pairs of counts (pairs, grades), worst first; NaN where one of the two is empty."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [counts / counts.sum(1, keepdims=True) for counts in (reference, test)]
    below = np.cumsum(shares[0], axis=1) - shares[0] / 2
    return (shares[1] * below).sum(1)


def counts_of(grades: NDArray[np.int64], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """How often each point of the scale was given."""
    return np.bincount(grades - SCALE[0], weights=weights, minlength=len(SCALE)).astype(np.float64)


@dataclass(frozen=True)
class OddsRatio:
    """How a version's odds of a higher grade compare with the reference's; its logarithm has a standard error."""

    version: int
    log_odds: float
    error: float
    p: float


class _Logistic(rv_continuous):
    """The logistic distribution as `OrderedModel` needs it; SciPy's own spends nine tenths of a fit on checks."""

    def cdf(self, x: NDArray[np.float64], *args: Any, **more: Any) -> NDArray[np.float64]:
        return expit(x)

    def pdf(self, x: NDArray[np.float64], *args: Any, **more: Any) -> NDArray[np.float64]:
        return expit(x) * expit(-x)

    def ppf(self, q: NDArray[np.float64], *args: Any, **more: Any) -> NDArray[np.float64]:
        return logit(q)


def grading_regression(grades: pd.DataFrame, reference: int, clustered: bool = True) -> list[OddsRatio]:
    """Proportional-odds regression of "value" on "version", with effects of "reader" and errors clustered by "image".

    Args:
        grades: of one question; columns value, version, reader, image.
        reference: the version whose odds are 1.
        clustered: False: take all grades for independent.

    Returns:
        One for each other version; none where grades do not vary, the fit fails, or there are fewer images than
        `LEAST_CLUSTERS`.
    """
    values = pd.Categorical(grades["value"], ordered=True)
    versions = sorted(set(grades["version"]) - {reference})
    if len(values.categories.unique()) < 2 or not versions or reference not in set(grades["version"]):
        return []
    design = pd.DataFrame({f"v{version}": (grades["version"] == version).astype(float) for version in versions})
    for reader in sorted(set(grades["reader"]))[1:]:
        design[f"r{reader}"] = (grades["reader"] == reader).astype(float)
    codes = pd.Series(values.codes, index=design.index)
    if clustered and grades["image"].nunique() < LEAST_CLUSTERS:
        return []
    by_image = {"cov_type": "cluster", "cov_kwds": {"groups": grades["image"].astype("category").cat.codes}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = OrderedModel(codes, design, distr=_Logistic()).fit(
                method="bfgs", disp=0, maxiter=500, **(by_image if clustered else {})
            )
        except (ValueError, np.linalg.LinAlgError):
            return []
    found = []
    for version in versions:
        error = float(fit.bse[f"v{version}"])
        if np.isfinite(error) and abs(fit.params[f"v{version}"]) < 15:
            found.append(OddsRatio(version, float(fit.params[f"v{version}"]), error, float(fit.pvalues[f"v{version}"])))
    return found


def alpha(table: NDArray[np.float64], level: str) -> float | None:
    """Krippendorff's alpha of values (observers, units), NaN where missing; None where it is not defined.

    Args:
        level: "nominal" or "ordinal".
    """
    paired = table[:, (~np.isnan(table)).sum(0) >= 2]
    if paired.size == 0 or len(np.unique(paired[~np.isnan(paired)])) < 2:
        return None
    return float(krippendorff.alpha(paired, level_of_measurement=level))


def holm(p: Sequence[float]) -> list[float]:
    """P values adjusted for so many of them (Holm 1979)."""
    return multipletests(p, method="holm")[1].tolist() if p else []


def resampled_weights(
    readers: NDArray[np.int64], images: NDArray[np.int64], resamples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Bootstrap over readers and cases: how often each answer counts in each resample, (resamples, answers).

    Readers and images are drawn with replacement, each apart; an answer counts as often as its reader and its image
    were drawn, multiplied. One reader alone, or one image, is kept as it is.
    """
    weights = np.ones((resamples, len(readers)))
    for groups in (readers, images):
        names, index = np.unique(groups, return_inverse=True)
        if len(names) > 1:
            drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
            weights *= drawn[:, index]
    return weights


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % percentile interval of bootstrap values, those that are not defined left out."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def bootstrap_p(values: NDArray[np.float64], null: float) -> float:
    """Two-sided p value: how often resamples lie on the other side of the null value, never less than they can tell."""
    defined = values[np.isfinite(values)]
    below, above = float(np.sum(defined <= null)), float(np.sum(defined >= null))
    return min(1.0, 2 * (min(below, above) + 1) / (len(defined) + 1))


def error_of(interval_: tuple[float, float]) -> float:
    """The standard error that a 95 % interval amounts to, as if it were that of a normal distribution."""
    low, high = interval_
    return (high - low) / (2 * float(norm.ppf(1 - ALPHA / 2)))


def detectable_preference(error: float) -> float:
    """The smallest preference above one half that is found with 80 % power at 5 %, two-sided.

    Normal approximation on the logit scale (Fleiss, Statistical Methods for Rates and Proportions, 1981, section 2.2):
    the ability has to be as many standard errors from 0 as the quantiles of level and power together.

    Args:
        error: standard error of the ability, logit scale.
    """
    return float(expit(_quantiles() * error))


def needed_comparisons(rate: float, error: float, comparisons: int) -> float:
    """How many comparisons find a preference rate with 80 % power at 5 %.

    The variance is taken to fall as their number grows, which holds where readers and images grow in the same measure.

    Args:
        error: standard error of the ability that so many ``comparisons`` gave.
    """
    return comparisons * (_quantiles() * error / float(logit(rate))) ** 2


def detectable_area(error: float) -> float:
    """How far from 0.5 a VGC area has to be to be found with 80 % power at 5 %; at most 0.5.

    Args:
        error: standard error of the area.
    """
    return min(0.5, _quantiles() * error)


def _quantiles() -> float:
    return float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
