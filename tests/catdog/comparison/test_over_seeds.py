import numpy as np
import pytest

from benchmarks.seeds import DESIGNS, simulate
from catdog.comparison.over_photos import Correct, p_different
from catdog.comparison.over_seeds import OverSeeds, accuracy_interval, chance_to_beat

ONE, TWO, APART = DESIGNS[:3]


def seeds(*accuracies: float, n: int = 200) -> Correct:
    return np.array([np.arange(n) < round(a * n) for a in accuracies])


@pytest.mark.parametrize("seeds_each", [3, 5])
@pytest.mark.parametrize("sd", [0, 0.03, 0.06])
def test_two_equal_ways_of_training_are_rarely_told_apart(sd: float, seeds_each: int) -> None:
    """At most 6 % of the time; 1,500 simulated pairs are known to 0.6 points (one SD)."""
    found = simulate(TWO, (sd, sd), seeds_each, 192, 1_500)
    assert found.rejected <= 0.06 + 2 * 0.006
    assert found.covered == pytest.approx(0.95, abs=0.02)


def test_the_test_of_two_trainings_does_not_know_that_seeds_differ() -> None:
    found = simulate(ONE, (0.06, 0.06), 3, 192, 500)
    assert found.one_seed > 0.3
    assert found.rejected < 0.07


def test_a_true_difference_is_covered_and_more_seeds_find_it_more_often() -> None:
    few, many = (simulate(APART, (0.03, 0.03), k, 808, 1_000) for k in (3, 5))
    assert min(few.covered, many.covered) > 0.93
    assert many.rejected > few.rejected + 0.1


def test_seeds_that_all_agree_leave_the_uncertainty_of_a_photo() -> None:
    found = OverSeeds(seeds(0.9, 0.9, 0.9), seeds(0.9, 0.9, 0.9))
    assert (found.value, p_different(found)) == (0, 1)
    assert found.interval().high == pytest.approx(1.97 / 200, abs=1e-4)


def test_seeds_that_agree_by_chance_do_not_hide_the_photos() -> None:
    """Three seeds with the same accuracy on other photos each: no variance over seeds is seen."""
    rng = np.random.default_rng(1)
    first = np.array([rng.permutation(40) < 20 for _ in range(3)])
    second = np.array([rng.permutation(40) < 36 for _ in range(3)])
    found = OverSeeds(first, second)
    over_photos = (first.mean(axis=0) - second.mean(axis=0)).var(ddof=1) / 40
    assert found.error == pytest.approx(over_photos**0.5)
    assert found.interval().high - found.interval().low > 0.15


def test_the_models_may_have_different_numbers_of_seeds() -> None:
    found = OverSeeds(seeds(0.8, 0.9, 0.85, 0.88), seeds(0.6, 0.7, 0.65))
    assert found.value == pytest.approx(0.8575 - 0.65)
    assert p_different(found) < 0.01


def test_the_detectable_difference_is_larger_than_the_smallest_significant_one() -> None:
    found = OverSeeds(seeds(0.8, 0.9, 0.85), seeds(0.6, 0.7, 0.65))
    assert found.detectable(0.05) > found.attainable(0.05) > 0


def test_the_chance_to_beat_counts_pairs_of_seeds_and_ties_as_half() -> None:
    assert chance_to_beat(seeds(0.9, 0.8), seeds(0.8, 0.7)) == (1 + 0.5 + 1 + 1) / 4
    assert chance_to_beat(seeds(0.9, 0.9), seeds(0.5, 0.6)) == 1


def test_the_interval_of_a_mean_accuracy_widens_with_the_seeds_and_stays_a_share() -> None:
    steady, shaky = (accuracy_interval(seeds(*a)) for a in ((0.8, 0.8, 0.8), (0.7, 0.8, 0.9)))
    assert shaky.low < steady.low < 0.8 < steady.high < shaky.high
    perfect = accuracy_interval(seeds(1, 1, 1))
    assert 0.97 < perfect.low < perfect.high <= 1
