"""How a metric judges predictions: its value a photo, its interval, and its test of a pair.

What is judged, the outcomes, has a row a training and a column a photo. Of a share (`Shares`), it
is whether each photo is right, and its mean is the metric. Of a mean over classes (`Averages`), it
is the predicted class.
"""

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.comparison.groups import Groups, Values
from catdog.comparison.metrics import Interval, score_interval, share_interval
from catdog.comparison.over_photos import (
    ALPHA,
    POWER,
    OfTrained,
    Paired,
    accuracy_interval_of,
    cross,
)
from catdog.metric import BALANCED, Metric

Outcomes = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

DRAWS = 9_999
"""Of a permutation test: the smallest p is then 0.0001."""
FINEST = 1 / (1 + DRAWS)
ENOUGH_AS_FAR = 3
"""With fewer draws as far as what is seen, more are made where a smaller p is asked for, until so
many are expected. The p value holds with any number of draws (Phipson and Smyth, Statistical
Applications in Genetics and Molecular Biology 9, 2010, 39)."""
CELLS = 2**22
"""Numbers in memory at a time."""
FARTHEST = 12.0
"""Standard errors: beyond, every p value is 0."""


class Shares:
    """The share of photos that are right: of all, the accuracy; of a class, its recall."""

    def values(self, outcomes: Outcomes) -> Values:
        """Of each photo; their mean is the metric of a training, and they vary as it does."""
        return outcomes

    def interval(self, outcomes: Outcomes, groups: Groups) -> Interval:
        """95 % CI of the metric of one training (n)."""
        return share_interval(outcomes, groups)

    def degrees(self, photos: int) -> float:
        """Of freedom, of what varies over so many photos."""
        return photos - 1.0

    def widened(self, interval: Interval, outcomes: Outcomes, groups: Groups) -> Interval:
        """The 95 % CI of a mean over trainings as it is shown."""
        return interval

    def pair(
        self, first: Outcomes, second: Outcomes, groups: Groups, *, finest: float = FINEST
    ) -> OfTrained:
        """The test of two trained models. finest: the smallest p that matters."""
        return Paired(cross(*groups.votes(first, second)))

    def among(self, chosen: Outcomes) -> "Judge":
        """The same of some of the photos."""
        return self


class Averages:
    """A mean over the classes of the photos."""

    def __init__(self, metric: Metric, labels: Outcomes) -> None:
        """labels: the true class of each photo (n)."""
        self.metric, self.labels = metric, np.asarray(labels)
        self.classes, self.truth = np.unique(self.labels, return_inverse=True)
        self.actual = np.bincount(self.truth)

    def among(self, chosen: Outcomes) -> "Judge":
        """The same of some of the photos."""
        return Averages(self.metric, self.labels[chosen])

    def values(self, outcomes: Outcomes) -> Floats:
        """The metric, and how much each photo moves it away from what its class has on average.

        Its influence (Hampel, JASA 69, 1974, 383-393), with the numbers of photos a class as they
        are, and their variance within a class as a sample has it.
        """
        return np.array([self._values(row) for row in np.atleast_2d(outcomes)])

    def _values(self, predicted: Outcomes) -> Floats:
        photos = self.photos(predicted)
        counts = photos.sum(axis=0)
        on_hits, on_predicted = self.metric.slopes(counts[0], self.actual, counts[1])
        moved = len(predicted) * (photos[:, 0] @ on_hits + photos[:, 1] @ on_predicted)
        mean = np.bincount(self.truth, moved) / self.actual
        sample = np.sqrt(self.actual / np.maximum(self.actual - 1, 1))
        found: Floats = self.value(counts) + (moved - mean[self.truth]) * sample[self.truth]
        return found

    def photos(self, predicted: Outcomes) -> Floats:
        """What each photo adds to the hits and to the predictions of each class (n, 2, classes)."""
        given = np.asarray(predicted)[:, None] == self.classes
        right = given & (self.truth[:, None] == np.arange(len(self.classes)))
        return np.stack([right, given], axis=1).astype(float)

    def value(self, counts: Floats) -> Any:
        """The metric by hits and predictions (..., 2, classes)."""
        return self.metric.of_counts(counts[..., 0, :], self.actual, counts[..., 1, :])

    def interval(self, outcomes: Outcomes, groups: Groups) -> Interval:
        """95 % CI of the metric of one training (n).

        Of the balanced accuracy, from Wilson's of the recalls (`recall_reach`): a class of ten
        photos that are all right has no variance. Of others, Wilson's for as many photos as would
        have its variance.
        """
        if self.metric.name == BALANCED:
            value = float(self.values(outcomes).mean())
            below, above = recall_reach(self, outcomes, groups, _critical(ALPHA))
            reach = [math.sqrt((each**2).sum()) / len(self.classes) for each in (below, above)]
            return Interval(low=max(0.0, value - reach[0]), high=min(1.0, value + reach[1]))
        values = self._values(outcomes)
        cases = groups.cases(values)
        error = float(cases.var(ddof=1)) / len(cases)
        n = groups.number(len(values))
        return accuracy_interval_of(float(values.mean()), error, len(cases) - 1, n)

    def degrees(self, photos: int) -> float:
        """Of freedom, of what varies over so many photos: the few of a rare class decide.

        Satterthwaite's, were the photos of all classes to vary alike.
        """
        parts = 1 / self.actual
        freedom = (parts**2 / np.maximum(self.actual - 1, 1)).sum()
        return float(min(parts.sum() ** 2 / freedom, photos - 1))

    def widened(self, interval: Interval, outcomes: Outcomes, groups: Groups) -> Interval:
        """The 95 % CI of a mean over trainings as it is shown.

        Of the balanced accuracy, no narrower than that of one training with the mean recalls.
        """
        if self.metric.name != BALANCED:
            return interval
        one = self.interval(outcomes, groups)
        return Interval(low=min(interval.low, one.low), high=max(interval.high, one.high))

    def pair(
        self, first: Outcomes, second: Outcomes, groups: Groups, *, finest: float = FINEST
    ) -> OfTrained:
        """The test of two trained models. finest: the smallest p that matters."""
        return Permuted(self, first, second, groups, finest)


Judge = Shares | Averages


def judge(metric: Metric, labels: Outcomes) -> Judge:
    """How a metric judges predictions of photos with these labels."""
    return Averages(metric, labels) if metric.averages else Shares()


def recall_reach(
    judge: Averages, outcomes: Outcomes, groups: Groups, critical: float
) -> tuple[Floats, Floats]:
    """How far Wilson's interval of each recall, or mean one, reaches below and above it."""
    right = (np.atleast_2d(outcomes) == judge.labels).mean(axis=0)
    found = []
    for each in range(len(judge.classes)):
        chosen = judge.truth == each
        recall, n = float(right[chosen].mean()), groups.among(chosen).number(int(chosen.sum()))
        limits = score_interval(recall, n, critical)
        found.append((recall - limits.low, limits.high - recall))
    below, above = np.array(found).T
    return below, above


class Permuted:
    """Two trained models on the same photos, by a mean over classes: a paired permutation test.

    Were the models alike, their predictions of a photo could be swapped (of photos that count
    together, all at once), and the difference would be one of those so drawn (Edgington and
    Onghena, Randomization Tests, 2007). That is exact, but for models that are alike in every
    class: one that is better in one class, and as much worse in a class of few photos, may differ
    by luck alone. So the p value is never below that of the interval: of the balanced accuracy,
    Newcombe's of paired shares (Statistics in Medicine 17, 1998, 2635-2650), of which recalls
    of different classes are independent (Zou and Donner, Statistics in Medicine 27, 2008,
    1693-1702); of others, the normal one, with the variance of the photos' influences.
    """

    scope = "Of these trained models"
    claim = True
    trained = None

    def __init__(
        self,
        judge: Averages,
        first: Outcomes,
        second: Outcomes,
        groups: Groups,
        finest: float = FINEST,
    ) -> None:
        """first, second: the predicted classes (n). finest: the smallest p that matters."""
        self.judge, self.groups, self.finest = judge, groups, finest
        self.pair = np.asarray(first), np.asarray(second)
        self.photos = [judge.photos(each) for each in self.pair]
        one, other = (judge.value(each.sum(axis=0)) for each in self.photos)
        self.value = float(one - other)
        self.details: Mapping[str, Any] = {}

    def p_above(self, bound: float) -> float:
        """One-sided p value of "the difference is at most this bound"."""
        p = self._tail(bound)
        return p if bound else max(p, self.p_swapped(1))

    def p_below(self, bound: float) -> float:
        """One-sided p value of "the difference is at least this bound"."""
        p = 1 - self._tail(bound)
        return p if bound else max(p, self.p_swapped(-1))

    def interval(self) -> Interval:
        """95 % CI: where the test's p is below 0.05, it excludes 0."""
        low, high = (self._limit(sign * _critical(ALPHA)) for sign in (-1, 1))
        return Interval(low=low, high=high)

    def attainable(self, alpha: float) -> float | None:
        """The smallest difference with p below alpha, about; None where no prediction differs."""
        return _critical(alpha) * self._error or None

    def detectable(self, alpha: float) -> float | None:
        """The true difference that has p below alpha with a chance of `POWER`, about."""
        from scipy.special import ndtri

        return (_critical(alpha) + float(ndtri(POWER))) * self._error or None

    def not_worse_power(self, margin: float, level: float) -> float:
        """The chance that a model that is as good has `p_above(-margin)` at this level, about."""
        from scipy.special import ndtr

        return float(ndtr(margin / (self._error or 1e-9) - _critical(2 * level)))

    @cached_property
    def _error(self) -> float:
        """The standard error of a difference of nothing, no less than the interval has it."""
        reach = self.interval()
        return max(float(self._swapped.std()), (reach.high - reach.low) / (2 * _critical(ALPHA)))

    @cached_property
    def _swapped(self) -> Floats:
        """Differences with predictions swapped at random."""
        return self._draw(np.random.default_rng(0), DRAWS)

    def p_swapped(self, sign: int) -> float:
        """One-sided p value of the permutation test alone, above or below (sign 1 or -1).

        What is seen counts as one of the draws; more are drawn only where few are as far.
        """
        draws, as_far = DRAWS, self._as_far(self._swapped, sign)
        if as_far < ENOUGH_AS_FAR and self.finest < FINEST:
            rng, most = np.random.default_rng(1), math.ceil(ENOUGH_AS_FAR / self.finest)
            while draws < most:
                as_far += self._as_far(self._draw(rng, DRAWS), sign)
                draws += DRAWS
        return (1 + as_far) / (1 + draws)

    def _as_far(self, drawn: Floats, sign: int) -> int:
        return int((sign * drawn >= sign * self.value - 1e-9).sum())

    def _draw(self, rng: np.random.Generator, draws: int) -> Floats:
        one, other = (each.sum(axis=0) for each in self.photos)
        found, step = [], max(1, CELLS // max(*self._moves.shape, 1))
        for start in range(0, draws, step):
            shape = min(step, draws - start), len(self._moves)
            swaps = rng.integers(2, size=shape, dtype=np.int8).astype(np.float32)
            change = (swaps @ self._moves).reshape(-1, *one.shape)
            found.append(self.judge.value(one - change) - self.judge.value(other + change))
        return np.concatenate(found)

    @cached_property
    def _moves(self) -> npt.NDArray[np.float32]:
        """What swapping each photo, or group, takes from the counts of the first: whole numbers.

        In an order that is not that of the photos; those without a difference are left out.
        """
        first, second = self.photos
        moved = self.groups.sums((first - second).reshape(len(first), -1).T).T
        moved = moved[moved.any(axis=1)]
        return moved[np.lexsort(moved.T)].astype(np.float32)

    def _tail(self, bound: float) -> float:
        """The p value of "at most this bound" by which the interval is made."""
        from scipy.optimize import brentq
        from scipy.special import ndtr

        if self._limit(-FARTHEST) >= bound:
            return 0.0
        if self._limit(FARTHEST) <= bound:
            return 1.0
        found = brentq(lambda z: self._limit(z) - bound, -FARTHEST, FARTHEST, xtol=1e-9)
        return float(ndtr(found))

    def _limit(self, z: float) -> float:
        """The limit of the interval so many standard errors below or above the difference."""
        far = self._recalls(abs(z)) if self.judge.metric.name == BALANCED else self._influences
        reach = far[int(z > 0)] if isinstance(far, tuple) else abs(z) * far
        return float(np.clip(self.value + math.copysign(reach, z), -1, 1))

    @cached_property
    def _influences(self) -> float:
        one, other = (self.judge.values(each)[0] for each in self.pair)
        cases = self.groups.cases(one - other)
        return float(cases.std(ddof=1)) / math.sqrt(len(cases)) or 1 / len(cases)

    def _recalls(self, critical: float) -> tuple[float, float]:
        """How far the interval of the difference of balanced accuracies reaches down and up."""
        (below, above), (under, over) = (
            recall_reach(self.judge, each, self.groups, critical) for each in self.pair
        )
        phi = self._alike
        down = below**2 + over**2 - 2 * phi * below * over
        up = above**2 + under**2 - 2 * phi * above * under
        reach = (math.sqrt(max(float(each.sum()), 0.0)) / len(phi) for each in (down, up))
        return next(reach), next(reach)

    @cached_property
    def _alike(self) -> Floats:
        """The correlation of being right, within each class; 0 where a model is always the same."""
        right = [self.judge.labels == each for each in self.pair]
        found = []
        for each in range(len(self.judge.classes)):
            one, other = (row[self.judge.truth == each].astype(float) for row in right)
            spread = float(one.std() * other.std())
            common = float(((one - one.mean()) * (other - other.mean())).mean())
            found.append(common / spread if spread else 0.0)
        return np.array(found)


def _critical(alpha: float) -> float:
    """Of the normal distribution, two-sided."""
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2))
