"""Variability: the same models trained with several seeds, or for several folds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Literal

import numpy as np

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.comparison.over_folds import accuracy_over_folds
from catdog.comparison.over_photos import Correct
from catdog.comparison.over_seeds import FEWEST, accuracy_interval
from catdog.store.store import Record
from catdog.wording import ci, counted


class Repeated(Record):
    """One model's test accuracy over its seeds, or over its folds."""

    name: str
    seeds: tuple[int, ...]
    """Or the folds, from 1."""
    failed: tuple[int, ...]
    """Those whose training failed: they have no accuracy, and count in no mean."""
    accuracies: tuple[float, ...]
    mean: float
    interval: Interval | None
    """95 % CI of the mean over seeds and photos, or folds; None for fewer than three seeds."""
    sd: float | None
    """Standard deviation between seeds or folds (n - 1); None for one seed."""
    low: float
    high: float


class Repeats(Record):
    """All models over their seeds, or over their folds."""

    unit: Literal["seed", "fold"] = "seed"
    models: tuple[Repeated, ...]
    stable: bool
    """No two models change places between seeds that both have (a tie is no change)."""
    changed: tuple[tuple[str, str], ...]
    """The pairs that do."""
    rounds: int
    """Seeds that all models have: each gives a ranking of one training each."""
    best: str
    """The model with the highest mean test accuracy."""
    wins: int
    """In so many rounds no model is better than it."""
    wins_interval: Interval | None
    """95 % CI (Wilson) of that share; None without a round."""
    sentence: str


def summarise_repeats(
    correct: Mapping[str, Mapping[int, Correct]],
    failed: Sequence[tuple[str, int]] = (),
    unit: Literal["seed", "fold"] = "seed",
) -> Repeats | None:
    """Summarise what each model classifies correctly on test, by seed or by fold.

    Seeds are all tested on the same photos, folds each on its own. failed: the names and seeds or
    folds of trainings that failed. None where no model has a second seed, finished or not.
    """
    accuracies = {
        name: {seed: float(found.mean()) for seed, found in seeds.items()}
        for name, seeds in correct.items()
    }
    trained = Counter(name for name, _ in failed) + Counter(
        {name: len(seeds) for name, seeds in correct.items()}
    )
    if max(trained.values()) < 2:
        return None
    models = tuple(
        _repeated(name, accuracies[name], _interval(correct[name], unit), failed)
        for name in correct
    )
    best = max(models, key=lambda model: model.mean).name
    rounds = set.intersection(*(set(found) for found in accuracies.values()))
    wins = sum(
        all(accuracies[best][seed] >= found[seed] for found in accuracies.values())
        for seed in rounds
    )
    changed = tuple(
        pair
        for pair in combinations(accuracies, 2)
        if _change_places(*(accuracies[name] for name in pair))
    )
    reach = wilson_interval(wins, len(rounds)) if rounds else None
    return Repeats(
        unit=unit,
        models=models,
        stable=not changed,
        changed=changed,
        rounds=len(rounds),
        best=best,
        wins=wins,
        wins_interval=reach,
        sentence=_sentence(best, wins, len(rounds), reach, changed, unit)
        if len(models) > 1
        else f"One model, trained with {counted(len(models[0].seeds), unit)}.",
    )


def _repeated(
    name: str,
    accuracies: Mapping[int, float],
    interval: Interval | None,
    failed: Sequence[tuple[str, int]],
) -> Repeated:
    values = tuple(accuracies.values())
    return Repeated(
        name=name,
        seeds=tuple(accuracies),
        failed=tuple(seed for model, seed in failed if model == name),
        accuracies=values,
        mean=fmean(values),
        interval=interval,
        sd=stdev(values) if len(values) > 1 else None,
        low=min(values),
        high=max(values),
    )


def _interval(correct: Mapping[int, Correct], unit: str) -> Interval | None:
    found = list(correct.values())
    if unit == "fold":
        fold = np.repeat(list(correct), [len(photos) for photos in found])
        return accuracy_over_folds(np.concatenate(found), fold)
    return accuracy_interval(np.stack(found)) if len(found) >= FEWEST else None


def _change_places(first: Mapping[int, float], second: Mapping[int, float]) -> bool:
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return any(d > 0 for d in differences) and any(d < 0 for d in differences)


def _sentence(
    best: str,
    wins: int,
    rounds: int,
    reach: Interval | None,
    changed: tuple[tuple[str, str], ...],
    unit: str,
) -> str:
    if reach is None:
        return "No seed was finished by all models, so that nothing is known of their ranking."
    told = (
        f"{best} has the highest test accuracy with {wins} of {counted(rounds, unit)} "
        f"({ci(reach.low, reach.high)} of all {unit}s)."
    )
    if not changed:
        return f"{told} No two models change places."
    pairs = "; ".join(f"{a} and {b}" for a, b in changed)
    return f"{told} These change places: {pairs}."
