"""Seed variability: the same models trained with several seeds."""

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean, stdev

from catdog.store.store import Record


class Repeated(Record):
    """One model's test accuracy over its seeds."""

    name: str
    seeds: tuple[int, ...]
    accuracies: tuple[float, ...]
    mean: float
    sd: float | None
    """Standard deviation between seeds (n - 1); None for one seed."""
    low: float
    high: float


class Repeats(Record):
    """All models over their seeds."""

    models: tuple[Repeated, ...]
    stable: bool
    """No two models change places between seeds that both have (a tie is no change)."""
    changed: tuple[tuple[str, str], ...]
    """The pairs that do."""
    sentence: str


def summarise_repeats(runs: Sequence[tuple[str, int, float]]) -> Repeats | None:
    """Summarise (name, seed, test accuracy); None where no model has a second seed."""
    by_name: dict[str, dict[int, float]] = {}
    for name, seed, accuracy in runs:
        by_name.setdefault(name, {})[seed] = accuracy
    if max(map(len, by_name.values())) < 2:
        return None
    changed = tuple(
        pair for pair in combinations(by_name, 2) if _change_places(*(by_name[n] for n in pair))
    )
    return Repeats(
        models=tuple(_repeated(name, found) for name, found in by_name.items()),
        stable=not changed,
        changed=changed,
        sentence=_sentence(changed, max(map(len, by_name.values())), len(by_name)),
    )


def _repeated(name: str, accuracies: dict[int, float]) -> Repeated:
    values = tuple(accuracies.values())
    return Repeated(
        name=name,
        seeds=tuple(accuracies),
        accuracies=values,
        mean=fmean(values),
        sd=stdev(values) if len(values) > 1 else None,
        low=min(values),
        high=max(values),
    )


def _change_places(first: dict[int, float], second: dict[int, float]) -> bool:
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return any(d > 0 for d in differences) and any(d < 0 for d in differences)


def _sentence(changed: tuple[tuple[str, str], ...], seeds: int, models: int) -> str:
    if models == 1:
        return f"One model, trained with {seeds} seeds."
    if not changed:
        return f"The ranking is stable: no two models change places over {seeds} seeds."
    pairs = "; ".join(f"{a} and {b}" for a, b in changed)
    return f"The ranking depends on the seed: over {seeds} seeds, these change places: {pairs}."
