"""Does the promised risk hold, and are as few photos flagged as was said? Simulated.

Draws which photos a model classifies correctly, where the chance of an error by its doubt is known,
for several epochs of which the best on validation is chosen, as training does. Counts how often the
limit that is found lets through more errors than promised (violation, at most 5 % is promised), and
how many photos are answered: with catdog's own test, with the same test without regard to the
epochs, and with naive search, which takes the largest share of answers with few enough errors.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.bursts import Bursts
from catdog.inference.features import strange_from
from catdog.inference.risk import limit

Values = npt.NDArray[np.float64]

GRID = np.linspace(0, 1, 2001)
"""Doubts at which true risks are known; a doubt is the rank of a photo among all that there are."""
BURSTS = Bursts("all in tens", 1, 10, unlike=0.0)


class Case(NamedTuple):
    """A kind of model."""

    told: str
    chance: Callable[[Values, float], Values]
    """Of an error, by the doubt and the promised risk."""

    def true_risk(self, below: float, risk: float) -> float:
        """Of all answers below a limit."""
        return float(self.chance(GRID[below >= GRID], risk).mean())


CASES = (
    Case("errs alike everywhere, a little too often", lambda u, r: np.full_like(u, 1.02 * r)),
    Case("errs more the more it doubts", lambda u, r: 2.5 * r * u),
    Case("hardly errs where it is sure, as `transfer`", lambda u, r: 0.6 * u**12 + 0.1 * r),
    Case("surest of all where it is wrong", lambda u, r: np.where(u < 0.05, 6 * r, 0.9 * r)),
)


def naive(doubt: Values, wrong: npt.NDArray[np.bool_], risk: float, _: int) -> float:
    """The largest share of answers of which few enough are wrong."""
    order = np.argsort(doubt)
    shares = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    (fine,) = np.nonzero(shares <= risk)
    return 0.0 if not len(fine) else float(doubt[order[fine[-1]]]) + 1e-12


WAYS = (
    limit,
    lambda doubt, wrong, risk, _: limit(doubt, wrong, risk, 1),
    naive,
)


def chosen_epoch(
    chance: Values, epochs: int, alike: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """What the epoch with the fewest errors gets wrong. alike: the correlation of two epochs."""
    from scipy.special import ndtri

    common = np.sqrt(alike) * rng.normal(size=len(chance))
    own = np.sqrt(1 - alike) * rng.normal(size=(epochs, len(chance)))
    wrong = common + own < ndtri(np.clip(chance, 1e-12, 1 - 1e-12))
    return np.asarray(wrong[wrong.sum(axis=1).argmin()])


def simulate(
    case: Case, photos: int, risk: float, epochs: int, alike: float, times: int
) -> tuple[Values, Values]:
    """How often each way lets through too many errors, and what share of photos it answers."""
    rng = np.random.default_rng([photos, epochs, int(100 * alike)])
    violated, answered = np.zeros(len(WAYS)), np.zeros(len(WAYS))
    for _ in range(times):
        doubt = np.sort(rng.random(photos))
        wrong = chosen_epoch(case.chance(doubt, risk), epochs, alike, rng)
        for place, way in enumerate(WAYS):
            if below := min(1.0, way(doubt, wrong, risk, epochs)):
                violated[place] += case.true_risk(below, risk) > risk
                answered[place] += below
    return violated / times, answered / times


def rows(times: int) -> Iterator[str]:
    """A Markdown table: violations and answers, in %, of each way."""
    yield "| The model | risk | n | epochs (correlation) | catdog | epochs ignored | naive |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for case in CASES:
        for risk, photos in ((0.01, 808), (0.05, 192)):
            for epochs, alike in ((1, 0.9), (20, 0.9), (20, 0.65)):
                found = simulate(case, photos, risk, epochs, alike, times)
                cells = (f"{100 * v:.1f} / {100 * a:.0f}" for v, a in zip(*found, strict=True))
                told = "1" if epochs == 1 else f"{epochs} ({alike})"
                share = f"{100 * risk:g} %"
                yield f"| {case.told} | {share} | {photos} | {told} | {' | '.join(cells)} |"


def burst_rows(times: int) -> Iterator[str]:
    """A Markdown table: violations where photos come in bursts, by photos and by pictures."""
    yield "| n | risk | each photo counts | each picture counts once |"
    yield "|--:|--:|--:|--:|"
    rng = np.random.default_rng(5)
    for photos, risk in ((808, 0.05), (808, 0.1)):
        group = BURSTS.groups(photos)
        _, first = np.unique(group, return_index=True)
        counts = np.zeros(2)
        for _ in range(times):
            doubt, wrong = rng.random(photos)[group], (rng.random(photos) < 1.02 * risk)[group]
            counts += (
                limit(doubt, wrong, risk, 1) > 0,
                limit(doubt[first], wrong[first], risk, 1) > 0,
            )
        shown = " | ".join(f"{100 * share:.1f}" for share in counts / times)
        yield f"| {photos} | {100 * risk:g} % | {shown} |"


def flag_rows(times: int) -> Iterator[str]:
    """A Markdown table: how many ordinary photos are flagged at 1 %."""
    yield "| validation photos | flagged on average | in 95 % of cases at most |"
    yield "|--:|--:|--:|"
    rng = np.random.default_rng(6)
    for photos in (100, 192, 808, 5_000):
        rates = 1 - np.array([strange_from(rng.random(photos), 0.01) for _ in range(times)])
        mean, high = 100 * rates.mean(), 100 * np.quantile(rates, 0.95)
        yield f"| {photos:,} | {mean:.2f} % | {high:.2f} % |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2_000, help="simulated validations a row")
    given = parser.parse_args()
    times = given.times
    for row in chain(rows(times), [""], burst_rows(times), [""], flag_rows(times)):
        print(row, flush=True)


if __name__ == "__main__":
    main()
