"""What do claims over seeds say of a way of training that sometimes fails altogether? Simulated.

One way of training stays at the majority class (50 %) with a quarter of its seeds and has a usual
accuracy with the others; the other one is steady. They are the same either in their mean over all
trainings, or in that over the trainings that learn. Counts how often a difference is found that is
not there, and how often the 95 % intervals hold the true values: with the test over all seeds, and
with the rule of the report, which makes no claim where a training predicts one class only.
"""

import argparse
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from benchmarks.seeds import DESIGNS, draw
from catdog.comparison.over_photos import ALPHA, Correct, p_different
from catdog.comparison.over_seeds import OverSeeds, accuracy_interval

COLLAPSE = 0.25
"""The share of trainings that do, of the one way."""
MAJORITY = 0.5


class Way(NamedTuple):
    """A way of training that collapses, against a steady one."""

    accuracy: float
    """Where it learns."""
    same: Literal["mean", "learning"]
    """What the steady one's accuracy is the same as."""

    @property
    def mean(self) -> float:
        """Over all trainings."""
        return COLLAPSE * MAJORITY + (1 - COLLAPSE) * self.accuracy

    @property
    def target(self) -> float:
        """The steady one's accuracy."""
        return self.mean if self.same == "mean" else self.accuracy


WAYS = tuple(Way(accuracy, same) for same in ("mean", "learning") for accuracy in (0.6, 0.75, 0.97))


class Cell(NamedTuple):
    """What became of many simulated comparisons, as shares of 1."""

    before: float
    """How often the test over all seeds finds a difference."""
    own: float
    """How often the 95 % CI of the mean over all trainings holds it."""
    claims: float
    """How often no training predicts one class only."""
    rejected: float
    """How often a difference is then claimed, of all comparisons."""
    covered: float
    """How often the interval of a claimed difference holds the true one."""
    unseen: float
    """How often the 95 % CI of the accuracy then holds that of the trainings that learn."""


def trained(way: Way, seeds: int, photos: int, rng: np.random.Generator) -> tuple[Correct, Correct]:
    """Which photos both classify correctly; half of them have the majority class."""
    design = DESIGNS[1]._replace(accuracies=(way.accuracy, way.target))
    first, second = draw(design, (0.01, 0.0015), seeds, photos, rng)
    first[rng.random(seeds) < COLLAPSE] = np.arange(photos) % 2 == 0
    return first, second


def simulate(way: Way, seeds: int, photos: int, times: int) -> Cell:
    """Compare so many simulated pairs with the product's own test."""
    rng = np.random.default_rng([seeds, photos])
    majority = np.arange(photos) % 2 == 0
    counts = np.zeros(6)
    for _ in range(times):
        first, second = trained(way, seeds, photos, rng)
        found, own = OverSeeds(first, second), accuracy_interval(first)
        differs, reach = p_different(found) < ALPHA, found.interval()
        claim = not (first == majority).all(axis=1).any()
        difference = way.accuracy - way.target if way.same == "learning" else 0.0
        counts += (
            differs,
            own.low <= way.mean <= own.high,
            claim,
            claim and differs,
            claim and reach.low <= difference <= reach.high,
            claim and own.low <= way.accuracy <= own.high,
        )
    before, own_mean, claims, rejected, covered, unseen = (counts / times).tolist()
    return Cell(before, own_mean, claims, rejected, covered / claims, unseen / claims)


def rows(times: int) -> Iterator[str]:
    """A Markdown table, a row a case."""
    yield (
        "| Where it learns | The same | K | n | test over all seeds | CI of its mean | claims "
        "| difference claimed | its CI | CI of the accuracy where it learns |"
    )
    yield "|--:|---" + "|--:" * 8 + "|"
    for way in WAYS:
        for seeds in (3, 5):
            for photos in (192, 808):
                shares = (f"{100 * each:.1f}" for each in simulate(way, seeds, photos, times))
                told = "mean of all" if way.same == "mean" else "where it learns"
                yield (
                    f"| {100 * way.accuracy:.0f} % | {told} | {seeds} | {photos} "
                    f"| {' | '.join(shares)} |"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=4_000, help="simulated pairs a row")
    given = parser.parse_args()
    for row in rows(given.times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
