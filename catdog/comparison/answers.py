"""What a model's answers are worth where it may leave photos unanswered."""

import numpy as np

from catdog.comparison.metrics import Curve
from catdog.errors import StoreError
from catdog.inference.caution import Flagged, Held, Knowledge, promise_text
from catdog.inference.risk import Promise
from catdog.store.store import Record

RISKS = (0.005, 0.01, 0.02, 0.05, 0.1)
"""That a report looks at: from what few photos can show to what is hardly a promise."""
FALSE_FLAGS = 0.01
"""As `catdog predict` has it by default."""
FEWEST = 10
"""Answers from which on a curve begins: of fewer, an accuracy says nothing."""


class Answers(Record):
    """What can be promised of a model's answers, and how accurate the surest are."""

    name: str
    promises: tuple[Promise, ...]
    """Of `RISKS`, those that can be made, each by itself; the strictest of those that are alike."""
    refusal: str
    """Why the smallest that cannot be made cannot, and what would help; empty where all can."""
    flagged: Flagged | None
    """None where the model has no features to compare."""
    validation: Curve
    """The accuracy of the answers (y) by the share of photos that is answered (x)."""
    test: Curve

    @property
    def sentence(self) -> str:
        """The strictest promise that leaves most photos answered, in words."""
        best = next((p for p in self.promises if 2 * p.test.answered >= p.test.photos), None)
        best = best or next(iter(self.promises), None)
        return promise_text(best, self.flagged) if best else self.refusal


def answers(known: Knowledge) -> Answers:
    """What can be promised of a model, and what it would look like without a promise."""
    promises: list[Promise] = []
    refusal, flagged = "", None
    for risk in reversed(RISKS):
        try:
            found = known.caution(risk, FALSE_FLAGS)
        except StoreError as error:
            refusal = refusal or error.problem
            continue
        if promises and found.promise.limit == promises[-1].limit:
            promises.pop()  # it answers the same photos
        promises.append(found.promise)
        flagged = found.flagged
    return Answers(
        name=known.name,
        promises=tuple(reversed(promises)),
        refusal=refusal,
        flagged=flagged,
        validation=_curve(known.validation),
        test=_curve(known.test),
    )


def _curve(held: Held) -> Curve:
    right = ~held.wrong[np.argsort(held.doubt, kind="stable")]
    answered = np.arange(1, len(right) + 1)
    accuracy = np.cumsum(right) / answered
    shown = slice(min(FEWEST, len(right)) - 1, None)
    return Curve(
        x=tuple((answered / len(right))[shown].tolist()), y=tuple(accuracy[shown].tolist())
    )
