"""Is one model better than another? Paired tests on the same photos."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.store.store import Record
from catdog.wording import counted, difference, p_text

ALPHA = 0.05

Correct = npt.NDArray[np.bool_]
"""For each photo: did the model classify it correctly?"""


class Table(Record):
    """The four cells of two models on the same photos."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def n(self) -> int:
        """Photos in all."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the first less that of the second."""
        return (self.only_first - self.only_second) / self.n


class PairTest(Record):
    """Two models on the same photos; `first` is the one that classifies more of them correctly."""

    first: str
    second: str
    table: Table
    difference: float
    """Accuracy of the first less that of the second, 0..1."""
    interval: Interval
    p_value: float
    """Exact McNemar test, two-sided."""
    p_adjusted: float
    """The same after Holm's adjustment for the number of pairs."""
    significant: bool
    sentence: str


class AttainableDifference(Record):
    """The smallest difference that can be significant with this number of photos.

    photos: the fewest that one model must classify correctly and the other wrongly, with none the
    other way round, for an exact p below 0.05 in the strictest of Holm's steps (0.05 / pairs).
    Every photo that goes the other way asks for more.
    """

    n: int
    pairs: int
    photos: int
    difference: float | None
    """As a difference of accuracy, 0..1; None where even all n photos would not be enough."""


def compare_pairs(
    correct: Mapping[str, Correct], pairs: Iterable[tuple[str, str]] | None = None
) -> tuple[PairTest, ...]:
    """Test these pairs of models, or all; the arrays are of the same photos in the same order."""
    ordered = [
        (first, second) if correct[first].sum() >= correct[second].sum() else (second, first)
        for first, second in (combinations(correct, 2) if pairs is None else pairs)
    ]
    return judge(ordered, [cross(correct[first], correct[second]) for first, second in ordered])


def judge(pairs: Sequence[tuple[str, str]], tables: Sequence[Table]) -> tuple[PairTest, ...]:
    """Test each pair of names with its table, Holm-adjusted for the number of pairs."""
    raw = [mcnemar(table) for table in tables]
    adjusted = holm(raw)
    return tuple(map(_judged, pairs, tables, raw, adjusted))


def _judged(names: tuple[str, str], table: Table, p: float, adjusted: float) -> PairTest:
    (first, second), interval = names, paired_interval(table)
    numbers = difference(table.difference, interval.low, interval.high)
    holm_p = f"Holm-adjusted {p_text(adjusted)}"
    if adjusted < ALPHA:
        sentence = f"{first} is significantly better than {second}: {numbers} ({holm_p})."
    else:
        photos = counted(table.n, "test photo")
        unadjusted = f", unadjusted {p_text(p)}" if p < ALPHA else ""
        sentence = (
            f"No significant difference between {first} and {second} on {photos}: {numbers} "
            f"({holm_p}{unadjusted})."
        )
    return PairTest(
        first=first,
        second=second,
        table=table,
        difference=table.difference,
        interval=interval,
        p_value=p,
        p_adjusted=adjusted,
        significant=adjusted < ALPHA,
        sentence=sentence,
    )


def cross(first: Correct, second: Correct) -> Table:
    """Count the photos that both, one or none of two models classify correctly."""
    return Table(
        both=int((first & second).sum()),
        only_first=int((first & ~second).sum()),
        only_second=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
    )


def mcnemar(table: Table) -> float:
    """Exact two-sided p of McNemar's test (Psychometrika 12, 1947, 153-157).

    A sign test on the photos that exactly one of the two classifies correctly; 1 without any.
    """
    from scipy.stats import binomtest

    discordant = table.only_first + table.only_second
    return float(binomtest(table.only_first, discordant).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p values, in the given order (Scand. J. Statist. 6, 1979, 65-70)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return tuple(adjusted.tolist())


def paired_interval(table: Table) -> Interval:
    """95 % CI of the difference of two paired proportions.

    Newcombe's method 10 (Statistics in Medicine 17, 1998, 2635-2650): the Wilson limits of each
    proportion, joined by their correlation.
    """
    n = table.n
    first, second = table.both + table.only_first, table.both + table.only_second
    p1, p2 = first / n, second / n
    one, two = wilson_interval(first, n), wilson_interval(second, n)
    phi = _correlation(table)

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * phi * a * b + b * b, 0.0))

    between = p1 - p2
    return Interval(
        low=max(-1.0, between - reach(p1 - one.low, two.high - p2)),
        high=min(1.0, between + reach(one.high - p1, p2 - two.low)),
    )


def _correlation(table: Table) -> float:
    """Phi of the table, with Newcombe's continuity correction where it is positive."""
    a, b, c, d = table.both, table.only_first, table.only_second, table.neither
    product = (a + b) * (c + d) * (a + c) * (b + d)
    if product == 0:
        return 0.0
    cross_product = a * d - b * c
    if cross_product > 0:
        return max(cross_product - table.n / 2, 0.0) / math.sqrt(product)
    return cross_product / math.sqrt(product)


def attainable_difference(n: int, pairs: int) -> AttainableDifference:
    """The smallest difference that can be significant on n photos, whichever pair it is of."""
    photos = 1
    while 2 * 0.5**photos >= ALPHA / max(pairs, 1):
        photos += 1
    return AttainableDifference(
        n=n, pairs=pairs, photos=photos, difference=photos / n if photos <= n else None
    )
