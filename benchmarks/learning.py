"""Does the forecast of what more photos bring hold? Simulated, where the truth is known.

Draws what models get right whose error falls by a power of the number of photos, or levels off at
once after the last part, and counts how often the interval for twice the photos holds the truth.
Photos differ in how hard they are, and draws of training photos in how well they teach.
With `--home` on real photos: half of those of the newest `transfer` are held back, four times, and
the forecast from the other half is compared with what all of them gave.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from catdog.comparison.learning import DRAWS, SHARES, Part, forecast
from catdog.export.learning import Seen, curve, seen
from catdog.promotion.candidates import choose_model
from catdog.store.store import Store
from catdog.wording import percent, span

ALIKE = 0.8
"""The correlation of two draws' errors on one photo."""
TEACHING = 0.05
"""Standard deviation of the log error over draws."""


def models(
    errors: npt.NDArray[np.float64], photos: int, test: int, rng: np.random.Generator
) -> list[Part]:
    """What models with these errors, an error for each part, get right."""
    from scipy.special import ndtri

    hard = rng.normal(size=test)
    found = []
    for share, error in zip(SHARES, errors, strict=True):
        draws = 1 if share == 1 else DRAWS
        own = error * np.exp(rng.normal(0, TEACHING, (draws, 1)))
        ease = np.sqrt(ALIKE) * hard + np.sqrt(1 - ALIKE) * rng.normal(size=(draws, test))
        found.append(Part(round(share * photos), ease > ndtri(np.clip(own, 1e-9, 0.99))))
    return found


def rows(times: int) -> Iterator[str]:
    """A Markdown table."""
    yield "| error with all | power | then | test photos | covers | mean width, points |"
    yield "|--:|--:|---|--:|--:|--:|"
    for last in (0.03, 0.2):
        for power in (0.1, 0.3, 0.5):
            for levels, test in ((False, 192), (False, 1000), (True, 1000)):
                rng = np.random.default_rng([int(100 * power), test])
                errors = last * np.array(SHARES) ** -power
                truth = 1 - last * (1 if levels else 2**-power)
                held, width = 0, 0.0
                for _ in range(times):
                    made = models(errors, 2_000, test, rng)
                    reach = forecast("all", made, np.ones(test, np.bool_)).interval
                    held += reach.low <= truth <= reach.high
                    width += reach.high - reach.low
                told = "levels off" if levels else "goes on"
                yield (
                    f"| {100 * last:g} % | {power} | {told} | {test} | "
                    f"{100 * held / times:.1f} % | {100 * width / times:.1f} |"
                )


def halves(home: Path) -> Iterator[str]:
    """A Markdown table."""
    store = Store(home)
    train, test, classes = seen(choose_model(store, "transfer"), store)
    yield "| half | its accuracy | forecast for all | 95 % interval | with all |"
    yield "|--:|--:|--:|--:|--:|"
    truth = curve("all", train, test, classes).forecast.now
    rng = np.random.default_rng(0)
    for half in range(4):
        rows = rng.permutation(len(train.labels))[: len(train.labels) // 2]
        part = Seen(train.features[rows], train.labels[rows])
        told = curve("half", part, test, classes).forecast
        reach = span(told.interval.low, told.interval.high)
        yield (
            f"| {half + 1} | {percent(told.now)} | {percent(told.twice)} | {reach} | "
            f"{percent(truth)} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=500, help="simulated curves a row")
    parser.add_argument("--home", type=Path, help="on the photos of its newest run, instead")
    given = parser.parse_args()
    for row in halves(given.home) if given.home else rows(given.times):
        print(row, flush=True)


if __name__ == "__main__":
    main()
