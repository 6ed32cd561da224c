from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from catdog.comparison.design import CrossValidation, Design, SeveralSeeds, designed
from catdog.comparison.metrics import wilson_interval
from catdog.comparison.over_folds import OverFolds
from catdog.comparison.over_photos import Paired
from catdog.comparison.over_seeds import OverSeeds
from catdog.store.artifacts import ModelResult

FakeRun = Callable[..., Any]


@pytest.mark.parametrize(
    ("options", "kind"),
    [({}, Design), ({"repeats": 2}, SeveralSeeds), ({"folds": 4}, CrossValidation)],
)
def test_the_trainings_of_a_run_tell_its_design(
    fake_run: FakeRun, options: dict[str, int], kind: type[Design]
) -> None:
    assert type(fake_run(**options).study().design) is kind
    assert type(designed(options)) is kind


def test_a_seed_that_failed_is_a_second_training_too(fake_run: FakeRun) -> None:
    run = fake_run()
    lost = ModelResult(name="baseline", seed=2, error="killed")
    assert type(run.study(results=[*run.results, lost]).design) is SeveralSeeds


def test_each_design_has_its_test_and_its_interval() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 3, 60)) < 0.7
    fold_of = {str(photo): photo % 4 + 1 for photo in range(60)}
    folds = CrossValidation(4, fold_of).on(fold_of)
    assert type(Design().test(first[:1], second[:1])) is Paired
    assert type(SeveralSeeds().test(first, second)) is OverSeeds
    assert type(SeveralSeeds().test(first, second[:2])) is Paired
    assert type(folds.test(first, second)) is OverFolds
    correct = int(first[0].sum())
    assert Design().accuracy(first[:1]) == (1, correct / 60, wilson_interval(correct, 60))
    assert SeveralSeeds().accuracy(first)[:2] == (3, first.mean())
    assert folds.accuracy(first[:1])[:2] == (4, first[0].mean())


def test_a_model_is_whole_with_each_fold_once() -> None:
    folds = CrossValidation(3)
    assert folds.whole([2, 3, 1])
    assert not folds.whole([1, 2])
    assert not folds.whole([1, 2, 2])
    assert SeveralSeeds().whole([7])


@pytest.mark.parametrize(
    ("seeds", "told"),
    [
        ([1, 1], "about these trained models: another seed may give another result"),
        ([2, 2], "need 3 seeds of each model"),
        ([5, 2], "need 3 seeds of each model"),
        ([3, 4], "5 seeds of each model are better"),
        ([5, 5], "seeds and photos are both samples."),
    ],
)
def test_it_is_said_what_the_claims_are_about(seeds: Sequence[int], told: str) -> None:
    assert told in SeveralSeeds().caveat(seeds)
