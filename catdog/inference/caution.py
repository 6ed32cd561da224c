"""When a classifier says that it does not know: it would err too often, or has seen no such thing.

The promise of `risk` is kept by not answering where the model doubts too much; a photo that is
unlike all training photos by its `features` is of none of the classes, however sure the model is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from catdog.errors import StoreError
from catdog.inference.features import distance, narrowed, strange_from
from catdog.inference.litert import Floats
from catdog.inference.risk import (
    Doubts,
    Promise,
    Wrong,
    doubts,
    least_risk,
    limit,
    outcome,
    photos_needed,
)
from catdog.store.artifacts import HELD_OUT, Evidence, read_arrays
from catdog.store.store import Record
from catdog.wording import counted, rate

Why = Literal["unsure", "unlike"]


class Flagged(Record):
    """How many photos are taken for strangers although they are none."""

    rate: float
    """That was asked for: of photos like the validation photos, on average at most this share."""
    flagged: int
    photos: int
    """Test photos."""


@dataclass(frozen=True)
class Held:
    """What a model says of photos that it was not trained on, each of another picture.

    doubt, wrong: (n). distance: (n) to the training photos; None where it has no features.
    """

    doubt: Doubts
    wrong: Wrong
    distance: npt.NDArray[np.float64] | None

    def guarded(self, farthest: float) -> Doubts:
        """The doubts, without end of what is no less than so far from the training photos."""
        if self.distance is None:
            return self.doubt
        return np.where(self.distance >= farthest, np.inf, self.doubt)


@dataclass(frozen=True)
class Knowledge:
    """What a model knows, and how well: what a promise is made from.

    known: features of training photos (n, width), each of length 1; None where it has none.
    choices: models that the validation photos chose among.
    """

    name: str
    validation: Held
    test: Held
    known: Floats | None
    choices: int

    def caution(self, risk: float, false_flags: float) -> "Caution":
        """How to answer at this risk. Raises StoreError where it cannot be promised."""
        farthest = float("inf")
        if self.validation.distance is not None and false_flags:
            farthest = strange_from(self.validation.distance, false_flags)
        doubt, tested = self.validation.guarded(farthest), self.test.guarded(farthest)
        near = doubt < np.inf
        held = doubt[near], self.validation.wrong[near]
        below = limit(*held, risk, self.choices)
        if not below:
            raise StoreError(self._refusal(held, risk), "Ask for a larger --risk.")
        found = Promise(
            risk=risk,
            limit=below,
            validation=outcome(doubt, self.validation.wrong, below),
            test=outcome(tested, self.test.wrong, below),
        )
        if self.known is None or not np.isfinite(farthest):
            return Caution(found, None, farthest, None)
        strange = int(np.isinf(tested).sum())
        return Caution(
            found,
            self.known,
            farthest,
            Flagged(rate=false_flags, flagged=strange, photos=len(tested)),
        )

    def _refusal(self, held: tuple[Doubts, Wrong], risk: float) -> str:
        least = least_risk(*held, self.choices)
        enough = photos_needed(*held, risk, self.choices)
        can = f"the least is {rate(least)}" if least else "nor can any other risk be"
        needs = (
            f"about {counted(enough, 'validation photo')} would be needed"
            if enough
            else "more photos would not help: it errs too often even where it is surest"
        )
        return (
            f"A risk of {rate(risk)} cannot be promised of '{self.name}' with "
            f"{counted(len(self.validation.doubt), 'validation photo')}: {can}; {needs}."
        )


def knowledge_of(evidence: Evidence) -> Knowledge:
    """What was gathered. Raises StoreError where its file is damaged."""
    found = read_arrays(evidence.file(Evidence.NAME))
    return read_knowledge(found, evidence.name, evidence.choices)


def read_knowledge(found: Mapping[str, npt.NDArray[Any]], name: str, choices: int) -> Knowledge:
    """The same from the arrays of its file."""
    validation, test = (
        Held(found[f"{s}_doubt"], found[f"{s}_wrong"], found.get(f"{s}_distance")) for s in HELD_OUT
    )
    known = found["known"].astype(np.float32) if "known" in found else None
    return Knowledge(name, validation, test, known, choices)


@dataclass(frozen=True)
class Caution:
    """When a classifier does not answer.

    known: features of training photos; None where strangers are not looked for. farthest: the
    distance to them from which on a photo is one.
    """

    promise: Promise
    known: Floats | None
    farthest: float
    flagged: Flagged | None

    def objection(self, probabilities: Floats, features: Floats | None) -> Why | None:
        """Why not to answer, by what the model gives for one photo (1, classes), (1, width)."""
        if self._is_strange(features):
            return "unlike"
        return "unsure" if doubts(probabilities)[0] >= self.promise.limit else None

    def _is_strange(self, features: Floats | None) -> bool:
        if self.known is None or features is None:
            return False
        return distance(narrowed(features)[0], self.known) >= self.farthest

    @property
    def sentence(self) -> str:
        """What is promised, and how it did on the test photos."""
        return promise_text(self.promise, self.flagged)


def promise_text(made: Promise, flagged: Flagged | None) -> str:
    """A promise in words, and how it did on the test photos."""
    test = made.test
    strangers = " What is unlike anything seen is not looked for."
    if flagged:
        strangers = (
            f" Unlike anything seen: {flagged.flagged:,} of {counted(flagged.photos, 'test photo')}"
            f" (about {rate(flagged.rate)} by design)."
        )
    return (
        f"At most {rate(made.risk)} of its answers are wrong, with 95 % confidence, for photos "
        f"like the test photos. Of {counted(test.photos, 'test photo')} it answers "
        f"{test.answered:,}, {test.wrong:,} of them wrongly.{strangers}"
    )
