import numpy as np
import pytest

from catdog.comparison.design import CrossValidation, SeveralSeeds
from catdog.comparison.over_photos import Correct
from catdog.comparison.repeats import Repeats, summarise_repeats
from catdog.store.artifacts import Trial


def right(accuracy: float) -> Correct:
    return np.arange(100) < round(100 * accuracy)


def summary(
    accuracies: dict[str, dict[int, float]], failed: tuple[tuple[str, int], ...] = ()
) -> Repeats:
    correct = {
        name: np.stack([right(accuracy) for accuracy in seeds.values()])
        for name, seeds in accuracies.items()
    }
    seeds = {name: list(each) for name, each in accuracies.items()}
    lost = [Trial(name=name, seed=seed) for name, seed in failed]
    return summarise_repeats(SeveralSeeds(), correct, seeds, lost)


def test_mean_spread_and_a_ranking_that_depends_on_the_seed() -> None:
    found = summary({"a": {1: 0.90, 2: 0.94}, "b": {1: 0.92, 2: 0.91}, "c": {1: 0.5, 2: 0.4}})
    first = found.models[0]
    assert (first.mean, first.low, first.high) == (pytest.approx(0.92), 0.90, 0.94)
    assert first.sd == pytest.approx(0.0283, abs=1e-4)
    assert first.interval is None
    assert not found.stable
    assert found.changed == (("a", "b"),)
    assert "a and b" in found.sentence


def test_how_stable_the_first_place_is_counts_all_ways_to_choose_a_seed_each() -> None:
    found = summary({"a": {1: 0.9, 2: 0.9, 3: 0.9, 4: 0.7}, "b": {1: 0.8, 2: 0.8, 3: 0.8, 4: 0.8}})
    assert (found.best, found.wins, found.rounds) == ("a", 12, 16)
    assert found.sentence.startswith(
        "a has the highest test accuracy in 12 of 16 ways to choose one seed of each model."
    )
    assert found.models[0].interval is not None
    assert found.models[0].interval.low < 0.85 < found.models[0].interval.high


def test_failed_seeds_are_counted() -> None:
    found = summary({"a": {1: 0.9, 2: 0.9, 3: 0.9}, "b": {1: 0.8, 3: 0.8}}, (("b", 2),))
    assert [m.failed for m in found.models] == [(), (2,)]
    assert (found.wins, found.rounds) == (6, 6)
    alone = summary({"a": {1: 0.9}}, (("a", 2),))
    assert alone.models[0].failed == (2,)


def test_a_tie_is_no_change_of_places() -> None:
    found = summary({"a": {1: 0.9, 2: 0.9}, "b": {1: 0.9, 2: 0.8}})
    assert found.stable


def test_seeds_of_two_models_are_not_paired_by_their_number() -> None:
    """Seed 1 of a beats seed 2 of b, though not seed 1."""
    found = summary({"a": {1: 0.90, 2: 0.94}, "b": {1: 0.92, 2: 0.95}})
    assert (found.wins, found.rounds) == (3, 4)
    assert found.changed == (("a", "b"),)


def test_folds_are_paired_as_they_have_the_same_photos() -> None:
    fold_of = {str(n): 1 + n // 100 for n in range(300)}
    design = CrossValidation(3, fold_of, paths=fold_of)
    correct = {
        name: np.concatenate([right(a) for a in accuracies])[None]
        for name, accuracies in {"a": (0.90, 0.94, 0.6), "b": (0.89, 0.93, 0.59)}.items()
    }
    found = summarise_repeats(design, correct, {"a": [1], "b": [1]}, [])
    assert (found.wins, found.rounds, found.stable) == (3, 3, True)
    assert found.sentence == (
        "a has the highest test accuracy in 3 of 3 folds. No two models change places."
    )
