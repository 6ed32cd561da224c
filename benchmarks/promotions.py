"""How often would a useless or harmful model become champion? Simulated years of weekly retraining.

Draws which test photos each model classifies correctly: a normal threshold model, in which every
photo has a difficulty that all models share, as far as their errors are correlated (the values on
the real photos are in README.md). Each year has a first champion and 52 challengers, judged on the
same test photos with the tests and levels of the product.
"""

import argparse
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison.over_photos import ALPHA, Correct, Paired, Table
from catdog.promotion.ledger import LEVEL
from catdog.settings import Promotion

WEEKS = 52
USUAL = ALPHA / 2
"""Of one side of a test at the usual 5 %, as without a ledger."""
MARGIN: float = Promotion.model_fields["accuracy_margin"].default
CORRELATIONS = (0.2, 0.9, 0.98)
"""Of two models, of two seeds of `transfer` (README.md), and more than any measured."""
GROWTH = 4
"""Test photos that a growing source adds each week."""

Latent = npt.NDArray[np.float64]
"""For each model of a year, the first champion's first, and each photo: how hard it is for it."""


def draw(correlation: float, photos: int, rng: np.random.Generator) -> Latent:
    """A year's models on so many photos."""
    shared = np.sqrt(correlation) * rng.standard_normal(photos)
    own = np.sqrt(1 - correlation) * rng.standard_normal((WEEKS + 1, photos))
    found: Latent = shared + own
    return found


def correct(difficulty: npt.NDArray[np.float64], accuracy: float) -> Correct:
    """Which photos a model of this true accuracy classifies correctly."""
    from scipy.special import ndtri

    found: Correct = difficulty < ndtri(accuracy)
    return found


def shown(new: Correct, old: Correct, bound: float, level: float) -> bool:
    """Does the product's test show that the new model is better by more than the bound?"""
    return _shown(len(new), int((new & ~old).sum()), int((old & ~new).sum()), bound, level)


@cache
def _shown(n: int, won: int, lost: int, bound: float, level: float) -> bool:
    table = Table(both=n - won - lost, only_first=won, only_second=lost, neither=0)
    return Paired(table).p_above(bound) <= level


def share_promoted(
    years: int,
    photos: int,
    correlation: float,
    accuracy: float,
    gain: float,
    *,
    level: float = LEVEL,
    weeks: int = WEEKS,
    growing: bool = False,
) -> float:
    """The share of years in which the rule "better" promotes any of the first challengers.

    gain: of each, over the champion. growing: the last week counts all photos, and each week before
    GROWTH less.
    """
    rng = np.random.default_rng([photos, round(100 * correlation), round(1000 * accuracy)])
    counts = [photos - GROWTH * (WEEKS - week) * growing for week in range(WEEKS + 1)]
    promoted = 0
    for _ in range(years):
        latent = draw(correlation, photos, rng)
        champion, new = correct(latent[0], accuracy), correct(latent, accuracy + gain)
        promoted += any(
            shown(new[week, : counts[week]], champion[: counts[week]], 0, level)
            for week in range(1, weeks + 1)
        )
    return promoted / years


class Fresh(NamedTuple):
    """What the rule "fresh" makes of years."""

    promotions: float
    """Of 52, on average."""
    loss: float
    """True accuracy of the first champion less that of the last, on average."""
    bad_loss: float
    """The same in the worst of 20 years."""


def fresh(
    years: int,
    photos: int,
    correlation: float,
    accuracy: float,
    gain: float,
    *,
    adds_up: bool = False,
    against_best: bool = True,
) -> Fresh:
    """Years by the rule "fresh"; each challenger has the gain over the first champion.

    adds_up: over the champion in force. against_best: as the product, which compares with the best
    champion too.
    """
    rng = np.random.default_rng([photos, round(100 * correlation), round(1000 * accuracy)])
    promotions, losses = 0, []
    for _ in range(years):
        latent = draw(correlation, photos, rng)
        best = champion = correct(latent[0], accuracy)
        reached = accuracy
        for difficulty in latent[1:]:
            true = (reached if adds_up else accuracy) + gain
            new = correct(difficulty, true)
            rivals = [champion, best] if against_best else [champion]
            if all(shown(new, rival, -MARGIN, ALPHA) for rival in rivals):
                best = new if shown(new, best, 0, LEVEL) else best
                champion, reached = new, true
                promotions += 1
        losses.append(accuracy - reached)
    return Fresh(promotions / years, float(np.mean(losses)), float(np.quantile(losses, 0.95)))


def row(*cells: object) -> str:
    """Of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def useless(years: int) -> Iterator[str]:
    """Years with a promotion of a model that is not better, in %."""
    with_budget = ["budget, n = 192", "n = 808", "n grows to 400"]
    yield row("Champion", "Challengers", "Correlation", "5 %, n = 192", "n = 808", *with_budget)
    yield row("--:", "---", *6 * ["--:"])
    cases = [
        *((n, level, False) for level in (USUAL, LEVEL) for n in (192, 808)),
        (400, LEVEL, True),
    ]
    for accuracy, (gain, told), correlation in product(
        (0.75, 0.97), ((0, "as good"), (-0.01, "1 point worse")), CORRELATIONS
    ):
        model = (correlation, accuracy, gain)
        found = [
            100 * share_promoted(years, n, *model, level=level, growing=growing)
            for n, level, growing in cases
        ]
        yield row(f"{100 * accuracy:.0f} %", told, correlation, *(f"{each:.1f}" for each in found))


def power(years: int) -> Iterator[str]:
    """How often a better challenger is promoted: the first one, and any of a year's, in %."""
    in_a_year = ["in a year, n = 192", "n = 808"]
    yield row("Champion", "Challengers", "Correlation", "once, n = 192", "n = 808", *in_a_year)
    yield row(*7 * ["--:"])
    for (accuracy, gain), correlation in product(
        ((0.97, 0.02), (0.92, 0.05), (0.80, 0.05), (0.80, 0.10)), CORRELATIONS[:2]
    ):
        model = (correlation, accuracy, gain)
        found = [
            100 * share_promoted(years, n, *model, weeks=weeks)
            for weeks in (1, WEEKS)
            for n in (192, 808)
        ]
        points = f"+{100 * gain:.0f} points"
        yield row(
            f"{100 * accuracy:.0f} %", points, correlation, *(f"{each:.0f}" for each in found)
        )


def retraining(years: int) -> Iterator[str]:
    """What becomes of a champion of 97 % by the rule "fresh", in points."""
    losses = ["Loss after a year, mean", "in the worst of 20 years"]
    yield row("Each challenger is", "Compared with", "n", "Promotions a year", *losses)
    yield row("---", "---", *4 * ["--:"])
    cases = [(f"{loss} points below the first", loss, False, True) for loss in (0, 1, 2, 3, 5)]
    cases += [("1 point below the last", 1, True, True), ("1 point below the last", 1, True, False)]
    for (told, loss, adds_up, against_best), n in product(cases, (192, 808)):
        model = (0.9, 0.97, -loss / 100)
        found = fresh(years, n, *model, adds_up=adds_up, against_best=against_best)
        rivals = "champion and best" if against_best else "champion"
        lost = (f"{100 * each:.1f}" for each in (found.loss, found.bad_loss))
        yield row(told, rivals, n, f"{found.promotions:.1f}", *lost)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=2_000, help="simulated years a number")
    given = parser.parse_args()
    for table in (useless, power, retraining):
        print(f"\n{table.__doc__}\n")
        for line in table(given.years):
            print(line, flush=True)


if __name__ == "__main__":
    main()
