"""Whether a run that was trained again gave the same, and what may explain it if not."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from catdog.errors import StoreError
from catdog.history.capsule import Capsule, Predicted
from catdog.store.artifacts import Trial
from catdog.store.store import Record

WHY = (
    "where code, packages or processor are others, sums are rounded in another way, and training "
    "makes more of it; a model may give another class to as many photos as it had wrong."
)
"""Rounding moves only photos of which a model is not sure. Measured on 1,000 held-out photos, when
oneDNN had AVX2 instead of AVX-512 and AMX: `baseline` gave another class to 146 (it had 386 wrong),
`transfer`, whose base does not train, to none. A model that does not learn, or that learns from
something else, differs in far more."""


class Difference(NamedTuple):
    """Something that was not the same."""

    what: str
    then: str
    now: str


class Repeated(Record, Trial):
    """One training and its repetition, on the same held-out photos."""

    photos: int
    wrong_then: int
    wrong_now: int
    other_class: int
    """Photos that get another class."""
    largest_difference: float
    """Between two probabilities."""

    @property
    def same(self) -> bool:
        """Whether each probability is the same to the last bit."""
        return self.largest_difference == 0

    @property
    def close(self) -> bool:
        """Whether rounding in another way explains the difference."""
        return self.other_class <= max(1, self.wrong_then)


class Reproduction(Record):
    """What came of training a run again."""

    trainings: tuple[Repeated, ...]
    sha256: tuple[str, str]
    """Of the file `predictions.csv`, then and now."""
    explained: bool
    """Whether something that can change the last bits of a sum is different."""

    @property
    def same_bytes(self) -> bool:
        """Whether both files `predictions.csv` are the same."""
        return len(set(self.sha256)) == 1

    @property
    def good(self) -> bool:
        """Whether it is the same, or as close as it can be."""
        return self.same_bytes or (self.explained and all(each.close for each in self.trainings))

    @property
    def sentence(self) -> str:
        """The same in words."""
        if self.same_bytes:
            return f"Reproduced to the byte: predictions.csv has SHA-256 {self.sha256[0]}."
        if self.good:
            return f"Reproduced, not to the byte: {WHY}"
        if self.explained:
            return f"Not reproduced: {WHY} Here more do."
        return (
            "Not reproduced: the predictions differ, although code, packages and machine are the "
            "same as far as they are recorded."
        )


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[Difference]:
    """What is not the same in both, by name; what is in one of them only was not recorded there."""
    for name in dict.fromkeys((*then, *now)):
        old, new = (found.get(name) or "not recorded" for found in (then, now))
        if old != new:
            yield Difference(name, old, new)


def reproduction(then: Capsule, now: Capsule) -> Reproduction:
    """Compare two runs of the same settings, training by training.

    Raises StoreError when they did not predict the same photos with the same models.
    """
    if then.digests != now.digests or len(then.trainings) != len(now.trainings):
        raise StoreError(
            f"{now.run} cannot be compared with {then.run}: not the same photos or models.",
            "See its report.",
        )
    return Reproduction(
        trainings=tuple(map(_repeated, then.trainings, now.trainings)),
        sha256=(then.predictions, now.predictions),
        explained=then.facts != now.facts,
    )


def _repeated(then: Predicted, now: Predicted) -> Repeated:
    if (*then.identity().values(), then.photos, then.classes) != (
        *now.identity().values(),
        now.photos,
        now.classes,
    ):
        raise StoreError(f"The capsule has other trainings than {now.name}, {now.which}.", "")
    old, new = then.probabilities(), now.probabilities()
    return Repeated(
        **now.identity(),
        photos=now.photos,
        wrong_then=then.wrong,
        wrong_now=now.wrong,
        other_class=int((old.argmax(axis=1) != new.argmax(axis=1)).sum()),
        largest_difference=float(np.abs(old - new).max()),
    )
