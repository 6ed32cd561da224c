"""A mean over classes is tested by swapping predictions, and its numbers agree with each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.comparison.groups import Groups
from catdog.comparison.judges import Averages, Permuted, Shares, judge
from catdog.comparison.over_photos import ALPHA, Paired, p_different
from catdog.metric import BALANCED, MACRO_F1, Metric

AVERAGES = [Metric(BALANCED), Metric(MACRO_F1)]
LABELS = np.repeat(["cat", "dog"], [180, 12])


def predictions(*recalls: float, seed: int = 0) -> np.ndarray:
    """Of the photos in LABELS, with these recalls of cats and dogs."""
    wrong = np.random.default_rng(seed).random(192) > np.where(LABELS == "cat", *recalls)
    return np.where(wrong, np.where(LABELS == "cat", "dog", "cat"), LABELS)


def test_shares_are_tested_as_ever() -> None:
    assert isinstance(judge(Metric(), LABELS), Shares)
    assert isinstance(judge(Metric("recall:dog"), LABELS), Shares)
    right = np.array([True, False, True])
    assert isinstance(Shares().pair(right, ~right, Groups()), Paired)


@pytest.mark.parametrize("metric", AVERAGES)
@settings(max_examples=20)
@given(rows=st.lists(st.lists(st.sampled_from("abc"), min_size=9, max_size=9), min_size=1))
def test_the_mean_of_the_values_is_the_metric(metric: Metric, rows: list[list[str]]) -> None:
    truth = np.array(list("aaaabbbcc"))
    found = Averages(metric, truth).values(np.array(rows)).mean(axis=1)
    expected = [metric.of_photos(truth, np.array(row), "abc") for row in rows]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("metric", AVERAGES)
def test_models_that_swap_places_change_the_sign_alone(metric: Metric) -> None:
    first, second = predictions(0.95, 0.9), predictions(0.9, 0.3, seed=1)
    judged = Averages(metric, LABELS)
    one, other = (
        Permuted(judged, first, second, Groups()),
        Permuted(judged, second, first, Groups()),
    )
    assert one.value == pytest.approx(-other.value)
    assert one.interval().low == pytest.approx(-other.interval().high)
    assert one.p_above(-0.1) == pytest.approx(other.p_below(0.1))


@pytest.mark.parametrize("metric", AVERAGES)
def test_alike_models_are_not_told_apart_and_unlike_ones_are(metric: Metric) -> None:
    judged, first = Averages(metric, LABELS), predictions(0.95, 0.9)
    same = Permuted(judged, first, first, Groups())
    assert (same.value, p_different(same)) == (0, 1)
    found = Permuted(judged, first, predictions(0.7, 0.1, seed=1), Groups())
    assert p_different(found) < ALPHA
    assert found.interval().low > 0


@pytest.mark.parametrize("metric", AVERAGES)
def test_a_significant_difference_has_an_interval_without_zero(metric: Metric) -> None:
    judged = Averages(metric, LABELS)
    for seed in range(0, 30, 2):
        pair = predictions(0.95, 0.8, seed=seed), predictions(0.9, 0.5, seed=seed + 1)
        found = Permuted(judged, *pair, Groups())
        reach = found.interval()
        if p_different(found) < ALPHA:
            assert reach.low > 0 or reach.high < 0


def test_a_lead_in_the_frequent_class_alone_does_not_show_a_higher_balanced_accuracy() -> None:
    """With 12 dogs, all right for both, luck alone may hide that one is worse on them."""
    second = LABELS.copy()
    second[:9] = "dog"
    found = Permuted(Averages(Metric(BALANCED), LABELS), LABELS, second, Groups())
    assert 2 * found.p_swapped(1) < ALPHA < p_different(found)


def test_photos_of_a_group_are_swapped_together() -> None:
    first, second = predictions(0.99, 0.9), predictions(0.85, 0.3, seed=1)
    alone = Permuted(Averages(Metric(MACRO_F1), LABELS), first, second, Groups())
    copied, groups = np.repeat(LABELS, 3), Groups(map(str, np.repeat(np.arange(192), 3)))
    pair = np.repeat(first, 3), np.repeat(second, 3)
    together = Permuted(Averages(Metric(MACRO_F1), copied), *pair, groups)
    apart = Permuted(Averages(Metric(MACRO_F1), copied), *pair, Groups())
    assert together.value == pytest.approx(alone.value)
    assert together.p_swapped(1) == pytest.approx(alone.p_swapped(1), rel=0.3, abs=1e-3)
    assert apart.interval().low > together.interval().low


def test_a_smaller_p_is_found_where_one_is_asked_for() -> None:
    first, second = predictions(0.99, 0.9), predictions(0.6, 0.1, seed=1)
    coarse = Permuted(Averages(Metric(MACRO_F1), LABELS), first, second, Groups())
    fine = Permuted(Averages(Metric(MACRO_F1), LABELS), first, second, Groups(), finest=1e-5)
    assert fine.p_swapped(1) < 1e-5 < coarse.p_swapped(1)


def test_a_class_of_few_photos_that_are_all_right_leaves_a_wide_interval() -> None:
    found = Averages(Metric(BALANCED), LABELS).interval(LABELS, Groups())
    assert found.high == 1
    assert found.low < 0.9
