"""Do balanced accuracy and macro-F1 keep their promises with a rare class? Simulated.

Draws which photos of two classes two models get right: with given recalls, and a given share of
photos that only one of them has right. Counts how often the paired permutation test alone says that
they differ, how often the report does, and how often the 95 % intervals of one model and of the
difference hold the true ones; of one model also those of a percentile bootstrap by class. Then the
same over five seeds, whose errors on a photo are alike.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison import judges
from catdog.comparison.groups import Groups
from catdog.comparison.judges import Averages, Permuted
from catdog.comparison.metrics import Interval
from catdog.comparison.over_photos import ALPHA, p_different
from catdog.comparison.over_seeds import OverSeeds, accuracy_interval
from catdog.metric import BALANCED, MACRO_F1, Metric

Labels = npt.NDArray[np.str_]
Recalls = tuple[float, float]

judges.DRAWS = 999
"""A tenth of the product's, for speed: a permutation test keeps its level with any number."""
RESAMPLES = 500
"""Of each bootstrap."""
SEEDS = 5
ALIKE = 0.65
"""The correlation of the difficulty of a photo between two seeds, as measured of weak models."""


class Case(NamedTuple):
    """Two models: their recalls of the rare class and of the other one."""

    told: str
    first: Recalls
    second: Recalls
    apart: Recalls = (0.1, 0.04)
    """Photos that one of them alone has right, besides those of the difference."""


CASES = {
    BALANCED: (
        Case("alike", (0.7, 0.95), (0.7, 0.95)),
        Case("as good, other classes", (0.8, 0.85), (0.7, 0.95)),
        Case("as good, few differ", (0.95, 0.91), (0.9, 0.96), (0.0, 0.01)),
        Case("better", (0.9, 0.95), (0.6, 0.93)),
    ),
    MACRO_F1: (
        Case("alike", (0.7, 0.95), (0.7, 0.95)),
        Case("as good, other classes", (0.8, 0.93), (0.6, 0.9587)),
        Case("better", (0.9, 0.95), (0.6, 0.93)),
    ),
}
SIZES = ((192, 10), (400, 20), (1000, 50))
"""Test photos, and how many are of the rare class: a twentieth."""


def value(metric: Metric, photos: npt.NDArray[np.float64], recalls: Recalls) -> float:
    """The true metric with these recalls, of so many photos a class."""
    hits = photos * np.array(recalls)
    return float(metric.of_counts(hits, photos, hits + (photos - hits)[::-1]))


def draw(case: Case, labels: Labels, rng: np.random.Generator) -> list[Labels]:
    """What both models predict."""
    right = np.zeros((2, len(labels)), dtype=bool)
    for each, label in enumerate("ab"):
        rows = np.flatnonzero(labels == label)
        one, two, apart = case.first[each], case.second[each], case.apart[each] / 2
        only = max(one - two, 0) + apart, max(two - one, 0) + apart
        kinds = rng.choice(4, len(rows), p=[one - only[0], *only, 1 - one - only[1]])
        right[0, rows], right[1, rows] = kinds < 2, kinds % 2 == 0
    other = np.where(labels == "a", "b", "a")
    return [np.where(row, labels, other) for row in right]


def bootstrap(
    metric: Metric, photos: npt.NDArray[np.float64], recalls: Recalls, rng: np.random.Generator
) -> Interval:
    """The percentile interval, resampled by class."""
    hits = rng.binomial(photos.astype(int), recalls, size=(RESAMPLES, 2))
    drawn = metric.of_counts(hits, photos, hits + (photos - hits)[:, ::-1])
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(low=low, high=high)


def holds(interval: Interval, true: float) -> bool:
    """Whether it has the true value; exactly at its end, too."""
    return interval.low - 1e-9 <= true <= interval.high + 1e-9


def simulate(
    metric: Metric, case: Case, size: tuple[int, int], times: int
) -> npt.NDArray[np.float64]:
    """Shares of 1: both tests with p below 0.05, and the coverages."""
    photos = np.array([size[1], size[0] - size[1]], dtype=float)
    labels = np.repeat(["a", "b"], photos.astype(int))
    judge, rng, counts = Averages(metric, labels), np.random.default_rng(size), np.zeros(5)
    one, two = (value(metric, photos, each) for each in (case.first, case.second))
    for _ in range(times):
        first, second = draw(case, labels, rng)
        found = Permuted(judge, first, second, Groups())
        swapped = 2 * min(found.p_swapped(1), found.p_swapped(-1)) < ALPHA
        reach, right = found.interval(), first == labels
        recalls = right[labels == "a"].mean(), right[labels == "b"].mean()
        counts += (
            swapped,
            swapped and not reach.low <= 0 <= reach.high,  # as `p_different(found) < ALPHA`
            holds(reach, one - two),
            holds(judge.interval(first, Groups()), one),
            holds(bootstrap(metric, photos, recalls, rng), one),
        )
    return counts / times


def over_seeds(
    metric: Metric, case: Case, size: tuple[int, int], times: int
) -> npt.NDArray[np.float64]:
    """Shares of 1: the test over seeds with p below 0.05, and both coverages."""
    from scipy.special import ndtri

    photos = np.array([size[1], size[0] - size[1]], dtype=float)
    labels = np.repeat(["a", "b"], photos.astype(int))
    other = np.where(labels == "a", "b", "a")
    judge, rng, counts = Averages(metric, labels), np.random.default_rng(size), np.zeros(3)
    recalls = np.array([case.first, case.second])
    one, two = (value(metric, photos, each) for each in (case.first, case.second))
    for _ in range(times):
        shared = rng.standard_normal((2, 1, len(labels))) * ALIKE**0.5
        noise = rng.standard_normal((2, SEEDS, len(labels))) * (1 - ALIKE) ** 0.5
        limits = ndtri(recalls)[:, (labels == "b").astype(int)]
        right = shared + noise < limits[:, None]
        predicted = [np.where(each, labels, other) for each in right]
        first, second = map(judge.values, predicted)
        degrees = judge.degrees(len(labels))
        found = OverSeeds(first, second, of_photos=degrees)
        mean = accuracy_interval(first, of_photos=degrees)
        counts += (
            p_different(found) < ALPHA,
            holds(found.interval(), one - two),
            holds(judge.widened(mean, predicted[0], Groups()), one),
        )
    return counts / times


def rows(times: int) -> Iterator[str]:
    """The two tables."""
    yield (
        "| Metric | Models | n (rare) | permutation p < 0.05 | report p < 0.05 "
        "| difference covers | one covers | bootstrap |"
    )
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for name, cases in CASES.items():
        for case in cases:
            for size in SIZES:
                cells = 100 * simulate(Metric(name), case, size, times)
                told = " | ".join(f"{cell:.1f}" for cell in cells)
                yield f"| {name} | {case.told} | {size[0]} ({size[1]}) | {told} |"
    yield ""
    yield "| Metric, five seeds | Models | n (rare) | p < 0.05 | difference covers | mean covers |"
    yield "|---|---|--:|--:|--:|--:|"
    for name, cases in CASES.items():
        for case in (cases[0], cases[-1]):
            for size in SIZES:
                cells = 100 * over_seeds(Metric(name), case, size, times)
                told = " | ".join(f"{cell:.1f}" for cell in cells)
                yield f"| {name} | {case.told} | {size[0]} ({size[1]}) | {told} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1_000, help="simulated test sets a row")
    for row in rows(parser.parse_args().times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
