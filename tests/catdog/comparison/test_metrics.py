from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.calibration import LOSSES, losses
from catdog.comparison.metrics import auc_interval, auc_standard_error, measure, wilson_interval

CLASSES = ("cats", "dogs")


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_in_newcombe_1998_table_1(correct: int, n: int, low: float, high: float) -> None:
    found = wilson_interval(correct, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_standard_error_as_in_hanley_and_mcneil_1982() -> None:
    """Their CT readings: 51 abnormal, 58 normal, area 0.893, standard error 0.032.

    Theirs rests on Q1 and Q2 counted in the data, ours on their formulas for any data.
    """
    assert auc_standard_error(0.893, 51, 58) == pytest.approx(0.032, abs=1e-3)


def test_area_interval_has_a_width_even_for_a_perfect_ranking() -> None:
    found = auc_interval(1.0, 96, 96)
    assert found.high == 1.0
    assert 0.95 < found.low < 0.99


def test_every_number_of_a_case_small_enough_to_count_by_hand() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    dogs = np.array([0.2, 0.6, 0.9, 0.7, 0.4])
    found = measure(truth, np.column_stack([1 - dogs, dogs]), CLASSES)
    assert (found.n, found.correct, found.accuracy) == (5, 3, 0.6)
    assert found.confusion == ((1, 1), (1, 2))
    cats, dogs_scores = found.classes
    assert (cats.n, cats.precision, cats.recall) == (2, 0.5, 0.5)
    assert (dogs_scores.n, dogs_scores.recall) == (3, pytest.approx(2 / 3))
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.01 + 0.09 + 0.36) / 5)
    expected = -np.log([0.8, 0.4, 0.9, 0.7, 0.4]).mean()
    assert found.log_loss == pytest.approx(expected)
    assert found.auc == pytest.approx(5 / 6)
    # Certainty 0.8, 0.6, 0.9, 0.7, 0.6: in four bins, of which only 0.6 holds two, both wrong.
    assert found.calibration.error == pytest.approx((0.2 + 2 * 0.6 + 0.1 + 0.3) / 5)


def test_recalls_precisions_and_bins_have_the_interval_of_their_own_photos() -> None:
    truth = np.repeat([0, 1], [40, 60])
    dogs = np.concatenate([np.full(30, 0.2), np.full(10, 0.8), np.full(6, 0.2), np.full(54, 0.8)])
    found = measure(truth, np.column_stack([1 - dogs, dogs]), CLASSES)
    _, scores = found.classes
    assert (scores.n, scores.predicted) == (60, 64)
    assert scores.recall_interval == wilson_interval(54, 60)
    assert scores.precision_interval == wilson_interval(54, 64)
    (only,) = found.reliability
    assert only.interval == wilson_interval(84, 100)


def test_a_class_that_is_never_predicted_has_no_interval_of_its_precision() -> None:
    found = measure(np.array([0, 1, 1]), np.array([[0.9, 0.1]] * 3), CLASSES)
    assert found.classes[1].precision_interval is None
    assert found.classes[1].recall_interval is not None


@pytest.mark.parametrize("case", LOSSES)
def test_the_intervals_of_log_loss_and_brier_score_hold_the_true_ones(case: Any) -> None:
    """In 93 to 97.5 % of 2,000 cases, which are known to 0.5 points."""
    _, log_loss, _, brier = losses(*case[1:], 192, 2_000)
    assert 0.93 - 0.01 < log_loss < 0.975 + 0.007
    assert 0.93 - 0.01 < brier < 0.975 + 0.007


def test_the_intervals_of_the_losses_keep_to_what_is_possible() -> None:
    """Losses that are all equal, and one of a single photo, leave nothing to be told apart."""
    equal = measure(np.array([0, 1]), np.array([[0.9, 0.1], [0.1, 0.9]]), CLASSES)
    assert equal.log_loss_interval is not None
    assert equal.log_loss_interval.low == pytest.approx(equal.log_loss)
    assert equal.brier_interval is not None
    assert equal.brier_interval.low < equal.brier < equal.brier_interval.high
    single = measure(np.array([0]), np.array([[0.9, 0.1]]), CLASSES)
    assert single.log_loss_interval is single.brier_interval is None


def test_three_classes_are_averaged() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1, 2], 30)
    p = rng.dirichlet((1, 1, 1), 90)
    p[np.arange(90), truth] += 0.8
    found = measure(truth, p / p.sum(axis=1, keepdims=True), ("a", "b", "c"))
    assert found.auc is not None
    assert found.auc_interval is not None
    assert found.auc_interval.low < found.auc < found.auc_interval.high
    assert found.roc is not None
    assert (found.roc.x[0], found.roc.x[-1], found.roc.y[-1]) == (0, 1, 1)


def test_a_split_without_one_of_the_classes_has_no_curve_but_all_else() -> None:
    found = measure(np.zeros(4, dtype=int), np.full((4, 2), 0.5), CLASSES)
    assert found.auc is None
    assert found.roc is None
    assert found.classes[1].n == 0
    assert found.log_loss == pytest.approx(np.log(2))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    k = draw(st.integers(2, 4))
    n = draw(st.integers(2 * k, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    sharpness = draw(st.sampled_from([0.05, 1.0, 20.0]))
    p = rng.dirichlet([sharpness] * k, n) + 1e-9
    return rng.integers(0, k, n), p / p.sum(axis=1, keepdims=True)


@settings(deadline=None, max_examples=30)
@given(cases())
def test_invariants(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, p = case
    found = measure(truth, p, tuple("abcd"[: p.shape[1]]))
    assert sum(map(sum, found.confusion)) == found.n
    assert found.correct == sum(row[i] for i, row in enumerate(found.confusion))
    assert found.accuracy_interval.low <= found.accuracy <= found.accuracy_interval.high
    assert 0 <= found.calibration.error <= 1
    assert 0 < found.calibration.p_value <= 1
    assert 0 <= found.brier <= 1
    assert sum(b.n for b in found.reliability) == found.n
    if found.auc is not None and found.auc_interval is not None:
        assert 0 <= found.auc_interval.low <= found.auc <= found.auc_interval.high <= 1


@settings(deadline=None, max_examples=30)
@given(cases())
def test_the_order_of_photos_does_not_matter(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, p = case
    names = tuple("abcd"[: p.shape[1]])
    one, two = measure(truth, p, names), measure(truth[::-1], p[::-1], names)
    assert one.confusion == two.confusion
    assert one.log_loss == pytest.approx(two.log_loss)
    assert one.auc == pytest.approx(two.auc)
    assert one.calibration == two.calibration


def test_a_calibrated_model_scores_as_simulated_and_an_overconfident_one_higher() -> None:
    rng = np.random.default_rng(3)
    p = rng.uniform(0.02, 0.98, 2_000)
    truth = (rng.random(2_000) < p).astype(np.int64)
    calibrated = measure(truth, np.column_stack([1 - p, p]), ("cats", "dogs"))
    assert len(calibrated.reliability) == 10
    assert calibrated.reliability[0].low == 0.5
    chance = calibrated.calibration
    assert abs(chance.error - chance.by_chance) < 0.015
    assert 0.005 < chance.by_chance < chance.chance_limit < 0.04
    assert chance.p_value > 0.05
    assert chance.direction == ""
    sharp = p**3 / (p**3 + (1 - p) ** 3)
    found = measure(truth, np.column_stack([1 - sharp, sharp]), ("cats", "dogs")).calibration
    assert found.chance_limit < 0.03 < found.error
    assert found.p_value < 0.002
    assert found.excess > 0.05
    assert found.direction == "over-confident"
