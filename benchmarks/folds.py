"""Does the comparison over folds keep its promises? Simulated, where the truth is known.

Draws which photos the models of a cross-validation classify correctly: a normal threshold model, in
which the photos have a difficulty that all models share and one for each model, and the accuracy
varies from fold to fold, as models of other seeds and training photos do. As the folds share most
of their training photos, a part of that may be common to all (Nadeau and Bengio assume test photos
over test and training photos). Counts how often the test finds a difference that is not there (type
I error) or is (power), and how often the 95 % interval holds the true one (coverage).
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from catdog.comparison.over_folds import Fold, OverFolds
from catdog.comparison.over_photos import ALPHA, Correct, cross, mcnemar, p_different


class Design(NamedTuple):
    """Two ways of training: their mean accuracies, and how alike their errors are."""

    told: str
    accuracies: tuple[float, float]
    between: float
    """Correlation of the difficulty of a photo between the two."""
    sds: Sequence[tuple[float, float]]
    """Of the accuracy over folds, each model's; several cases."""


DESIGNS = (
    Design("equal, 75 %", (0.75, 0.75), 0.2, [(0, 0), (0.03, 0.03), (0.06, 0.06), (0, 0.03)]),
    Design("equal, 97 %", (0.97, 0.97), 0.2, [(0.0015, 0.0015), (0.005, 0.005)]),
    Design("80 against 75 %", (0.80, 0.75), 0.2, [(0, 0), (0.03, 0.03)]),
    Design("98 against 97 %", (0.98, 0.97), 0.2, [(0.0015, 0.0015), (0.005, 0.005)]),
    Design("99 against 97 %", (0.99, 0.97), 0.2, [(0.0015, 0.0015), (0.005, 0.005)]),
)
SHAPES = ((5, 1_000), (5, 2_999), (10, 2_999))
"""Folds and photos."""


class Cell(NamedTuple):
    """What became of many simulated comparisons, as shares of 1."""

    rejected: float
    covered: float
    trained: float
    """How often McNemar's test between these trained models has p below 0.05."""


def draw(
    design: Design,
    sds: tuple[float, float],
    common: float,
    fold: Fold,
    rng: np.random.Generator,
) -> tuple[Correct, Correct]:
    """Which photos both models classify correctly.

    common: the share of the variance between folds that all folds have in common.
    """
    from scipy.special import ndtri

    shared = np.sqrt(design.between) * rng.standard_normal(len(fold))

    def tested(accuracy: float, sd: float) -> Correct:
        own = np.sqrt(1 - common) * rng.standard_normal(fold.max() + 1)
        varied = accuracy + sd * (np.sqrt(common) * rng.standard_normal() + own)
        model = np.sqrt(1 - design.between) * rng.standard_normal(len(fold))
        correct: Correct = shared + model < ndtri(np.clip(varied, 0.001, 0.9995))[fold]
        return correct

    first, second = map(tested, design.accuracies, sds)
    return first, second


def simulate(
    design: Design, sds: tuple[float, float], folds: int, photos: int, common: float, times: int
) -> Cell:
    """Judge so many simulated pairs."""
    rng = np.random.default_rng(1)
    fold = np.arange(photos) % folds
    truth = design.accuracies[0] - design.accuracies[1]
    counts = np.zeros(3)
    for _ in range(times):
        first, second = draw(design, sds, common, fold, rng)
        found = OverFolds(first, second, fold)
        interval = found.interval()
        counts += (
            p_different(found) < ALPHA,
            interval.low <= truth <= interval.high,
            mcnemar(cross(first, second)) < ALPHA,
        )
    return Cell(*(counts / times).tolist())


def rows(times: int) -> Iterator[str]:
    """A Markdown table, a row a case: rejected and coverage, by folds and photos."""
    headings = [f"K = {folds}, n = {photos:,}" for folds, photos in SHAPES]
    alone = [f"trained, {heading}" for heading in headings]
    yield f"| Pair | SD over folds | Common | {' | '.join([*headings, *alone])} |"
    yield "|---|---|---" + "|--:" * (len(headings) + len(alone)) + "|"
    for design in DESIGNS:
        for sds in design.sds:
            for assumed in (False, True) if any(sds) else (False,):
                spread = " and ".join(f"{100 * sd:g}" for sd in dict.fromkeys(sds))
                cells = [
                    simulate(design, sds, k, n, 1 / (k - 1) if assumed else 0, times)
                    for k, n in SHAPES
                ]
                found = [f"{100 * cell.rejected:.1f} / {100 * cell.covered:.1f}" for cell in cells]
                found += [f"{100 * cell.trained:.1f}" for cell in cells]
                share = "as assumed" if assumed else "none"
                yield f"| {design.told} | {spread} | {share} | {' | '.join(found)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=4_000, help="simulated pairs a cell")
    given = parser.parse_args()
    for row in rows(given.times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
