"""The statistics against those of statsmodels, which only these tests need."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from catdog.comparison.metrics import wilson_interval
from catdog.comparison.over_photos import Table, holm, mcnemar, p_different, p_equivalent
from catdog.comparison.over_seeds import OverSeeds

cells = st.integers(0, 60)


@settings(deadline=None, max_examples=60)
@given(cells, cells)
def test_mcnemar(won: int, lost: int) -> None:
    table = Table(both=7, only_first=won, only_second=lost, neither=2)
    assert mcnemar(table) == pytest.approx(their_mcnemar([[7, won], [lost, 2]], exact=True).pvalue)


@pytest.mark.parametrize("count", [1, 2, 6, 10])
def test_holm(count: int) -> None:
    p = np.random.default_rng(count).beta(0.3, 1, count)
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 192))
def test_wilson(correct: int) -> None:
    found = wilson_interval(correct, 192)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(correct, 192, method="wilson"), abs=1e-12
    )


def test_over_seeds_without_variance_over_photos_is_welch_and_its_two_one_sided_tests() -> None:
    """Errors of each seed on photos of their own leave the photos no covariance above zero."""
    n, wrong = 400, ([10, 14, 21, 12], [30, 27, 41])
    starts = np.cumsum([0, *wrong[0], *wrong[1]])
    photos = np.arange(n)
    rows = [(photos < a) | (photos >= b) for a, b in pairwise(starts)]
    first, second = np.array(rows[:4]), np.array(rows[4:])
    found = OverSeeds(first, second)
    theirs = CompareMeans(*(DescrStatsW(each.mean(axis=1)) for each in (first, second)))
    _, p, degrees = theirs.ttest_ind(usevar="unequal")
    assert (p_different(found), found.degrees) == pytest.approx((p, degrees))
    low, high = theirs.tconfint_diff(usevar="unequal")
    assert (found.interval().low, found.interval().high) == pytest.approx((low, high))
    tost = theirs.ttost_ind(-0.1, 0.1, usevar="unequal")[0]
    assert p_equivalent(found, 0.1) == pytest.approx(tost)
