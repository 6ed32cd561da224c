import numpy as np
import pytest
from scipy import stats

from catdog.comparison.over_folds import OverFolds, accuracy_over_folds
from catdog.comparison.over_photos import ALPHA, p_different


def cross_validated(accuracies: list[float], each: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Which photos are classified correctly, so many a fold, and their folds."""
    correct = np.concatenate([np.arange(each) < round(each * a) for a in accuracies])
    return correct, np.repeat(np.arange(1, len(accuracies) + 1), each)


def test_it_is_the_corrected_resampled_t_test() -> None:
    accuracies = [0.91, 0.84, 0.95, 0.88, 0.9], [0.8, 0.79, 0.81, 0.85, 0.7]
    (first, fold), (second, _) = map(cross_validated, accuracies)
    found = OverFolds(first, second, fold)
    differences = np.subtract(*accuracies)
    error = np.sqrt((1 / 5 + 1 / 3) * differences.var(ddof=1))
    t = differences.mean() / error
    assert found.value == pytest.approx(differences.mean())
    assert p_different(found) == pytest.approx(2 * stats.t.sf(t, 4))
    reach = stats.t.ppf(0.975, 4) * error
    assert found.interval().low == pytest.approx(found.value - reach)


def test_folds_that_agree_by_chance_leave_the_uncertainty_of_the_photos() -> None:
    (first, fold), (second, _) = map(cross_validated, ([0.9] * 5, [0.85] * 5))
    found = OverFolds(first, second, fold)
    assert found.error == pytest.approx(np.std(first.astype(int) - second, ddof=1) / 1000**0.5)
    same = OverFolds(first, first, fold)
    assert p_different(same) == pytest.approx(1)
    assert same.interval().low < 0 < same.interval().high


def test_the_interval_of_an_accuracy_grows_with_the_differences_between_folds() -> None:
    steady, shaky, perfect = (
        accuracy_over_folds(*cross_validated(a))
        for a in ([0.8] * 5, [0.7, 0.8, 0.9] * 2, [1.0] * 5)
    )
    assert steady.low < 0.8 < steady.high
    assert shaky.high - shaky.low > 1.5 * (steady.high - steady.low)
    assert 0.99 < perfect.low < perfect.high == 1


@pytest.mark.parametrize("sd", [0.0, 0.03])
def test_equal_ways_of_training_are_rarely_called_different(sd: float) -> None:
    rng = np.random.default_rng(4)
    fold = np.arange(1000) % 5
    wrongly = 0
    for _ in range(500):
        first, second = (
            rng.random(1000) < np.clip(0.8 + sd * rng.standard_normal(5), 0, 1)[fold]
            for _ in range(2)
        )
        wrongly += p_different(OverFolds(first, second, fold)) < ALPHA
    assert wrongly <= 25
