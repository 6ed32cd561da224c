"""Models in pairs: which is better, how significant that is, and what could have been found."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

from catdog.comparison.collapse import Collapse
from catdog.comparison.design import Design
from catdog.comparison.judges import Outcomes
from catdog.comparison.metrics import Interval
from catdog.comparison.over_photos import (
    ALPHA,
    Difference,
    Table,
    holm,
    p_different,
    p_equivalent,
)
from catdog.metric import BY_ACCURACY, Metric
from catdog.store.store import Record
from catdog.wording import ci, counted, difference, listing, p_text, percent


class PairTest(Record):
    """Two models on the same test photos; `first` is the better one.

    Differences are of accuracies, or of what else models are judged by.
    """

    first: str
    second: str
    seeds: tuple[int, int] | None = None
    """How many trainings of each; None in a cross-validation, and for two trained models."""
    folds: int | None = None
    """Of a cross-validation."""
    trained_p: float | None = None
    """In a cross-validation, of these trained models alone, on all photos: the exact McNemar test,
    Holm-adjusted."""
    trained_detectable: float | None = None
    """As `detectable`, of these trained models alone."""
    table: Table | None = None
    """Of two trained models, where the claim is about them alone; photos that count together are
    counted once, and the difference is that of this table. None where models are judged by a mean
    over the classes: a paired permutation test then takes the place of McNemar's."""
    difference: float
    """Mean accuracy of the first less that of the second, 0..1."""
    interval: Interval
    claim: bool = True
    """False where trainings of one of the two collapsed: the difference and its
    interval are then those of these trainings, over photos alone, and there is no p value."""
    p_value: float | None
    """Two-sided: exact McNemar test, or over seeds and photos, or over folds."""
    p_adjusted: float | None
    """The same after Holm's adjustment for the number of pairs."""
    significant: bool
    beats: float | None = None
    """P(A beats B) for one training each; None without several seeds."""
    beats_interval: Interval | None = None
    margin: float
    p_equivalent: float | None
    """Two one-sided tests against the margin, after Holm's adjustment."""
    equivalent: bool
    attainable: float | None
    """The smallest difference that is significant after any of Holm's steps; of two trained models
    with as many discordant photos as here."""
    detectable: float | None
    """The true difference that would be with a chance of 80 %."""
    sentence: str

    @property
    def of_trained(self) -> bool:
        """Whether the claim is about two trained models alone."""
        return self.claim and not self.seeds and not self.folds

    def seen_from(self, name: str) -> tuple[float, Interval]:
        """The accuracy of this one of the two less the other's, with its interval."""
        if name == self.first:
            return self.difference, self.interval
        return -self.difference, Interval(low=-self.interval.high, high=-self.interval.low)


def compare_pairs(
    correct: Mapping[str, Outcomes],
    design: Design,
    pairs: Iterable[tuple[str, str]] | None = None,
    *,
    margin: float,
    collapses: Mapping[str, Collapse] = MappingProxyType({}),
    metric: Metric = BY_ACCURACY,
) -> tuple[PairTest, ...]:
    """Test these pairs of models, or all, Holm-adjusted for the number of pairs.

    correct: of each model, of the same photos in the same order; or other outcomes. margin:
    differences below this are equivalence, 0..1. collapses: of the models of which no claim is made
    over trainings.
    """

    def test(one: str, other: str) -> Difference:
        return design.test(
            correct[one], correct[other], claim=collapses.keys().isdisjoint((one, other))
        )

    ordered = [
        pair if test(*pair).value >= 0 else pair[::-1]
        for pair in (combinations(correct, 2) if pairs is None else pairs)
    ]
    found = [test(*pair) for pair in ordered]
    strictest = ALPHA / max(len(found), 1)
    p_values = [p_different(each) if each.claim else 1.0 for each in found]
    adjusted = holm(p_values)
    equivalent = holm([p_equivalent(each, margin) if each.claim else 1.0 for each in found])
    trained = holm([p_different(each.trained) for each in found if each.trained])
    photos = design.groups.counted(next(iter(correct.values())).shape[1])
    by = "" if metric.default else f", by {metric.label}"
    tests = [
        PairTest(
            first=first,
            second=second,
            trained_p=trained[row] if trained else None,
            trained_detectable=each.trained.detectable(strictest) if each.trained else None,
            difference=each.value,
            interval=each.interval(),
            claim=each.claim,
            p_value=p_values[row] if each.claim else None,
            p_adjusted=adjusted[row] if each.claim else None,
            significant=adjusted[row] < ALPHA,
            margin=margin,
            p_equivalent=equivalent[row] if each.claim else None,
            equivalent=equivalent[row] < ALPHA,
            attainable=each.attainable(strictest) if each.claim else None,
            detectable=each.detectable(strictest) if each.claim else None,
            sentence="",
            **each.details,
        )
        for row, (each, (first, second)) in enumerate(zip(found, ordered, strict=True))
    ]
    return tuple(
        each.model_copy(update={"sentence": _sentence(each, of.scope + by, photos, collapses)})
        for each, of in zip(tests, found, strict=True)
    )


def _sentence(test: PairTest, scope: str, photos: str, collapses: Mapping[str, Collapse]) -> str:
    numbers = difference(test.difference, test.interval.low, test.interval.high)
    if test.p_adjusted is None or test.p_value is None or test.p_equivalent is None:
        why = listing(collapses[n].told for n in (test.first, test.second) if n in collapses)
        return (
            f"No claim about {test.first} and {test.second} as ways of training: {why}. {scope}, "
            f"over photos, their means differ by {numbers}."
        )
    p = f"CI unadjusted; Holm-adjusted {p_text(test.p_adjusted)}"
    if test.significant:
        told = f"{scope}, {test.first} is significantly better than {test.second}: {numbers} ({p})."
    else:
        unadjusted = f", unadjusted {p_text(test.p_value)}" if test.p_value < ALPHA else ""
        told = (
            f"{scope}, there is no significant difference between {test.first} and {test.second} "
            f"on {photos}: {numbers} ({p}{unadjusted})."
        )
    if test.beats is not None and test.beats_interval is not None:
        reach = ci(test.beats_interval.low, test.beats_interval.high)
        told += (
            f" P({test.first} beats {test.second}) on these photos is {percent(test.beats)} "
            f"({reach}, over seeds)."
        )
    if test.equivalent:
        told += (
            f" They are equivalent within {100 * test.margin:g} percentage points (Holm-adjusted "
            f"{p_text(test.p_equivalent)})."
        )
    return told


def sensitivity(pairs: Sequence[PairTest], photos: str, unit: str) -> str:
    """What could have been found with so many photos: two numbers, in words; empty without pairs.

    photos: how many, in words. unit: of the design.
    """
    if not pairs:
        return ""
    attainable = _range(pair.attainable for pair in pairs)
    detectable = _range(pair.detectable for pair in pairs)
    trained = _range(pair.trained_detectable for pair in pairs)
    given = f"With {photos} and {counted(len(pairs), 'pair')}, "
    varied = not all(pair.of_trained for pair in pairs)
    given += f"as much as these {unit}s vary" if varied else "as many photos discordant as here"
    if not attainable:
        return f"{given}, no difference can be significant."
    found = (
        f"{given}, the smallest difference that can be significant is {attainable} percentage "
        "points"
    )
    if not detectable:
        return f"{found}; none would be found with 80 % power."
    told = (
        f"{found}. To be found with 80 % power, the true difference must be {detectable} "
        "percentage points"
    )
    return f"{told}; of these trained models alone, {trained}." if trained else f"{told}."


def equivalence(pairs: Sequence[PairTest]) -> str:
    """Which pairs are shown to be equivalent, in words; empty without pairs."""
    if not pairs:
        return ""
    shown = [
        f"{pair.first} and {pair.second} ({p_text(pair.p_equivalent)})"
        for pair in pairs
        if pair.equivalent and pair.p_equivalent is not None
    ]
    return (
        f"Equivalent within {100 * pairs[0].margin:g} percentage points (two one-sided tests, "
        "Holm-adjusted: a family of its own, with 5 % of its own): "
        f"{listing(shown) if shown else 'no pair'}."
    )


def _range(differences: Iterable[float | None]) -> str:
    """From the smallest to the largest that there is; empty without any."""
    known = [each for each in differences if each is not None]
    if not known:
        return ""
    low, high = (f"{100 * edge(known):.1f}" for edge in (min, max))
    return low if low == high else f"{low} to {high}"
