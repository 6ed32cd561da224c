"""Variability: how much the trainings of a model differ."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev

from catdog.comparison.design import Design, Unit
from catdog.comparison.metrics import Interval, wilson_interval
from catdog.comparison.over_photos import Correct
from catdog.store.artifacts import Trial
from catdog.store.store import Record
from catdog.wording import ci, counted


class Repeated(Record):
    """One model's test accuracy over its trainings."""

    name: str
    seeds: tuple[int, ...]
    """What tells its trainings apart: the unit of the design."""
    failed: tuple[int, ...]
    """Those whose training failed: they have no accuracy, and count in no mean."""
    accuracies: tuple[float, ...]
    mean: float
    interval: Interval | None
    """95 % CI of the mean as the design has it; None for fewer than three seeds."""
    sd: float | None
    """Standard deviation between them (n - 1); None for one."""
    low: float
    high: float


class Repeats(Record):
    """All models over their trainings."""

    unit: Unit = "seed"
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
    design: Design,
    correct: Mapping[str, Correct],
    seeds: Mapping[str, Sequence[int]],
    failed: Sequence[Trial],
) -> Repeats:
    """Summarise what each model classifies correctly on test, by the unit of the design.

    seeds: those of the rows of `correct`. failed: the trainings that failed.
    """
    accuracies = {name: design.accuracies(each, seeds[name]) for name, each in correct.items()}
    models = tuple(
        Repeated(
            name=name,
            seeds=tuple(found),
            failed=tuple(trial.fold_or_seed for trial in failed if trial.name == name),
            accuracies=tuple(found.values()),
            mean=fmean(found.values()),
            interval=design.interval(correct[name]),
            sd=stdev(found.values()) if len(found) > 1 else None,
            low=min(found.values()),
            high=max(found.values()),
        )
        for name, found in accuracies.items()
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
    found = Repeats(
        unit=design.unit,
        models=models,
        stable=not changed,
        changed=changed,
        rounds=len(rounds),
        best=best,
        wins=wins,
        wins_interval=wilson_interval(wins, len(rounds)) if rounds else None,
        sentence="",
    )
    return found.model_copy(update={"sentence": _sentence(found)})


def _change_places(first: Mapping[int, float], second: Mapping[int, float]) -> bool:
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return any(d > 0 for d in differences) and any(d < 0 for d in differences)


def _sentence(found: Repeats) -> str:
    unit, reach = found.unit, found.wins_interval
    if len(found.models) == 1:
        return f"One model, trained with {counted(len(found.models[0].seeds), unit)}."
    if reach is None:
        return "No seed was finished by all models, so that nothing is known of their ranking."
    told = (
        f"{found.best} has the highest test accuracy with {found.wins} of "
        f"{counted(found.rounds, unit)} ({ci(reach.low, reach.high)} of all {unit}s)."
    )
    if found.stable:
        return f"{told} No two models change places."
    pairs = "; ".join(f"{a} and {b}" for a, b in found.changed)
    return f"{told} These change places: {pairs}."
