"""When a model had better not answer, so that few of its answers are wrong: a promise.

Photos are ranked by how little a model doubts them. The more of them it answers, the more of its
answers are wrong. How far it may go is found by fixed-sequence testing (Learn then Test:
Angelopoulos et al., 2021, arXiv:2110.01052): from a rank that only the number of photos decides,
photo by photo on, as long as the exact binomial test shows that fewer answers are wrong than
allowed. Then, with 95 % confidence, no more are, for any model and any photos like these. Naive
search for the best threshold promises that too, and fails twice as often as it may.

The photos also chose the epoch, and each epoch is another model. So the level of the test is
divided by the number of models that they chose among (Bonferroni): what holds for all of them at
once holds for the chosen one.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from catdog.store.store import Record

CONFIDENCE = 0.95
SPARE = 1
"""Errors that the first test has room for, where there are photos enough. Without room, one error
among the surest photos would end all; with room for more, there must be more sure photos."""
MOST = 10_000_000
"""Photos: whatever needs more is out of reach."""
STEPS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Risks that are tried where the one that was asked for cannot be promised."""
ALWAYS = 1.0
"""A limit that no doubt reaches."""

Doubts = npt.NDArray[np.float64]
Wrong = npt.NDArray[np.bool_]


class Tested(Record):
    """What a model answers of photos that it was not trained on, and how often that is wrong."""

    answered: int
    wrong: int
    photos: int


class Promise(Record):
    """At most a share `risk` of the answers is wrong, with 95 % confidence.

    It is about photos like those that it was found on, all classes together.
    """

    risk: float
    limit: float
    """A doubt below it is answered."""
    validation: Tested
    """What it was found on."""
    test: Tested
    """What it is checked on: photos that had no part in it."""


def doubts(probabilities: npt.NDArray[np.float32]) -> Doubts:
    """The probability of all other classes than the predicted one, for (n, classes).

    One minus the highest is nothing in float32 for most photos of a good model.
    """
    whole = probabilities.astype(np.float64)
    return np.asarray(whole.sum(axis=1) - whole.max(axis=1) if whole.shape[1] > 2 else whole.min(1))


def limit(doubt: Doubts, wrong: Wrong, risk: float, choices: int) -> float:
    """The doubt from which on a model had better not answer; 0 where it never should.

    doubt, wrong: of pictures that are independent of each other, and of the training.
    choices: models that these photos chose among.
    """
    order = np.argsort(doubt, kind="stable")
    n, level = len(order), (1 - CONFIDENCE) / choices
    start = _start(n, risk, level)
    if start > n:
        return 0.0
    errors = np.flatnonzero(wrong[order])
    later = [place for place in errors.tolist() if place >= start]
    before = len(errors) - len(later)
    # A right answer more lowers p: only the first test, and one at an error, can fail.
    tests = [(before, start), *((before + i, place + 1) for i, place in enumerate(later, 1))]
    failed = next((answered for count, answered in tests if _p(count, answered, risk) > level), 0)
    if not failed:
        return ALWAYS
    below = float(doubt[order[failed - 1]])
    # Fewer than the first test was about: it failed, or many photos are doubted alike.
    return 0.0 if np.count_nonzero(doubt < below) < start else below


def outcome(doubt: Doubts, wrong: Wrong, below: float) -> Tested:
    """What a limit does."""
    answered = doubt < below
    count, errors = int(answered.sum()), int((answered & wrong).sum())
    return Tested(answered=count, wrong=errors, photos=len(doubt))


def least_risk(doubt: Doubts, wrong: Wrong, choices: int) -> float | None:
    """The smallest of `STEPS` that can be promised; None where even the largest cannot."""
    return next((risk for risk in STEPS if limit(doubt, wrong, risk, choices)), None)


def photos_needed(doubt: Doubts, wrong: Wrong, risk: float, choices: int) -> int | None:
    """About how many validation photos would do, if the model errs on them as on these.

    None where it errs too often even where it is surest.
    """
    n, level = len(doubt), (1 - CONFIDENCE) / choices
    errors = np.cumsum(wrong[np.argsort(doubt, kind="stable")])
    found = [
        least * n / answered
        for answered in sorted({max(1, n * tenth // 10) for tenth in range(1, 11)})
        if (least := _like(int(errors[answered - 1]), answered, risk, level))
    ]
    return int(np.ceil(min(found))) if found else None


def _like(wrong: int, answered: int, risk: float, level: float) -> int | None:
    """The fewest answers that pass with as large a share of errors."""
    share = wrong / answered
    if share >= risk:
        return None
    return _smallest(lambda n: _p(int(np.ceil(share * n)), n, risk) <= level)


def _start(n: int, risk: float, level: float) -> int:
    roomy = fewest(risk, level, SPARE)
    return roomy if roomy <= n else fewest(risk, level, 0)


@cache
def fewest(risk: float, level: float, wrong: int) -> int:
    """Answers, with so many wrong ones, that show a smaller risk at this level."""
    return _smallest(lambda n: _p(wrong, n, risk) <= level)


def _smallest(passes: Callable[[int], bool]) -> int:
    return 1 + bisect_left(range(1, MOST), True, key=passes)


def _p(wrong: int, answered: int, risk: float) -> float:
    """Exact binomial p value of "the risk is larger": P(at most so many wrong).

    Written out, as what only predicts has no SciPy.
    """
    if wrong >= answered:
        return 1.0
    counts = np.arange(1, wrong + 1)
    ways = np.concatenate([[0.0], np.cumsum(np.log((answered - counts + 1) / counts))])
    times = np.arange(wrong + 1)
    terms = ways + times * np.log(risk) + (answered - times) * np.log1p(-risk)
    return float(min(1.0, np.exp(terms).sum()))
