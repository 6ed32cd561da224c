"""Variability: how much the trainings of a model differ."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from types import MappingProxyType

from catdog.comparison.collapse import Collapse
from catdog.comparison.design import Design, Unit
from catdog.comparison.judges import Outcomes
from catdog.comparison.metrics import Interval
from catdog.metric import BY_ACCURACY, Metric
from catdog.store.artifacts import Trial
from catdog.store.store import Record
from catdog.wording import counted


class Repeated(Record):
    """One model's test accuracy over its trainings."""

    name: str
    seeds: tuple[int, ...]
    """What tells its trainings apart: the unit of the design."""
    failed: tuple[int, ...]
    """Those whose training failed: they have no accuracy, and count in no mean."""
    collapsed: tuple[int, ...] = ()
    """Those that collapsed: the interval is then over photos alone."""
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
    """No two models change places between those rankings (a tie is no change)."""
    changed: tuple[tuple[str, str], ...]
    """The pairs that do."""
    rounds: int
    """Rankings of one training each: by fold, or all ways to choose a seed of each model, as the
    same seed of two models has nothing in common."""
    best: str
    """The model with the highest mean test accuracy."""
    wins: int
    """In so many rounds no model is better than it."""
    sentence: str


def summarise_repeats(
    design: Design,
    correct: Mapping[str, Outcomes],
    seeds: Mapping[str, Sequence[int]],
    failed: Sequence[Trial],
    collapses: Mapping[str, Collapse] = MappingProxyType({}),
    *,
    metric: Metric = BY_ACCURACY,
) -> Repeats:
    """Summarise what each model classifies correctly on test, by the unit of the design.

    seeds: those of the rows of `correct`. failed: the trainings that failed. collapses: of the
    models of which some collapsed.
    """
    accuracies = {name: design.accuracies(each, seeds[name]) for name, each in correct.items()}
    models = tuple(
        Repeated(
            name=name,
            seeds=tuple(found),
            failed=tuple(trial.fold_or_seed for trial in failed if trial.name == name),
            accuracies=tuple(found.values()),
            mean=fmean(found.values()),
            collapsed=collapses[name].which if name in collapses else (),
            interval=design.interval(correct[name], claim=name not in collapses),
            sd=stdev(found.values()) if len(found) > 1 else None,
            low=min(found.values()),
            high=max(found.values()),
        )
        for name, found in accuracies.items()
    )
    best = max(models, key=lambda model: model.mean).name
    wins, rounds = design.wins(best, accuracies)
    changed = tuple(
        pair
        for pair in combinations(accuracies, 2)
        if _change_places(design.matched(*(accuracies[name] for name in pair)))
    )
    found = Repeats(
        unit=design.unit,
        models=models,
        stable=not changed,
        changed=changed,
        rounds=rounds,
        best=best,
        wins=wins,
        sentence="",
    )
    return found.model_copy(update={"sentence": _sentence(found, metric)})


def _change_places(matched: Sequence[tuple[float, float]]) -> bool:
    return any(one > other for one, other in matched) and any(one < other for one, other in matched)


def _sentence(found: Repeats, metric: Metric) -> str:
    unit = found.unit
    if len(found.models) == 1:
        return f"One model, trained with {counted(len(found.models[0].seeds), unit)}."
    of = counted(found.rounds, unit if unit == "fold" else "way")
    of += " to choose one seed of each model" if unit == "seed" else ""
    told = f"{found.best} has the highest test {metric.label} in {found.wins:,} of {of}."
    if found.stable:
        return f"{told} No two models change places."
    pairs = "; ".join(f"{a} and {b}" for a, b in found.changed)
    return f"{told} These change places: {pairs}."
