"""Does the comparison over seeds keep its promises? Simulated, where the truth is known.

Draws which photos each training classifies correctly: a normal threshold model, in which the photos
have a difficulty that all models share, one for each model, and one for each training, and the
accuracy varies over seeds with a beta distribution. The correlations are those measured on the real
photos (see README.md). Counts how often the test finds a difference that is not there (type I
error) or is (power), and how often the 95 % interval holds the true one (coverage).
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from catdog.comparison.over_photos import ALPHA, Correct, cross, mcnemar, p_different
from catdog.comparison.over_seeds import OverSeeds


class Design(NamedTuple):
    """Two ways of training: their mean accuracies, and how alike their errors are."""

    told: str
    accuracies: tuple[float, float]
    within: float
    """Correlation of the difficulty of a photo between two seeds of one model."""
    between: float
    """The same between two models."""
    sds: Sequence[tuple[float, float]] = ((0, 0), (0.03, 0.03), (0.06, 0.06))
    """Of the accuracy over seeds, each model's; several cases."""


DESIGNS = (
    Design("one procedure, 75 %", (0.75, 0.75), 0.65, 0.65),
    Design("two procedures, 75 %", (0.75, 0.75), 0.65, 0.2),
    Design("80 against 75 %", (0.80, 0.75), 0.65, 0.2),
    Design("one procedure, 97 %", (0.97, 0.97), 0.9, 0.9, [(0.0015, 0.0015)]),
    Design("two procedures, 97 %", (0.97, 0.97), 0.9, 0.2, [(0.0015, 0.0015)]),
    Design("75 %, one steady", (0.75, 0.75), 0.65, 0.2, [(0, 0.03), (0, 0.06)]),
    Design("97 against 75 %", (0.97, 0.75), 0.65, 0.2, [(0.0015, 0.03), (0.0015, 0.06)]),
)


class Cell(NamedTuple):
    """What became of many simulated comparisons, as shares of 1."""

    rejected: float
    covered: float
    one_seed: float
    """How often McNemar's test between the first seeds has p below 0.05."""


def draw(
    design: Design, sds: tuple[float, float], seeds: int, photos: int, rng: np.random.Generator
) -> tuple[Correct, Correct]:
    """Which photos each training of both models classifies correctly, a row a seed."""
    from scipy.special import ndtri

    shared = np.sqrt(design.between) * rng.standard_normal(photos)

    def trained(accuracy: float, sd: float) -> Correct:
        accuracies = np.full(seeds, accuracy)
        if sd:
            scale = accuracy * (1 - accuracy) / sd**2 - 1
            accuracies = rng.beta(accuracy * scale, (1 - accuracy) * scale, seeds)
        model = np.sqrt(design.within - design.between) * rng.standard_normal(photos)
        training = np.sqrt(1 - design.within) * rng.standard_normal((seeds, photos))
        correct: Correct = shared + model + training < ndtri(accuracies)[:, None]
        return correct

    first, second = map(trained, design.accuracies, sds)
    return first, second


def simulate(
    design: Design, sds: tuple[float, float], seeds: int, photos: int, times: int, seed: int = 1
) -> Cell:
    """Compare so many simulated pairs with the product's own test."""
    rng = np.random.default_rng([seed, seeds, photos])
    truth = design.accuracies[0] - design.accuracies[1]
    counts = np.zeros(3)
    for _ in range(times):
        first, second = draw(design, sds, seeds, photos, rng)
        found = OverSeeds(first, second)
        interval = found.interval()
        counts += (
            p_different(found) < ALPHA,
            interval.low <= truth <= interval.high,
            mcnemar(cross(first[0], second[0])) < ALPHA,
        )
    return Cell(*(counts / times).tolist())


def rows(times: int) -> Iterator[str]:
    """A Markdown table, a row a case: rejected and coverage by seeds and photos."""
    shapes = [(seeds, photos) for seeds in (3, 5) for photos in (192, 808)]
    headings = [f"K = {seeds}, n = {photos}" for seeds, photos in shapes]
    alone = ["one seed, n = 192", "n = 808"]
    yield f"| Pair | SD over seeds | {' | '.join([*headings, *alone])} |"
    yield "|---|---" + "|--:" * (len(headings) + len(alone)) + "|"
    for design in DESIGNS:
        for sds in design.sds:
            spread = " and ".join(f"{100 * sd:g}" for sd in dict.fromkeys(sds))
            cells = [simulate(design, sds, *shape, times) for shape in shapes]
            found = [f"{100 * cell.rejected:.1f} / {100 * cell.covered:.1f}" for cell in cells]
            found += [f"{100 * cell.one_seed:.1f}" for cell in cells[:2]]
            yield f"| {design.told} | {spread} | {' | '.join(found)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10_000, help="simulated pairs a row")
    given = parser.parse_args()
    for row in rows(given.times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
