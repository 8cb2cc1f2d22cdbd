"""Means, medians and bootstrap intervals of groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlight.evaluation import ALL, Measures, Pair, Row, summarise
from lowlight.evaluation.summary import bootstrap_interval
from lowlight.imaging import Found


def row(value: float, truth: str = "a", group: str = "g", contrast: float | None = None) -> Row:
    clean = Found(Path(truth), Path(truth), explicit=False)
    return Row(Pair(truth, group, clean, clean), Measures(psnr=value, ssim=0.5, contrast=contrast))


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(list(random.normal(3, 1, 40)), range(40))
        covered += low <= 3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_observations_of_one_image_do_not_pass_for_independent_images() -> None:
    values = np.repeat(np.random.default_rng(2).normal(0, 1, 20), 3)
    together = bootstrap_interval(list(values), np.repeat(np.arange(20), 3))
    apart = bootstrap_interval(list(values), range(60))
    assert together[1] - together[0] > 1.5 * (apart[1] - apart[0])
    # As wide as that of the twenty images.
    once = bootstrap_interval(list(values[::3]), range(20))
    assert together == pytest.approx(once)


def test_the_same_rows_give_the_same_interval_and_a_few_images_give_none() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert bootstrap_interval(values, "abcde") == bootstrap_interval(values, "abcde")
    assert bootstrap_interval(values, "abcdd") is None
    assert bootstrap_interval([], []) is None


def test_groups_come_by_name_and_all_of_them_last() -> None:
    rows = [row(10, "a", "x"), row(30, "b", "x"), row(20, "c", "b"), row(50, "d", "b", contrast=0.5), row(40, "e", "b")]
    groups = summarise(rows)
    assert [(group.name, group.count) for group in groups] == [("b", 3), ("x", 2), (ALL, 5)]
    everything = groups[-1].measures["psnr"]
    assert (everything.count, everything.mean, everything.median) == (5, 30, 30)
    assert everything.low < 30 < everything.high
    assert groups[0].measures["psnr"].low is None
    contrast = groups[-1].measures["contrast"]
    assert (contrast.count, contrast.mean, contrast.low) == (1, 0.5, None)
    assert groups[-1].measures["detail_fidelity"].mean is None


def test_one_group_is_not_told_twice_and_nothing_is_no_group() -> None:
    assert [group.name for group in summarise([row(1), row(2)])] == [ALL]
    assert summarise([]) == []
