"""Is a slice called worse by luck, and do all intervals hold at once? Simulated.

Draws test photos that are divided in many ways, and a model that is as accurate in every part, or
worse in one. Counts how often any part is called worse that is not, how often the worse one is
found, and how often all intervals together hold the true accuracies.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from catdog.comparison.metrics import score_interval
from catdog.comparison.over_photos import holm
from catdog.comparison.slices import fisher


class Cell(NamedTuple):
    """Shares of 1."""

    by_luck: float
    """Some part is called worse that is not, with p values that are adjusted."""
    unadjusted: float
    """The same without."""
    found: float
    """The part that is worse is called so."""
    covered: float
    """All intervals hold at once."""


def simulate(photos: int, ways: int, accuracy: float, worse: float, times: int) -> Cell:
    """So many ways to halve the photos. worse: the accuracy of the first half of the first way."""
    rng = np.random.default_rng([photos, ways, int(1000 * worse)])
    counts = np.zeros(4)
    for _ in range(times):
        inside = rng.random((ways, photos)) < 0.5
        chance = np.where(inside[0], worse, accuracy)
        right = rng.random(photos) < chance
        counts += judged(inside, right, chance, worse < accuracy)
    return Cell(*(counts / times).tolist())


def judged(
    inside: npt.NDArray[np.bool_],
    right: npt.NDArray[np.bool_],
    chance: npt.NDArray[np.float64],
    differs: bool,
) -> npt.NDArray[np.float64]:
    p = [fisher(right, each) for each in inside]
    adjusted = np.array(holm(p))
    down = np.array([right[e].mean() < right[~e].mean() for e in inside])
    luck = slice(int(differs), None)
    critical = float(ndtri(1 - 0.025 / len(inside)))
    limits = [score_interval(float(right[e].mean()), int(e.sum()), critical) for e in inside]
    held = [
        limit.low <= chance[e].mean() <= limit.high for limit, e in zip(limits, inside, strict=True)
    ]
    return np.array(
        [
            ((adjusted < 0.05) & down)[luck].any(),
            ((np.array(p) < 0.05) & down)[luck].any(),
            differs and adjusted[0] < 0.05 and down[0],
            all(held),
        ]
    )


def rows(times: int) -> Iterator[str]:
    """A Markdown table."""
    yield "| n | slices | accuracy | of one slice | by luck | unadjusted | found | CIs |"
    yield "|--:" * 8 + "|"
    for photos in (192, 808):
        for ways in (10, 40):
            for accuracy, worse in ((0.75, 0.75), (0.97, 0.97), (0.97, 0.85)):
                cell = simulate(photos, ways, accuracy, worse, times)
                shown = " | ".join(f"{100 * share:.1f}" for share in cell)
                told = f"{100 * accuracy:g} % | {100 * worse:g} %"
                yield f"| {photos} | {ways} | {told} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1_000, help="simulated test sets a row")
    given = parser.parse_args()
    for row in rows(given.times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
