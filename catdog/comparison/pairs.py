"""Models in pairs: which is better, how significant that is, and what could have been found."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from catdog.comparison.metrics import Interval, auc_interval
from catdog.comparison.over_folds import Fold, OverFolds
from catdog.comparison.over_photos import (
    ALPHA,
    Correct,
    Paired,
    Table,
    cross,
    holm,
    p_different,
    p_equivalent,
)
from catdog.comparison.over_seeds import ENOUGH, FEWEST, OverSeeds, chance_to_beat
from catdog.store.store import Record
from catdog.wording import ci, counted, difference, p_text, percent


class PairTest(Record):
    """Two models on the same test photos; `first` is the one with the higher accuracy."""

    first: str
    second: str
    seeds: tuple[int, int] | None
    """How many trainings of each; None in a cross-validation, and for two trained models."""
    folds: int | None = None
    """Of a cross-validation."""
    trained_p: float | None = None
    """In a cross-validation, of these trained models alone, on all photos: the exact McNemar test,
    Holm-adjusted."""
    trained_detectable: float | None = None
    """As `detectable`, of these trained models alone."""
    table: Table | None
    """Of two trained models, where the claim is about them alone."""
    difference: float
    """Mean accuracy of the first less that of the second, 0..1."""
    interval: Interval
    p_value: float
    """Two-sided: exact McNemar test, or over seeds and photos, or over folds."""
    p_adjusted: float
    """The same after Holm's adjustment for the number of pairs."""
    significant: bool
    beats: float | None
    """P(A beats B) for one training each; None without several seeds."""
    beats_interval: Interval | None
    margin: float
    p_equivalent: float
    """Two one-sided tests against the margin, after Holm's adjustment."""
    equivalent: bool
    attainable: float | None
    """The smallest difference that could have been significant after any of Holm's steps."""
    detectable: float | None
    """The true difference that would be with a chance of 80 %."""
    sentence: str


def compare_pairs(
    correct: Mapping[str, Correct],
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    margin: float,
    fold: Fold | None = None,
) -> tuple[PairTest, ...]:
    """Test these pairs of models, or all, Holm-adjusted for the number of pairs.

    correct: of each model a row a seed, of the same photos in the same order. With three seeds of
    both, the claim is about the ways of training; with fewer, about the trained models of the
    first seeds. margin: differences below this are equivalence, 0..1. fold: of each photo in a
    cross-validation, where each model has one row and the claim is about the ways of training.
    """
    ordered = [
        _better_first(*pair, correct, fold)
        for pair in (combinations(correct, 2) if pairs is None else pairs)
    ]
    found = [_estimate(correct[first], correct[second], fold) for first, second in ordered]
    p_values = [p_different(each) for each in found]
    equivalences = holm([p_equivalent(each, margin) for each in found])
    adjusted = zip(p_values, holm(p_values), equivalences, strict=True)
    strictest = ALPHA / len(found) if found else ALPHA
    judged = tuple(
        _judge(names, correct, each, p, margin, strictest)
        for names, each, p in zip(ordered, found, adjusted, strict=True)
    )
    return judged if fold is None else _with_trained(judged, correct, strictest)


def _with_trained(
    tests: Sequence[PairTest], correct: Mapping[str, Correct], strictest: float
) -> tuple[PairTest, ...]:
    """The same with what holds for the trained models of a cross-validation alone."""
    found = [Paired(cross(correct[test.first][0], correct[test.second][0])) for test in tests]
    adjusted = holm([p_different(each) for each in found])
    return tuple(
        test.model_copy(update={"trained_p": p, "trained_detectable": each.detectable(strictest)})
        for test, each, p in zip(tests, found, adjusted, strict=True)
    )


def mean_accuracy(correct: Correct) -> float:
    """Over seeds where they are enough, else that of the first."""
    return float((correct if len(correct) >= FEWEST else correct[0]).mean())


def _better_first(
    one: str, other: str, correct: Mapping[str, Correct], fold: Fold | None
) -> tuple[str, str]:
    estimate = _estimate(correct[one], correct[other], fold)
    return (one, other) if estimate.value >= 0 else (other, one)


def _estimate(first: Correct, second: Correct, fold: Fold | None) -> OverSeeds | OverFolds | Paired:
    if fold is not None:
        return OverFolds(first[0], second[0], fold)
    if min(len(first), len(second)) < FEWEST:
        return Paired(cross(first[0], second[0]))
    return OverSeeds(first, second)


def _judge(
    names: tuple[str, str],
    correct: Mapping[str, Correct],
    found: OverSeeds | OverFolds | Paired,
    p: tuple[float, float, float],
    margin: float,
    strictest: float,
) -> PairTest:
    first, second = (correct[name] for name in names)
    seeds = beats = None
    if isinstance(found, OverSeeds):
        seeds, beats = (len(first), len(second)), chance_to_beat(first, second)
    test = PairTest(
        first=names[0],
        second=names[1],
        seeds=seeds,
        folds=found.folds if isinstance(found, OverFolds) else None,
        table=found.table if isinstance(found, Paired) else None,
        difference=found.value,
        interval=found.interval(),
        p_value=p[0],
        p_adjusted=p[1],
        significant=p[1] < ALPHA,
        beats=beats,
        beats_interval=None if beats is None else auc_interval(beats, len(first), len(second)),
        margin=margin,
        p_equivalent=p[2],
        equivalent=p[2] < ALPHA,
        attainable=found.attainable(strictest),
        detectable=found.detectable(strictest),
        sentence="",
    )
    return test.model_copy(update={"sentence": _sentence(test, first.shape[1])})


def _sentence(test: PairTest, photos: int) -> str:
    numbers = difference(test.difference, test.interval.low, test.interval.high)
    p = f"Holm-adjusted {p_text(test.p_adjusted)}"
    scope = _scope(test)
    if test.significant:
        told = f"{scope}, {test.first} is significantly better than {test.second}: {numbers} ({p})."
    else:
        unadjusted = f", unadjusted {p_text(test.p_value)}" if test.p_value < ALPHA else ""
        told = (
            f"{scope}, there is no significant difference between {test.first} and {test.second} "
            f"on {counted(photos, 'test photo')}: {numbers} ({p}{unadjusted})."
        )
    if test.beats is not None and test.beats_interval is not None:
        reach = ci(test.beats_interval.low, test.beats_interval.high)
        told += f" P({test.first} beats {test.second}) is {percent(test.beats)} ({reach})."
    if test.equivalent:
        told += (
            f" They are equivalent within {100 * test.margin:g} percentage points (Holm-adjusted "
            f"{p_text(test.p_equivalent)})."
        )
    return told


def _scope(test: PairTest) -> str:
    if test.folds:
        return f"Over {test.folds} folds"
    if test.seeds is None:
        return "Of these trained models"
    one, two = test.seeds
    return f"Over {one} seeds each" if one == two else f"Over {one} and {two} seeds"


def sensitivity(pairs: Sequence[PairTest], photos: int) -> str:
    """What could have been found with so many photos: two numbers, in words."""
    attainable = [pair.attainable for pair in pairs if pair.attainable is not None]
    detectable = [pair.detectable for pair in pairs if pair.detectable is not None]
    given = f"With {counted(photos, 'test photo')} and {counted(len(pairs), 'pair')}"
    if any(pair.seeds for pair in pairs):
        given += ", as much as these seeds vary"
    if any(pair.folds for pair in pairs):
        given += ", as much as these folds vary"
    if not attainable:
        return f"{given}, no difference can be significant."
    found = (
        f"{given}, the smallest difference that can be significant is {_range(attainable)} "
        "percentage points"
    )
    if not detectable:
        return f"{found}; none would be found with 80 % power."
    told = (
        f"{found}. To be found with 80 % power, the true difference must be "
        f"{_range(detectable)} percentage points"
    )
    trained = [pair.trained_detectable for pair in pairs if pair.trained_detectable is not None]
    return f"{told}; of these trained models alone, {_range(trained)}." if trained else f"{told}."


def _range(differences: Sequence[float]) -> str:
    low, high = (f"{100 * edge(differences):.1f}" for edge in (min, max))
    return low if low == high else f"{low} to {high}"


def caveat(seeds: Sequence[int], folds: int | None = None) -> str:
    """What the claims are about.

    seeds: how many trainings of each model there are; folds: of a cross-validation.
    """
    if folds:
        return (
            f"The claims are about the ways of training, on {folds - 2} of {folds} folds: seeds, "
            "training photos and test photos are all samples. A model to be used comes from a run "
            "without folds."
        )
    if max(seeds) == 1:
        return (
            "The claims are about these trained models: another seed may give another result. For "
            f"claims about the ways of training, repeat with --repeats {ENOUGH}."
        )
    if min(seeds) < FEWEST:
        return (
            f"Claims about a way of training need {FEWEST} seeds of each model, better {ENOUGH}; "
            "with fewer they are about the trained models of the first seed, and another seed may "
            "give another result."
        )
    if min(seeds) < ENOUGH:
        return (
            "The claims are about the ways of training: seeds and photos are both samples. "
            f"{ENOUGH} seeds of each model are better: with fewer, where one model varies much "
            "more than another, a 95 % CI covers 92 % only."
        )
    return "The claims are about the ways of training: seeds and photos are both samples."
