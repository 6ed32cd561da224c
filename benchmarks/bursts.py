"""Do tests and intervals hold where photos come in bursts? Simulated, where the truth is known.

Draws what models classify correctly as `benchmarks.seeds` does, but for pictures, some of which are
there several times: all photos of a burst are classified alike, but for some, which are as good as
other pictures. Counts how often a difference is found that is not there (type I error)
and how often a 95 % interval holds the true value (coverage), once with every photo as an
observation of its own, and once with the pictures, as the report does.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.seeds import Design, draw
from catdog.comparison.design import CrossValidation, SeveralSeeds
from catdog.comparison.groups import Groups
from catdog.comparison.metrics import Interval, share_interval
from catdog.comparison.over_photos import ALPHA, Correct, Difference, p_different


class Bursts(NamedTuple):
    """How many of the photos are in bursts, and how many photos a burst has.

    unlike: the share of a burst's photos that are classified as if they were others.
    """

    told: str
    share: float
    size: int
    unlike: float = 0.1

    def groups(self, photos: int) -> npt.NDArray[np.int64]:
        """The group of each photo."""
        bursts = min(round(self.share * photos / self.size), photos // self.size)
        return np.concatenate(
            [
                np.repeat(np.arange(bursts), self.size),
                np.arange(bursts, photos - bursts * self.size + bursts),
            ]
        )


class Kind(NamedTuple):
    """A comparison of two models: how often each is trained, and how."""

    told: str
    seeds: int
    compare: Callable[[Correct, Correct, npt.NDArray[np.int64], bool], tuple[Difference, Interval]]


def of_seeds(
    first: Correct, second: Correct, group: npt.NDArray[np.int64], grouped: bool
) -> tuple[Difference, Interval]:
    """As with one seed or several; the interval of the first model's accuracy."""
    design = SeveralSeeds()
    design.groups = Groups(group.astype(str)) if grouped else Groups()
    reach = design.interval(first) or share_interval(first[0], design.groups)
    return design.test(first, second), reach


def of_folds(
    first: Correct, second: Correct, group: npt.NDArray[np.int64], grouped: bool
) -> tuple[Difference, Interval]:
    """As in a cross-validation with five folds, a burst in one."""
    fold_of = {str(photo): int(each) % 5 + 1 for photo, each in enumerate(group)}
    group_of = {path: str(each) for path, each in zip(fold_of, group, strict=True)}
    design = CrossValidation(5, fold_of, group_of=group_of if grouped else {}, paths=fold_of)
    return design.test(first, second), design.accuracy(first)[2]


BURSTS = (
    Bursts("none", 0, 1),
    Bursts("10 % in fours", 0.1, 4),
    Bursts("20 % in fives", 0.2, 5),
    Bursts("all in fours", 1, 4),
    Bursts("all in tens", 1, 10),
    Bursts("all in tens, half unlike", 1, 10, unlike=0.5),
)
KINDS = (
    Kind("trained models", 1, of_seeds),
    Kind("3 seeds", 3, of_seeds),
    Kind("5 seeds", 5, of_seeds),
    Kind("5 folds", 1, of_folds),
)
DESIGNS = (
    Design("75 %", (0.75, 0.75), 0.65, 0.2, [(0, 0)]),
    Design("97 %", (0.97, 0.97), 0.9, 0.2, [(0.0015, 0.0015)]),
)


class Cell(NamedTuple):
    """What became of many simulated comparisons, as shares of 1: by photos, and by pictures."""

    rejected: tuple[float, float]
    covered: tuple[float, float]
    """One model's accuracy; the interval of a difference covers where that is not rejected."""


def photographed(
    design: Design, bursts: Bursts, seeds: int, photos: int, rng: np.random.Generator
) -> tuple[Correct, Correct]:
    """Which photos are classified correctly."""
    place = bursts.groups(photos)
    unlike = rng.random(photos) < bursts.unlike
    pictures, others = (draw(design, design.sds[0], seeds, photos, rng) for _ in range(2))
    first, second = (
        np.where(unlike, other, picture[:, place])
        for picture, other in zip(pictures, others, strict=True)
    )
    return first, second


def simulate(kind: Kind, design: Design, bursts: Bursts, photos: int, times: int) -> Cell:
    """Compare so many simulated pairs with the product's own tests."""
    rng = np.random.default_rng([photos, bursts.size])
    group, truth = bursts.groups(photos), design.accuracies[0]
    counts = np.zeros((2, 2))
    for _ in range(times):
        pair = photographed(design, bursts, kind.seeds, photos, rng)
        for grouped in (False, True):
            found, reach = kind.compare(*pair, group, grouped)
            counts[:, int(grouped)] += (
                p_different(found) < ALPHA,
                reach.low <= truth <= reach.high,
            )
    (rejected, rejected_too), (covered, covered_too) = (counts / times).tolist()
    return Cell((rejected, rejected_too), (covered, covered_too))


def rows(times: int) -> Iterator[str]:
    """A Markdown table, a row a case: by photos, and by pictures."""
    numbers = [f"{what}, n = {n}" for what in ("type I", "coverage") for n in (192, 808)]
    yield f"| Claim about | Accuracy | Bursts | {' | '.join(numbers)} |"
    yield "|---|--:|---" + "|--:" * len(numbers) + "|"
    for kind in KINDS:
        for design in DESIGNS:
            for bursts in BURSTS:
                cells = [simulate(kind, design, bursts, n, times) for n in (192, 808)]
                shown = [
                    f"{100 * a:.1f} / {100 * b:.1f}"
                    for each in zip(*cells, strict=True)
                    for a, b in each
                ]
                yield f"| {kind.told} | {design.told} | {bursts.told} | {' | '.join(shown)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2_000, help="simulated pairs a cell")
    given = parser.parse_args()
    for row in rows(given.times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
