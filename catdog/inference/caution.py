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
    photos_needed,
    promise,
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

    def strange(self, farthest: float) -> npt.NDArray[np.bool_]:
        """Which of them are no less than so far from the training photos."""
        if self.distance is None:
            return np.zeros(len(self.doubt), np.bool_)
        return np.asarray(self.distance >= farthest)


@dataclass(frozen=True)
class Knowledge:
    """What a model knows, and how well: what a promise is made from.

    known: features of training photos (n, width), each of length 1; None where it has none.
    choices: models that the validation photos chose among.
    """

    name: str
    validation: Held
    test: Held
    known: npt.NDArray[np.float16] | None
    choices: int

    def caution(self, risk: float, false_flags: float) -> "Caution":
        """How to answer at this risk. Raises StoreError where it cannot be promised."""
        farthest = float("inf")
        if self.validation.distance is not None and false_flags:
            farthest = strange_from(self.validation.distance, false_flags)
        near = ~self.validation.strange(farthest)
        held = self.validation.doubt[near], self.validation.wrong[near]
        strange = self.test.strange(farthest)
        test = np.where(strange, np.inf, self.test.doubt), self.test.wrong
        found = promise(held, test, risk, self.choices)
        if found is None:
            raise StoreError(self._refusal(held, risk), "Ask for a larger --risk.")
        if self.known is None or not np.isfinite(farthest):
            return Caution(found, None, farthest, None)
        flagged = Flagged(rate=false_flags, flagged=int(strange.sum()), photos=len(strange))
        return Caution(found, self.known, farthest, flagged)

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
    return Knowledge(name, validation, test, found.get("known"), choices)


@dataclass(frozen=True)
class Caution:
    """When a classifier does not answer.

    known: features of training photos; None where strangers are not looked for. farthest: the
    distance to them from which on a photo is one.
    """

    promise: Promise
    known: npt.NDArray[np.float16] | None
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
    strangers = ""
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
