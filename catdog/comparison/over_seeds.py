"""Is one way of training better than another? Seeds and photos are both samples.

Arrays of what is correct, or of another value of each photo, have a row a seed and a column a test
photo.
"""

import math
from collections.abc import Sequence

import numpy as np

from catdog.comparison.groups import Groups, Values
from catdog.comparison.metrics import Interval, auc_interval
from catdog.comparison.over_photos import Student, accuracy_interval_of

FEWEST = 3
"""Seeds of each model: with two, one number would have to tell how much seeds differ."""
ENOUGH = 5
"""Seeds for a claim about the way of training: with 3, where one model varies much more than the
other, a 95 % CI covers 92 % only (see `benchmarks/README.md`)."""


class OverSeeds(Student):
    """The difference of mean accuracy of two ways of training, each with two seeds or more.

    An Obuchowski-Rockette analysis (Communications in Statistics 24, 1995, 285-308) with seeds as
    readers and photos as cases, in its form for readers nested within modalities (Hillis,
    Statistics in Medicine 33, 2014, 330-360): seed 42 of one model has nothing in common with seed
    42 of another. Models vary by seed to very different degrees, so that each has a variance of
    its own, as in Welch's test; the degrees of freedom are Satterthwaite's. The covariances over
    photos have a closed form for accuracy. As no variance over seeds is below zero, the whole is
    never below that over photos with these very seeds: three seeds may agree by chance. Photos that
    count together are one case.
    """

    def __init__(
        self,
        first: Values,
        second: Values,
        groups: Groups | None = None,
        of_photos: float = math.inf,
    ) -> None:
        """first, second: by seed and photo. of_photos: their degrees of freedom, at most."""
        a, b, beats = len(first), len(second), chance_to_beat(first, second)
        groups = groups or Groups()
        first, second = groups.cases(first), groups.cases(second)
        n = first.shape[1]
        one, two = first.mean(axis=0), second.mean(axis=0)
        common = _covariance_of_seeds(first) + _covariance_of_seeds(second)
        photos = max(common - 2 * float(np.cov(one, two)[0, 1]), 0.0) / n
        of_photos = min(of_photos, float(n - 1))
        parts = [_part_of_seeds(first), _part_of_seeds(second), (photos, of_photos)]
        these_seeds = float((one - two).var(ddof=1)) / n
        variance, degrees = max(_satterthwaite(parts), (these_seeds, of_photos))
        super().__init__(float(one.mean() - two.mean()), math.sqrt(variance) or 1 / n, degrees)
        self.scope = f"Over {a} seeds each" if a == b else f"Over {a} and {b} seeds"
        reach = auc_interval(beats, a, b)
        self.details = {"seeds": (a, b), "beats": beats, "beats_interval": reach}


def accuracy_interval(
    correct: Values, groups: Groups | None = None, of_photos: float = math.inf
) -> Interval:
    """95 % CI of the mean accuracy of a way of training, over seeds and photos.

    Its variance as in `OverSeeds`; at least that of groups of equal photos.
    """
    groups = groups or Groups()
    p, photos_counted = float(correct.mean()), groups.number(correct.shape[1])
    least = groups.least_variance(correct.mean(axis=0))
    correct = groups.cases(correct)
    n = correct.shape[1]
    of_photos = min(of_photos, float(n - 1))
    photos = max(_covariance_of_seeds(correct), 0.0) / n
    these_seeds = float(correct.mean(axis=0).var(ddof=1)) / n
    variance, degrees = max(
        _satterthwaite([_part_of_seeds(correct), (photos, of_photos)]),
        (max(these_seeds, least), of_photos),
    )
    return accuracy_interval_of(p, variance, degrees, photos_counted)


def chance_to_beat(first: Values, second: Values) -> float:
    """P(A beats B): that one training of A classifies more of these photos correctly than one of B.

    The share of pairs of seeds that the first wins, ties as half (Mann and Whitney, Ann. Math.
    Statist. 18, 1947, 50-60): unbiased, whatever the distribution over seeds.
    """
    one, other = (np.round(each.sum(axis=1), 6) for each in (first, second))
    against = one[:, None] - other[None, :]
    return float((against > 0).mean() + (against == 0).mean() / 2)


def _part_of_seeds(correct: Values) -> tuple[float, float]:
    """What the seeds add to the variance of a mean accuracy, and its degrees of freedom."""
    return float(correct.mean(axis=1).var(ddof=1)) / len(correct), len(correct) - 1


def _covariance_of_seeds(correct: Values) -> float:
    """Covariance over photos of being correct with one seed and with another, mean of all pairs."""
    seeds = len(correct)
    own = float(correct.var(axis=1, ddof=1).sum())
    return (seeds**2 * float(correct.mean(axis=0).var(ddof=1)) - own) / (seeds * (seeds - 1))


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The sum of variances with their degrees of freedom, and those of the sum."""
    variance = sum(part for part, _ in parts)
    spread = sum(part**2 / degrees for part, degrees in parts)
    return variance, variance**2 / spread if spread else float(parts[-1][1])
