"""What a study of this size can find, in sentences: from the spread behind the intervals that its report shows."""

from __future__ import annotations

from collections.abc import Sequence

from lowlight.study import statistics

TARGET = 0.65
"""The preference for which the report tells how many comparisons it takes."""

_TEST = f"with {statistics.POWER:.0%} power at a level of {statistics.ALPHA:.0%}".replace("%", " %")


def of_pairs(comparisons: int, intervals: Sequence[tuple[float, float]], readers: int, bounded: bool) -> str:
    """What pairs can find, each version against the reference by the Bradley-Terry model.

    Args:
        comparisons: all that the model was fitted to. readers: who made them.
        intervals: of the abilities of the versions beside the reference, as the report shows them.
        bounded: some version always won or lost, and the interval of its ability is that of `statistics.PRIOR`.
    """
    errors = [statistics.error_of(interval) for interval in intervals]
    if bounded:
        return "Power is not told: some version always won or lost, so the spread of its ability is not known."
    if not errors or not all(error > 0 for error in errors):
        return "Power is not told: the answers show no spread between readers and images."
    least, most = (statistics.detectable_preference(error) for error in (min(errors), max(errors)))
    found = f"{100 * most:.0f} %"
    if f"{100 * least:.0f} %" != found:
        found = f"{100 * least:.0f} to {found}, by version,"
    needed = statistics.needed_comparisons(TARGET, max(errors), comparisons)
    return (
        f"Power, for a version against the reference: with the spread between {_spread(readers)} that these intervals "
        f"show, {comparisons} comparisons of all versions find a preference of {found} {_TEST}, before adjustment for "
        f"the number of tests; for {100 * TARGET:.0f} % of any version it would take about {_rounded(needed)} "
        "comparisons, by more readers and of more images in the same measure."
    )


def of_gradings(errors: Sequence[float], readers: int) -> str:
    """What gradings can find.

    Args:
        errors: bootstrap standard errors of the areas, of all versions and questions; at least one.
    """
    # The widest: errors shrink towards areas of 0 and 1, and it is near 0.5 that power counts.
    error = max(errors)
    if not error > 0:
        return "Power is not told: the grades show no spread between readers and images."
    return (
        f"Power, for a version and a question: with the spread between {_spread(readers)} that the widest of these "
        f"intervals shows, gradings of this number find a VGC area that differs from 0.5 by "
        f"{statistics.detectable_area(error):.2f} {_TEST}, before adjustment for the number of tests."
    )


def _spread(readers: int) -> str:
    return "images (for this one reader)" if readers == 1 else "readers and images"


def _rounded(number: float) -> int:
    """Two digits: the third of an estimate from an estimated error tells nothing."""
    return int(float(f"{number:.2g}"))
