"""Does what is said of calibration hold? Simulated, where the truth is known.

Draws confidences of two classes (logistic of a normal margin) and which photos are classified
correctly, with a chance that is the confidence (calibrated) or another one. Counts how often the
test says "not calibrated" (type I error, or power) and how often a model is called over- or
under-confident. Also how often a percentile bootstrap, the interval that is not shown, holds the
true ECE; and how often the intervals of the log loss and the Brier score hold the true ones, next
to the usual symmetric one.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison.metrics import BINS, Interval, brier_interval, calibration, log_loss_interval

Values = npt.NDArray[np.float64]

RESAMPLES = 300
"""Of each bootstrap."""
MANY = 2_000_000
"""Photos from which the true ECE is known to 0.05 points."""


class Case(NamedTuple):
    """A kind of model."""

    told: str
    margin: float
    """Mean of the margin (its standard deviation is 1.5): how sure the model is."""
    accuracy: Callable[[Values], Values]
    """The true accuracy at a confidence."""


CASES = (
    Case("weak, calibrated", 0.8, lambda c: c),
    Case("weak, 5 points over-confident", 0.8, lambda c: np.maximum(c - 0.05, 0.5)),
    Case("weak, 5 points under-confident", 0.8, lambda c: np.minimum(c + 0.05, 1.0)),
    Case("weak, wrong both ways by 10", 0.8, lambda c: c + np.where(c < 0.75, 0.1, -0.1)),
    Case("strong, calibrated", 4.5, lambda c: c),
    Case("strong, 2 points over-confident", 4.5, lambda c: np.maximum(c - 0.02, 0.5)),
)


class Cell(NamedTuple):
    """What became of many simulated test sets, as shares of 1."""

    rejected: float
    over: float
    under: float
    covered: float


def draw(case: Case, photos: int, rng: np.random.Generator) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Confidences, and whether each photo is classified correctly."""
    margin = np.abs(rng.normal(case.margin, 1.5, photos))
    confidence = 1 / (1 + np.exp(-margin))
    return confidence, rng.random(photos) < case.accuracy(confidence)


def error(confidence: Values, correct: npt.NDArray[np.bool_]) -> float:
    """The ECE, written apart from the product's."""
    place = np.minimum(((confidence - 0.5) * 2 * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(place, confidence - correct, BINS)).sum() / len(place))


def simulate(case: Case, photos: int, times: int, seed: int = 1) -> Cell:
    """Judge so many simulated test sets with the product's own test."""
    rng = np.random.default_rng([seed, photos])
    truth = error(*draw(case, MANY, rng))
    counts = np.zeros(4)
    for _ in range(times):
        confidence, correct = draw(case, photos, rng)
        labels = np.where(correct, 1, 0)
        found = calibration(labels, np.column_stack([1 - confidence, confidence]))
        rows = rng.integers(photos, size=(RESAMPLES, photos))
        again = [error(confidence[row], correct[row]) for row in rows]
        low, high = np.quantile(again, [0.025, 0.975])
        counts += (
            found.p_value < 0.05,
            found.direction == "over-confident",
            found.direction == "under-confident",
            low <= truth <= high,
        )
    return Cell(*(counts / times).tolist())


def rows(times: int) -> Iterator[str]:
    """A Markdown table, a row a case and number of photos."""
    yield "| Model | n | p < 0.05 | over-confident | under-confident | bootstrap covers |"
    yield "|---" + "|--:" * 5 + "|"
    for case in CASES:
        for photos in (192, 808):
            shares = (f"{100 * share:.1f}" for share in simulate(case, photos, times))
            yield f"| {case.told} | {photos} | {' | '.join(shares)} |"


LOSSES = (
    ("weak, calibrated", 0.8, 1.0),
    ("weak, over-confident", 0.8, 2.0),
    ("strong, calibrated", 4.5, 1.0),
    ("strong, over-confident", 4.5, 2.0),
)
"""Models with their margin, and by what the margin is too large in what they say."""


def say(margin: float, factor: float, photos: int, rng: np.random.Generator) -> Values:
    """The probability of the true class of each photo."""
    true = np.abs(rng.normal(margin, 1.5, photos))
    sign = np.where(rng.random(photos) < 1 / (1 + np.exp(-true)), 1, -1)
    return 1 / (1 + np.exp(-sign * factor * true))


def holds(interval: Interval | None, truth: float) -> bool:
    return interval is not None and interval.low <= truth <= interval.high


def symmetric(values: Values) -> Interval:
    """Mean plus or minus 1.96 standard errors."""
    reach = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    return Interval(low=values.mean() - reach, high=values.mean() + reach)


def losses(margin: float, factor: float, photos: int, times: int) -> Values:
    """Coverage of log loss and Brier score, each by the symmetric interval and by the product's."""
    rng = np.random.default_rng([photos, int(10 * factor)])
    many = say(margin, factor, MANY, rng)
    log_loss, brier = -np.log(many).mean(), ((1 - many) ** 2).mean()
    counts = np.zeros(4)
    for _ in range(times):
        own = say(margin, factor, photos, rng)
        counts += (
            holds(symmetric(-np.log(own)), log_loss),
            holds(log_loss_interval(-np.log(own)), log_loss),
            holds(symmetric((1 - own) ** 2), brier),
            holds(brier_interval((1 - own) ** 2), brier),
        )
    return counts / times


def loss_rows(times: int) -> Iterator[str]:
    """A Markdown table of coverage."""
    yield "| Model | n | log loss, symmetric | log loss | Brier, symmetric | Brier |"
    yield "|---" + "|--:" * 5 + "|"
    for told, margin, factor in LOSSES:
        for photos in (192, 808):
            shares = (f"{100 * share:.1f}" for share in losses(margin, factor, photos, times))
            yield f"| {told} | {photos} | {' | '.join(shares)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2_000, help="simulated test sets a row")
    given = parser.parse_args()
    for row in chain(rows(given.times), [""], loss_rows(given.times)):
        print(row, flush=True)


if __name__ == "__main__":
    main()
