"""What would more photos bring? A learning curve, and how far one can see along it.

Errors fall about as a power of the number of training photos (Hestness et al., 2017,
arXiv:1712.00409), until they level off where labels or photos cannot be told apart. Few sizes
cannot show where that is. So a forecast reaches from the power law down to no gain at all.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison.metrics import CONFIDENCE, Interval, wilson_interval
from catdog.comparison.over_photos import ALPHA, POWER, mcnemar_power
from catdog.store.store import Record
from catdog.wording import counted, percent, span

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
DRAWS = 5
"""Of each part of the photos: so few photos differ much from draw to draw."""
SAMPLES = 1_000
"""Of the bootstrap over test photos and draws."""
STEEPEST = 1.0
"""Power of the number of photos: none was ever measured to fall faster, but small samples do."""
GAP = 0.02
"""A difference that is worth a test: two points."""
LARGEST_TEST = 20_000

Right = npt.NDArray[np.bool_]


class Forecast(Record):
    """The accuracy with so many training photos, and with twice as many."""

    of: str
    """The class, or "all"."""
    now: float
    twice: float
    """By the power law."""
    interval: Interval
    """95 %: from the power law to no gain, with what the test photos and draws leave open."""


class LearningCurve(Record):
    """How accuracy grew with the number of training photos, and what is to be expected of more."""

    name: str
    photos: tuple[int, ...]
    accuracies: tuple[tuple[float, ...], ...]
    """Of each draw, by number of photos."""
    test_photos: int
    forecast: Forecast
    weakest: Forecast
    """Of the class that is predicted worst."""
    needed: int | None
    """Test photos that show a difference of two points with 80 % power."""

    @property
    def sentence(self) -> str:
        """What more photos would likely give, in words."""
        all_of, weak = self.forecast, self.weakest
        needed = f"{self.needed:,}" if self.needed else f"more than {LARGEST_TEST:,}"
        return (
            f"With {counted(self.photos[-1], 'training photo')} the accuracy is "
            f"{percent(all_of.now)}; twice as many would likely give {percent(all_of.twice)} "
            f"(95 % interval {span(all_of.interval.low, all_of.interval.high)}), and of "
            f"{weak.of}, the weakest class, {percent(weak.twice)} instead of {percent(weak.now)} "
            f"({span(weak.interval.low, weak.interval.high)}). To show a difference of 2 points "
            f"takes {needed} test photos; there are {self.test_photos:,}."
        )


class Part(NamedTuple):
    """So many training photos: what models that were trained on draws of them get right."""

    photos: int
    right: Right
    """(draws, test photos)."""


def parts(labels: npt.NDArray[np.int32], draw: int) -> Iterator[npt.NDArray[np.intp]]:
    """Nested parts of the training photos, the smallest first, each with its share of each class.

    labels: their classes (n). draw: which of many divisions.
    """
    rng = np.random.default_rng(draw)
    mixed = [rng.permutation(np.flatnonzero(labels == each)) for each in np.unique(labels)]
    for share in SHARES:
        yield np.concatenate([rows[: max(1, round(share * len(rows)))] for rows in mixed])


def learning_curve(
    name: str, found: Sequence[Part], labels: npt.NDArray[np.int32], classes: Sequence[str]
) -> LearningCurve:
    """What these parts tell. labels: the classes of the test photos (n), as indices."""
    every = np.ones(len(labels), np.bool_)
    whole = found[-1].right.mean(axis=0)
    recalls = {i: float(whole[labels == i].mean()) for i in np.unique(labels).tolist()}
    weakest = min(recalls, key=recalls.__getitem__)
    return LearningCurve(
        name=name,
        photos=tuple(part.photos for part in found),
        accuracies=tuple(tuple(part.right.mean(axis=1).tolist()) for part in found),
        test_photos=len(labels),
        forecast=forecast("all", found, every),
        weakest=forecast(classes[weakest], found, labels == weakest),
        needed=needed(1 - float(whole.mean())),
    )


def forecast(of: str, found: Sequence[Part], which: Right) -> Forecast:
    """The accuracy with twice the photos of the largest part, on some test photos."""
    photos = np.log([part.photos for part in found])
    right = [part.right[:, which].astype(float) for part in found]
    ahead = photos[-1] + np.log(2)
    n = int(which.sum())
    least = 0.5 / n
    errors = np.array([1 - each.mean() for each in right])
    drawn = np.maximum(_drawn(right), least)
    law = np.exp(_power_law(photos, np.log(drawn), ahead))
    law *= np.exp(np.random.default_rng(1).normal(0, _scatter(photos, errors, least), len(law)))
    most = 1 - min(float(np.quantile(law, (1 - CONFIDENCE) / 2)), 1.0)
    twice = float(np.exp(_power_law(photos, np.log(np.maximum(errors, least))[None], ahead))[0])
    now = float(1 - errors[-1])
    return Forecast(
        of=of,
        now=now,
        twice=1 - min(twice, 1.0),
        interval=Interval(low=_no_gain(now, right[-2]), high=most),
    )


def _no_gain(now: float, half: npt.NDArray[np.float64]) -> float:
    """The lower end: what more photos may leave it at.

    So many test photos and one draw of training photos leave it open. How much another draw would
    differ is told by those of half the photos, which differ no less: (draws, test photos).
    """
    from scipy.special import ndtri

    draws, n = half.shape
    tested = now - wilson_interval(round(n * now), n).low
    critical = float(ndtri((1 + CONFIDENCE) / 2))
    drawn = critical * float(half.mean(axis=1).std(ddof=1)) if draws > 1 else 0.0
    return max(0.0, now - float(np.hypot(tested, drawn)))


def _drawn(right: Sequence[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Error rates (samples, parts), with test photos and draws drawn again."""
    rng = np.random.default_rng(0)
    n = right[0].shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), SAMPLES) / n
    found = []
    for each in right:
        chosen = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), SAMPLES) / len(each)
        found.append(1 - ((chosen @ each) * weights).sum(axis=1))
    return np.array(found).T


def _power_law(
    photos: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], ahead: float
) -> npt.NDArray[np.float64]:
    """Log errors at `ahead`, by least squares through the log errors (samples, parts)."""
    centred = photos - photos.mean()
    slope = np.clip(errors @ centred / (centred @ centred), -STEEPEST, 0.0)
    return np.asarray(errors.mean(axis=1) + slope * (ahead - photos.mean()))


def _scatter(
    photos: npt.NDArray[np.float64], errors: npt.NDArray[np.float64], least: float
) -> float:
    """How far the log errors lie from the power law."""
    logs = np.log(np.maximum(errors, least))
    fitted = [float(_power_law(photos, logs[None], each)[0]) for each in photos]
    return float(np.sqrt(((logs - fitted) ** 2).sum() / max(1, len(logs) - 2)))


def needed(error: float) -> int | None:
    """Test photos with which a model that errs by `GAP` less is found better, 80 % of the time.

    Where no photo is wrong for both: the more they err on alike, the fewer would do.
    """
    differ = min(1.0, max(error, GAP) + max(error - GAP, 0.0))
    sizes = range(10, LARGEST_TEST + 1)
    found = bisect_left(sizes, POWER, key=lambda n: mcnemar_power(n, GAP, differ, ALPHA))
    return sizes[found] if found < len(sizes) else None
