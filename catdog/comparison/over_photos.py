"""Is one trained model better than another? Exact tests on the same photos, and their intervals.

A difference gives one-sided p values against any bound, from which all follows: the p value (bound
0), the interval (the bounds that are not rejected) and the test of equivalence (the bounds -margin
and +margin).
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from catdog.comparison.groups import Groups, Values
from catdog.comparison.metrics import Interval, score_interval
from catdog.store.store import Record

ALPHA = 0.05
POWER = 0.8
"""The usual chance to find a difference that is there (Cohen 1988)."""
NODES = 2_000
"""Steps of the integral over the share of discordant photos, which are smaller near the ends, where
all of a small p comes from: p to three decimals, a small one to about a tenth of itself."""

Correct = npt.NDArray[np.bool_]
"""For each photo: did the model classify it correctly? Of several seeds, a row a seed."""


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

    @property
    def discordant(self) -> int:
        """Photos that exactly one of the two classified correctly."""
        return self.only_first + self.only_second


def cross(first: Correct, second: Correct) -> Table:
    """Count the photos that both, one or none of two models classify correctly."""
    return Table(
        both=int((first & second).sum()),
        only_first=int((first & ~second).sum()),
        only_second=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
    )


class Difference(Protocol):
    """A difference of two models that gives p values against any bound."""

    scope: str
    """What a claim is about, as the beginning of a sentence."""
    claim: bool
    """Whether it may be called significant or equivalent."""
    details: Mapping[str, Any]
    """What only this kind of test tells: fields of `PairTest`."""
    value: float
    """The first less the second, -1..1."""

    @property
    def trained(self) -> "Difference | None":
        """The test of the trained models alone, where they were tested on all photos."""

    def p_above(self, bound: float) -> float:
        """One-sided p value of "the difference is at most this bound"."""

    def p_below(self, bound: float) -> float:
        """One-sided p value of "the difference is at least this bound"."""

    def interval(self) -> Interval:
        """95 % CI."""

    def attainable(self, alpha: float) -> float | None:
        """The smallest difference that can have p below alpha."""

    def detectable(self, alpha: float) -> float | None:
        """The true difference that is found with a chance of `POWER`."""


class OfTrained(Difference, Protocol):
    """The difference of two trained models."""

    def not_worse_power(self, margin: float, level: float) -> float:
        """The chance that a model that is as good has `p_above(-margin)` at this level."""


class Paired:
    """Two trained models on the same photos: exact McNemar test with the interval that agrees.

    A sign test on the discordant photos (McNemar, Psychometrika 12, 1947, 153-157), and for other
    bounds than 0 its melding with the exact limits of the share of discordant photos (Fay and
    Lumbard, Statistics in Medicine 40, 2021, 1147-1159).
    """

    scope = "Of these trained models"
    claim = True
    trained = None

    def __init__(self, table: Table) -> None:
        self.table, self.value = table, table.difference
        self.details: Mapping[str, Any] = {"table": table}

    def p_above(self, bound: float) -> float:
        """One-sided p value of "the difference is at most this bound"."""
        return self._exceeds(self.table.only_first, bound)

    def p_below(self, bound: float) -> float:
        """One-sided p value of "the difference is at least this bound"."""
        return self._exceeds(self.table.only_second, -bound)

    def interval(self) -> Interval:
        """95 % CI: it excludes 0 exactly when the test's p is below 0.05."""
        return Interval(
            low=_lower_limit(self.p_above), high=-_lower_limit(lambda bound: self.p_below(-bound))
        )

    def attainable(self, alpha: float) -> float | None:
        """The smallest difference with an exact p below alpha.

        Where as many photos are discordant as here, or at least the fewest that could have such a p
        if one model won them all. None where even all photos would be too few.
        """
        from scipy.stats import binom

        fewest = math.floor(2 - math.log2(alpha))  # the first with 2 * 0.5**fewest below alpha
        photos = max(self.table.discordant, fewest)
        if photos > self.table.n:
            return None
        wins = int(binom.isf(alpha / 2, photos, 0.5)) + 1
        return (2 * wins - photos) / self.table.n

    def detectable(self, alpha: float) -> float | None:
        """The true difference that has p below alpha with a chance of `POWER`.

        Where as many photos are discordant as here, or as the difference needs.
        """
        from scipy.optimize import brentq

        n, share = self.table.n, self.table.discordant / self.table.n

        def lacking(difference: float) -> float:
            return POWER - mcnemar_power(n, difference, max(share, difference), alpha)

        return float(brentq(lacking, 1e-9, 1, xtol=1e-5)) if lacking(1) < 0 else None

    def not_worse_power(self, margin: float, level: float) -> float:
        """The chance that a model that is as good has `p_above(-margin)` at this level."""
        # Two models that agree on every photo do not show that they never differ: one photo more.
        share = (self.table.discordant + 1) / (self.table.n + 1)
        return not_worse_power(self.table.n, margin, share, level)

    def _exceeds(self, wins: int, bound: float) -> float:
        """P value of "at most this bound" for the model that alone is right so many times."""
        from scipy.special import betainc

        discordant, agreed = self.table.discordant, self.table.n - self.table.discordant
        losses = discordant - wins
        if bound == 0:
            return float(betainc(wins, losses + 1, 0.5))
        # Above 0 the lower limit of the share of discordant photos tells, below 0 the upper one.
        low, high = (discordant, agreed + 1), (discordant + 1, agreed)
        shares = _quantiles(*(low if bound > 0 else high))
        with np.errstate(divide="ignore"):
            needed = np.clip(0.5 + bound / (2 * shares), 0, 1)
        return float(np.average(betainc(wins, losses + 1, needed), weights=_steps()[1]))


@lru_cache(maxsize=8)
def _quantiles(a: int, b: int) -> npt.NDArray[np.float64]:
    """Of the Beta distribution at the middles of the steps; at its edges it is a constant."""
    from scipy.special import betaincinv

    if a == 0 or b == 0:
        return np.full(NODES, 0.0 if a == 0 else 1.0)
    found: npt.NDArray[np.float64] = betaincinv(a, b, _steps()[0])
    return found


@lru_cache
def _steps() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The middles of steps from 0 to 1, and their widths but for a constant: t^2 (3 - 2 t)."""
    t = (np.arange(NODES) + 0.5) / NODES
    return t**2 * (3 - 2 * t), t * (1 - t)


def _lower_limit(p_above: Callable[[float], float]) -> float:
    """The bound at which this p value, which rises with it, reaches half of `ALPHA`."""
    from scipy.optimize import brentq

    if p_above(-1) >= ALPHA / 2:
        return -1.0
    return float(brentq(lambda bound: p_above(bound) - ALPHA / 2, -1, 1, xtol=1e-6))


class Student:
    """A difference of mean accuracies with a standard error, as Student's t distribution has it."""

    scope: str
    """What a claim is about, as the beginning of a sentence."""
    claim = True
    """Whether it may be called significant or equivalent."""
    details: Mapping[str, Any]
    """What only this kind of test tells: fields of `PairTest`."""
    trained: Difference | None = None
    """The test of the trained models alone, where they were tested on all photos."""

    def __init__(self, value: float, error: float, degrees: float) -> None:
        """value: the first less the second, 0..1; error: not 0, where nothing told them apart."""
        self.value, self.error, self.degrees = value, error, degrees

    def p_above(self, bound: float) -> float:
        """One-sided p value of "the difference is at most this bound"."""
        from scipy.special import stdtr

        return float(stdtr(self.degrees, (bound - self.value) / self.error))

    def p_below(self, bound: float) -> float:
        """One-sided p value of "the difference is at least this bound"."""
        from scipy.special import stdtr

        return float(stdtr(self.degrees, (self.value - bound) / self.error))

    def interval(self) -> Interval:
        """95 % CI: it excludes 0 exactly when the test's p is below 0.05."""
        reach = self.attainable(ALPHA)
        return Interval(low=max(-1.0, self.value - reach), high=min(1.0, self.value + reach))

    def attainable(self, alpha: float) -> float:
        """The smallest difference with p below alpha at this standard error."""
        return _critical(self.degrees, alpha) * self.error

    def detectable(self, alpha: float) -> float | None:
        """The true difference that is found with a chance of `POWER` at this standard error."""
        from scipy.optimize import brentq
        from scipy.stats import nct

        critical = _critical(self.degrees, alpha)

        def lacking(shift: float) -> float:
            return POWER - float(nct.sf(critical, self.degrees, shift))

        return float(brentq(lacking, 0, 3 * critical + 10)) * self.error


class OfTheseTrainings(Student):
    """The difference of mean accuracy of these very trainings, over photos alone: no claim.

    For a way of training of which some trainings fail altogether: what a few of them show does not
    tell how often, so that no test of the means of few trainings holds.
    """

    scope, claim = "Of these trainings alone", False

    def __init__(
        self, first: Values, second: Values, groups: Groups, like: Student | None = None
    ) -> None:
        """like: the test that would be made, of which the rest is told all the same."""
        one, two = (each.mean(axis=0) for each in (first, second))
        difference = groups.cases(one - two)
        n = len(difference)
        self.details, self.trained = (like.details, like.trained) if like else ({}, None)
        error = float(difference.std(ddof=1)) / math.sqrt(n) or 1 / n
        super().__init__(float((one - two).mean()), error, n - 1)


def accuracy_of_these_trainings(correct: Values, groups: Groups) -> Interval:
    """95 % CI of their mean accuracy, over photos alone."""
    means = correct.mean(axis=0)
    cases = groups.cases(means)
    variance = max(float(cases.var(ddof=1)) / len(cases), groups.least_variance(means))
    p, photos = float(means.mean()), groups.number(len(means))
    return accuracy_interval_of(p, variance, len(cases) - 1, photos)


def p_different(difference: Difference) -> float:
    """Two-sided p value of no difference: twice the smaller one-sided one."""
    return min(1.0, 2 * min(difference.p_above(0), difference.p_below(0)))


def p_equivalent(difference: Difference, margin: float) -> float:
    """P value of "the difference is the margin or more, either way".

    Two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987, 657-680): below ALPHA
    exactly when the 90 % interval lies within the margin.
    """
    return max(difference.p_above(-margin), difference.p_below(margin))


def accuracy_interval_of(p: float, variance: float, degrees: float, n: float) -> Interval:
    """95 % CI of a mean accuracy p with this variance and its degrees of freedom, on n photos.

    Wilson's interval for as many photos as would have that variance (Korn and Graubard, Survey
    Methodology 24, 1998, 193-201), so that it stays in 0..1.
    """
    return score_interval(p, p * (1 - p) / variance if variance else n, _critical(degrees, ALPHA))


def _critical(degrees: float, alpha: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - alpha / 2))


def mcnemar_power(n: int, difference: float, discordant: float, alpha: float) -> float:
    """The chance that the exact McNemar test on n photos has p below alpha.

    discordant: the share of photos that exactly one model classifies correctly; the share that
    the better one wins of them follows from the difference.
    """
    from scipy.stats import binom

    m = np.arange(n + 1)
    wins = (1 + difference / discordant) / 2
    fewest = binom.isf(alpha / 2, m, 0.5) + 1
    found = binom.sf(fewest - 1, m, wins) + binom.cdf(m - fewest, m, wins)
    return float(binom.pmf(m, n, discordant) @ found)


def not_worse_power(n: int, margin: float, discordant: float, level: float) -> float:
    """The chance that an equally accurate model is shown not to be worse by the margin or more.

    On n photos by `Paired.p_above` at this level; discordant: as in `mcnemar_power`.
    """
    from scipy.stats import binom

    m = np.arange(n + 1)
    chances = binom.pmf(m, n, discordant)
    likely = np.flatnonzero(chances > 1e-6).tolist()
    fewest = [
        bisect_left(range(each + 1), True, key=_shows(n, each, margin, level)) for each in likely
    ]
    return float(chances[likely] @ binom.sf(np.array(fewest) - 1, likely, 0.5))


def _shows(n: int, discordant: int, margin: float, level: float) -> Callable[[int], bool]:
    """Whether so many wins show that a model is not worse."""

    def shown(wins: int) -> bool:
        table = Table(
            both=n - discordant, only_first=wins, only_second=discordant - wins, neither=0
        )
        return Paired(table).p_above(-margin) <= level

    return shown


def mcnemar(table: Table) -> float:
    """Exact two-sided p of McNemar's test; 1 without discordant photos."""
    return p_different(Paired(table))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p values, in the given order (Scand. J. Statist. 6, 1979, 65-70)."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    steps = p[order] * (len(p) - np.arange(len(p)))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return tuple(adjusted.tolist())
