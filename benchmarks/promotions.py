"""How often would a useless or harmful model become champion? Simulated years of retraining.

Draws which test photos each model classifies correctly: a normal threshold model, in which every
photo has a difficulty that all models share, as far as their errors are correlated (the values on
the real photos are in README.md). Each year has a first champion and challengers in some rhythm,
judged with the tests and levels of the product. "Before" is the rule until now: a level of 0.05 /
52, a budget of 52 decisions for each photo, every photo counted, and 0.05 each time by "fresh".
"""

import argparse
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison.over_photos import ALPHA, Correct, Paired, Table
from catdog.promotion.ledger import levels
from catdog.promotion.rules import BUDGETED_PHOTOS, FEWEST_PHOTOS
from catdog.settings import Promotion

BEFORE = 52
"""Decisions that shared the budget of a photo."""
MARGIN: float = Promotion.model_fields["accuracy_margin"].default

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Own = npt.NDArray[np.float32]
"""For each year and picture: what makes it hard for one model alone."""


class Rhythm(NamedTuple):
    """When challengers come, and new test pictures with them."""

    told: str
    hours: int
    new: int = 0

    @property
    def decisions(self) -> int:
        """In a year."""
        return 365 * 24 // self.hours

    def levels(self) -> list[float]:
        """Of the product, for each decision of the first year."""
        start = datetime(2026, 1, 1)  # noqa: DTZ001
        return list(levels(start + i * timedelta(hours=self.hours) for i in range(self.decisions)))


WEEKLY, DAILY, HOURLY = Rhythm("weekly", 168), Rhythm("daily", 24), Rhythm("hourly", 1)
RHYTHMS = (
    WEEKLY,
    WEEKLY._replace(told="weekly, 4 new photos", new=4),
    DAILY,
    DAILY._replace(told="daily, 1 new photo", new=1),
    DAILY._replace(told="daily, 4 new photos", new=4),
)


class Models(NamedTuple):
    """The first champion, and the challengers."""

    correlation: float
    """0.2 of two models, 0.9 of two seeds of `transfer` (README.md)."""
    accuracy: float
    gain: float = 0.0
    """Of each challenger over the first champion."""


class Rule(NamedTuple):
    """By which challengers must be better."""

    levels: list[float]
    serves: int = 10**9
    """Decisions after which a photo counts no more."""
    by_photo: bool = False
    """Count all photos, not one of each picture."""


def usual(rhythm: Rhythm) -> Rule:
    """One side of a test at the usual 5 %, each time."""
    return Rule([ALPHA / 2] * rhythm.decisions)


def before(rhythm: Rhythm) -> Rule:
    """A budget a photo."""
    return Rule([ALPHA / BEFORE] * rhythm.decisions, serves=BEFORE, by_photo=True)


def now(rhythm: Rhythm) -> Rule:
    """A budget a year, as the product has it."""
    return Rule(rhythm.levels())


LASTING = [
    Rule([rule.levels[-1]]) for rule in (before(WEEKLY), now(WEEKLY), now(DAILY), now(HOURLY))
]
"""A decision by each of them at the end of a year."""


class Years:
    """Some years of models: which test pictures they classify correctly."""

    def __init__(self, years: int, pictures: int, models: Models) -> None:
        self.models, self.years = models, years
        self.rng = np.random.default_rng([pictures, round(1e3 * models.correlation)])
        self.shared = np.sqrt(np.float32(models.correlation)) * self._normal(pictures)

    def _normal(self, pictures: int) -> Own:
        return self.rng.standard_normal((self.years, pictures), dtype=np.float32)

    def own(self) -> Own:
        """What one model of each year has to itself."""
        scale = np.sqrt(np.float32(1 - self.models.correlation))
        found: Own = scale * self._normal(self.shared.shape[1])
        return found

    def correct(self, accuracy: Floats | float, own: Own | None = None) -> Correct:
        """Of one model of each year, by its true accuracy."""
        from scipy.special import ndtri

        bound = np.broadcast_to(np.float32(ndtri(accuracy)), self.years)[:, None]
        found: Correct = self.shared + (self.own() if own is None else own) < bound
        return found


def p_values(new: Correct, old: Correct, weights: Counts, bound: float = 0) -> Floats:
    """Of the product's test of "better by more than the bound", for each year."""
    won, lost = (new & ~old) @ weights, (old & ~new) @ weights
    cells, year = np.unique(won * 10_000 + lost, return_inverse=True)
    n = int(weights.sum())
    return np.array([_p(n, *divmod(int(cell), 10_000), bound) for cell in cells])[year]


@cache
def _p(n: int, won: int, lost: int, bound: float) -> float:
    table = Table(both=n - won - lost, only_first=won, only_second=lost, neither=0)
    return Paired(table).p_above(bound)


def singles(photos: int) -> Counts:
    """So many pictures of one photo each."""
    return np.ones(photos, dtype=np.int64)


def bursts(photos: int, share: float, size: int) -> Counts:
    """The photos of each picture, where this share of all photos is in bursts of this size."""
    many = round(photos * share / size)
    return np.concatenate([np.full(many, size), singles(photos - many * size)])


def promoted(
    years: int, pictures: Counts, models: Models, rhythm: Rhythm, *rules: Rule, tries: int = 10**9
) -> list[float]:
    """The share of years in which each rule promotes one of the first so many challengers, in %.

    New photos count for the champion, too: it is assumed to be tested on them.
    """
    weights = np.concatenate([pictures, singles(rhythm.new * rhythm.decisions)])
    drawn = Years(years, len(weights), models)
    champion = drawn.correct(models.accuracy)
    found = np.zeros((len(rules), years), dtype=bool)
    for turn in range(min(rhythm.decisions, tries)):
        new = drawn.correct(models.accuracy + models.gain)
        for each, rule in enumerate(rules):
            spent = turn - rule.serves
            first = 0 if spent < 0 else len(pictures) + rhythm.new * spent
            cut = slice(first, len(pictures) + rhythm.new * turn)
            if cut.stop - cut.start < FEWEST_PHOTOS:
                continue
            counted = weights[cut] if rule.by_photo else singles(len(weights[cut]))
            p = p_values(new[:, cut], champion[:, cut], counted)
            found[each] |= p <= rule.levels[turn]
    return [100 * float(ever.mean()) for ever in found]


class Fresh(NamedTuple):
    """What the rule "fresh" makes of years."""

    promotions: float
    """In a year, on average."""
    loss: float
    """True accuracy of the first champion less that of the last, on average."""
    worse: float
    """The share of years that end with a champion that is worse than the first by the margin."""


def fresh(
    years: int,
    pictures: Counts,
    models: Models,
    rhythm: Rhythm,
    rule: Rule,
    *,
    adds_up: bool = False,
    against_best: bool = True,
) -> Fresh:
    """Years by the rule "fresh", with the margin of the product.

    adds_up: the gain of a challenger is over the champion in force. against_best: as the product,
    which compares with the best champion, too.
    """
    weights = pictures if rule.by_photo else singles(len(pictures))
    budgeted = not rule.by_photo and weights.sum() >= BUDGETED_PHOTOS
    drawn = Years(years, len(weights), models)
    best = champion = drawn.correct(models.accuracy)
    reached, promotions = np.full(years, models.accuracy), 0
    for level in rule.levels:
        true = (reached if adds_up else models.accuracy) + models.gain
        new = drawn.correct(true)
        rivals = (champion, best) if against_best else (champion,)
        p = np.max([p_values(new, rival, weights, -MARGIN) for rival in rivals], axis=0)
        passed = p <= (level if budgeted else ALPHA)
        better = passed & (p_values(new, best, weights) <= level)
        best = np.where(better[:, None], new, best)
        champion = np.where(passed[:, None], new, champion)
        reached = np.where(passed, true, reached)
        promotions += int(passed.sum())
    losses = models.accuracy - reached
    worse = float((losses >= MARGIN - 1e-9).mean())
    return Fresh(promotions / years, 100 * float(losses.mean()), 100 * worse)


def chosen(
    years: int, photos: int, models: Models, rhythm: Rhythm, rule: Rule, tries: int
) -> float:
    """As `promoted`, where each challenger is the best of so many by test.

    With one try it is a change of the settings kept so far, which are kept or not by test.
    """
    drawn, weights = Years(years, photos, models), singles(photos)
    kept = drawn.own()
    champion = best = drawn.correct(models.accuracy, kept)
    ever = np.zeros(years, dtype=bool)
    for level in rule.levels:
        if tries == 1:
            own = np.sqrt(np.float32(0.9)) * kept + np.sqrt(np.float32(0.1)) * drawn.own()
            new = drawn.correct(models.accuracy, own)
            rises = (new.sum(axis=1) > best.sum(axis=1))[:, None]
            kept, best = np.where(rises, own, kept), np.where(rises, new, best)
        else:
            drawings = [drawn.correct(models.accuracy) for _ in range(tries)]
            likeliest = np.argmax([each.sum(axis=1) for each in drawings], axis=0)
            new = np.choose(likeliest[:, None], drawings)
        ever |= p_values(new, champion, weights) <= level
    return 100 * float(ever.mean())


def row(*cells: object) -> str:
    """Of a Markdown table."""
    told = (f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in cells)
    return f"| {' | '.join(told)} |"


def slashed(shares: list[float]) -> str:
    """Several in one cell."""
    return " / ".join(f"{share:.0f}" for share in shares)


def head(*cells: str, text: int = 1) -> Iterator[str]:
    """The first lines of a table whose first columns are text."""
    yield row(*cells)
    yield row(*text * ["---"], *(len(cells) - text) * ["--:"])


def useless(years: int) -> Iterator[str]:
    """Years with a promotion of a model that is not better, in %."""
    columns = [f"{rule}, n = {n}" for n in (192, 808) for rule in ("5 %", "before", "now")]
    yield from head("Rhythm", "Champion", "Correlation", *columns)
    cases = ((0.75, 0.2), (0.75, 0.9), (0.97, 0.9))
    for rhythm, (accuracy, correlation) in product(RHYTHMS, cases):
        models, rules = Models(correlation, accuracy), (usual(rhythm), before(rhythm), now(rhythm))
        found = [
            each for n in (192, 808) for each in promoted(years, singles(n), models, rhythm, *rules)
        ]
        yield row(rhythm.told, f"{100 * accuracy:.0f} %", f"{correlation:g}", *found)
    hourly = Models(0.2, 0.75)
    found = promoted(years // 4, singles(192), hourly, HOURLY, before(HOURLY), now(HOURLY))
    yield row("hourly", "75 %", "0.2", "", *found, "", "", "")


def near_duplicates(years: int) -> Iterator[str]:
    """The same for 808 photos, some in bursts, each of which a model gets right or wrong as one."""
    yield from head("Photos in bursts", "Rhythm", "Champion", "before", "now", text=2)
    cases = ((0.1, 4), (0.2, 5), (1.0, 4))
    for (share, size), rhythm, accuracy in product(cases, (WEEKLY, DAILY), (0.75, 0.97)):
        pictures, models = bursts(808, share, size), Models(0.2, accuracy)
        found = promoted(years, pictures, models, rhythm, before(rhythm), now(rhythm))
        yield row(f"{100 * share:.0f} % of {size}", rhythm.told, f"{100 * accuracy:.0f} %", *found)


def power(years: int) -> Iterator[str]:
    """Better challengers that are promoted, in %.

    A single one: before / weekly / daily / hourly. Any in a year: before / weekly / daily.
    """
    columns = [f"{told}, n = {n}" for n in (192, 808) for told in ("single", "in a year")]
    yield from head("Champion", "Challengers", "Correlation", *columns)
    cases = ((0.97, 0.02), (0.92, 0.05), (0.80, 0.05), (0.80, 0.10))
    for (accuracy, gain), correlation in product(cases, (0.2, 0.9)):
        models, told = Models(correlation, accuracy, gain), []
        for pictures in (singles(192), singles(808)):
            single = promoted(years, pictures, models, WEEKLY, *LASTING, tries=1)
            weekly = promoted(years, pictures, models, WEEKLY, before(WEEKLY), now(WEEKLY))
            daily = promoted(years, pictures, models, DAILY, now(DAILY))
            told += [slashed(single), slashed(weekly + daily)]
        yield row(f"{100 * accuracy:.0f} %", f"+{100 * gain:.0f} points", f"{correlation:g}", *told)


def retraining(years: int) -> Iterator[str]:
    """Years of a champion of 97 % by the rule "fresh": before / now."""
    columns = ["Promotions a year", "Mean loss, points", "Years that end 3 points worse, %"]
    yield from head("Each challenger is", "Rhythm", "n", *columns, text=2)
    cases = [
        (f"{loss} points below the first", loss, WEEKLY, n)
        for loss in (0, 1, 2, 3, 5)
        for n in (192, 400, 808)
    ]
    cases += [
        (f"{loss} points below the first", loss, DAILY, n)
        for loss in (0, 3)
        for n in (192, 400, 808)
    ]
    for told, loss, rhythm, n in cases:
        yield _retraining(years, told, singles(n), loss, rhythm)
    for (share, size), loss in product(((0.2, 5), (1.0, 4)), (0, 3)):
        told = f"{loss} points below, {100 * share:.0f} % in bursts of {size}"
        yield _retraining(years, told, bursts(808, share, size), loss, WEEKLY)
    for n, against_best in product((192, 808), (True, False)):
        told = "1 point below the last" + (", best forgotten" if not against_best else "")
        yield _retraining(
            years, told, singles(n), 1, WEEKLY, adds_up=True, against_best=against_best
        )


def _retraining(
    years: int, told: str, pictures: Counts, loss: int, rhythm: Rhythm, **options: bool
) -> str:
    models = Models(0.9, 0.97, -loss / 100)
    was, found = (
        fresh(years, pictures, models, rhythm, rule(rhythm), **options) for rule in (before, now)
    )
    cells = [f"{old:.1f} / {new:.1f}" for old, new in zip(was, found, strict=True)]
    return row(told, rhythm.told, int(pictures.sum()), *cells)


def looked(years: int) -> Iterator[str]:
    """The same as the first table, where reports on the test photos have chosen the challenger."""
    yield from head("Each challenger is", "Rhythm", "Champion", "n = 192", "n = 808", text=2)
    ways = ((10, "the best of ten by test"), (1, "a change of what the test has favoured"))
    for (tries, told), rhythm, accuracy in product(ways, (WEEKLY, DAILY), (0.75, 0.97)):
        if tries == 10 and rhythm is DAILY:
            continue
        models = Models(0.2, accuracy)
        found = [chosen(years, n, models, rhythm, now(rhythm), tries) for n in (192, 808)]
        yield row(told, rhythm.told, f"{100 * accuracy:.0f} %", *found)


TABLES = (useless, near_duplicates, power, retraining, looked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=2_000, help="simulated years a number")
    names = [table.__name__ for table in TABLES]
    parser.add_argument("--table", choices=names, action="append", help="only this one")
    given = parser.parse_args()
    for table in TABLES:
        if table.__name__ in (given.table or names):
            print(f"\n{table.__doc__}\n")
            for line in table(given.years):
                print(line, flush=True)


if __name__ == "__main__":
    main()
