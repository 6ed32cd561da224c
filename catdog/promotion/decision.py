"""A decision about the champion as the registry keeps it, and what it names."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from catdog.comparison.metrics import Interval
from catdog.comparison.over_photos import Table
from catdog.metric import ACCURACY
from catdog.settings import Promotion, Share
from catdog.store.store import Record

DEFAULT = "default"
"""The task of the home's first champion, and of all decisions of older versions."""

Outcome = Literal["promoted", "kept", "rolled-back"]
Reason = Literal[
    "first", "better", "not worse", "real photos", "champion lost", "by hand",
    "same model", "rolled back before", "other classes", "sample", "too few photos",
    "not significant", "maybe worse", "worse", "worse on a class", "rollback",
    "used up",
]  # fmt: skip
"""The last is of older versions."""


class Candidate(Record):
    """A model that is, was or wants to be champion; its artifacts by their keys."""

    run: str
    name: str
    seed: int
    model: str
    """As `rules.kept_key` names it; by an older version, as the store of all runs does."""
    predictions: str
    manifest: str
    origin: str
    """Where its photos came from, as the user named it."""
    classes: tuple[str, ...]
    test_set: str
    """Digest of the bytes and classes of its test photos."""
    test_photos: Annotated[int, Field(ge=0)]
    """How many; of a picture that is there several times, one counts."""
    test_accuracy: Share
    metric: str = Field(ACCURACY, exclude_if=lambda value: value == ACCURACY)
    """By which its run chose it."""

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return f"{self.name} of run {self.run}"


class ClassChange(Record):
    """The recall of one class on the shared test photos, of each of the two."""

    label: str
    n: int
    champion: float
    challenger: float

    @property
    def loss(self) -> float:
        """How much lower it is for the challenger."""
        return self.champion - self.challenger


class Evidence(Record, extra="ignore"):
    """Challenger and champion on the test photos that both were tested on, one of each picture."""

    table: Table
    """The challenger is the first of the two. Of the photos that the metric is of."""
    difference: float
    """Accuracy of the challenger less that of the champion; or what else they are judged by."""
    interval: Interval
    p_value: float
    """Exact McNemar test, two-sided; or a paired permutation test, of a mean over classes."""
    classes: tuple[ClassChange, ...]
    same_test_set: bool
    copies: int = 0
    """Photos that do not count since another one shows the same picture."""

    @property
    def n(self) -> int:
        """Photos compared."""
        return self.table.n

    @property
    def only_class(self) -> str | None:
        """The one class of which the champion has all correct, and of the others none."""
        right = [c.label for c in self.classes if c.champion == 1]
        wrong = [c.label for c in self.classes if c.champion == 0]
        return right[0] if right and len(wrong) == len(self.classes) - 1 else None


class Decision(Record, extra="ignore"):
    """One line of the registry: who is champion from now on, and why.

    It is kept for good: anything else in a record of another version is passed over.
    """

    number: int
    at: datetime
    outcome: Outcome
    reason: Reason
    champion: Candidate
    """From now on."""
    previous: Candidate | None
    """Champion until now."""
    challenger: Candidate | None
    """Who asked; None for a rollback."""
    evidence: Evidence | None
    best: Evidence | None = None
    """The challenger against the best of the champions, where that is not the one in use."""
    promotion: Promotion | None = None
    """The settings by which it was judged; None when it was not, and in records of older versions,
    as are the others with a default."""
    level: float | None = None
    """The largest one-sided p that was accepted; None where nothing was tested."""
    looks: int = 0
    """As `looks.count_looks` gives it."""
    task: str = DEFAULT
    class_margin: float | None = None
    """Of older versions."""
    sentence: str
    """As `explain` of that version worded it."""
