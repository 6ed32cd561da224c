"""Which model is in use, and whether a new one takes its place.

A challenger is promoted only when it is significantly better than the champion on the same test
photos (exact McNemar test), and is not worse on any class by more than a margin; a champion that
predicts one class only has none to lose. What cannot be compared changes nothing, and says what to
do.
"""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.comparison.significance import ALPHA, Table, cross, mcnemar, paired_interval
from catdog.settings import Promotion
from catdog.store.artifacts import Manifest, Predictions, TrainedModel
from catdog.store.digest import KEY_LENGTH, value_digest
from catdog.store.store import Record
from catdog.wording import ci, counted, difference, p_text, percent, points

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["promoted", "kept", "rolled-back"]
Reason = Literal[
    "first", "better", "real photos", "champion lost", "by hand",
    "same model", "rolled back before", "other classes", "sample", "too few photos",
    "not significant", "worse", "worse on a class",
    "rollback",
]  # fmt: skip

SAMPLE = "sample"
FEWEST_PHOTOS = 30
"""With fewer shared photos not even a difference of 20 percentage points is significant."""


class Candidate(Record):
    """A model that is, was or wants to be champion; its artifacts by their keys."""

    run: str
    name: str
    seed: int
    model: str
    """As `kept_key` names it; by an older version, as the store of all runs does."""
    predictions: str
    manifest: str
    origin: str
    """Where its photos came from, as the user named it."""
    classes: tuple[str, ...]
    test_set: str
    """Digest of the bytes and classes of its test photos."""
    test_photos: int
    """How many; a photo that is there twice counts once."""
    test_accuracy: float


class ClassChange(Record):
    """The recall of one class on the shared test photos, of each of the two."""

    label: str
    n: int
    champion: float
    challenger: float


class Evidence(Record):
    """Challenger and champion on the test photos that both were tested on."""

    table: Table
    """The challenger is the first of the two."""
    difference: float
    """Accuracy of the challenger less that of the champion."""
    interval: Interval
    p_value: float
    classes: tuple[ClassChange, ...]
    same_test_set: bool

    @property
    def n(self) -> int:
        """Photos compared."""
        return self.table.n


class Decision(Record):
    """One line of the registry: who is champion from now on, and why."""

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
    class_margin: float | None
    test_set_uses: int
    """Challengers that were judged on the challenger's test set so far, this one included."""
    sentence: str


class Entrant(NamedTuple):
    """A candidate with the artifacts behind it."""

    candidate: Candidate
    model: TrainedModel
    predictions: Predictions
    manifest: Manifest


class Ruling(NamedTuple):
    """What the rules say of a challenger."""

    outcome: Outcome
    reason: Reason
    sentence: str
    evidence: Evidence | None = None


def entrant(
    model: TrainedModel, predictions: Predictions, manifest: Manifest, *, run: str, origin: str
) -> Entrant:
    """A model of a run as a candidate, with its score on its test photos."""
    table = tested_photos(predictions, manifest)
    right = table["predicted"] == table["label"]
    return Entrant(
        Candidate(
            run=run,
            name=model.name,
            seed=model.seed,
            model=kept_key(model),
            predictions=predictions.key,
            manifest=manifest.key,
            origin=origin,
            classes=model.classes,
            test_set=value_digest(sorted(table["label"].items())),
            test_photos=len(table),
            test_accuracy=float(right.mean()),
        ),
        model,
        predictions,
        manifest,
    )


def kept_key(model: TrainedModel) -> str:
    """Of a champion's own copy: a model that was trained again has the old key, but other files."""
    return value_digest([model.key, model.content])[:KEY_LENGTH]


def tested_photos(predictions: Predictions, manifest: Manifest) -> "pd.DataFrame":
    """The test photos of a model: label and predicted class by SHA-256, each photo once."""
    scored = predictions.table()
    scored = scored[scored["split"] == "test"]
    known = manifest.table().set_index("path")["sha256"]
    table = scored.assign(sha256=known.loc[scored["path"]].to_numpy())
    return table.drop_duplicates("sha256").set_index("sha256")[["label", "predicted"]]


def rule(
    challenger: Entrant, champion: Entrant, promotion: Promotion, *, rolled_back: Collection[str]
) -> Ruling:
    """Whether the challenger takes the champion's place.

    Photos that only one of the two was tested on do not count: the other may have been trained on
    them. rolled_back: keys of models that a person has taken back.
    """
    if found := incomparable(challenger.candidate, champion.candidate, rolled_back):
        return found
    evidence = weigh(challenger, champion)
    if evidence is None or evidence.n < FEWEST_PHOTOS:
        return _too_few(challenger.candidate, champion.candidate, evidence)
    return _judge(challenger.candidate, champion.candidate, evidence, promotion)


def weigh(challenger: Entrant, champion: Entrant) -> Evidence | None:
    """Both on the test photos that they share, by the challenger's labels; None without any."""
    ours = tested_photos(challenger.predictions, challenger.manifest)
    theirs = tested_photos(champion.predictions, champion.manifest)
    shared = ours.join(theirs["predicted"].rename("predicted_before"), how="inner")
    if shared.empty:
        return None
    right = shared[["predicted", "predicted_before"]].eq(shared["label"], axis=0)
    new, old = (right[column].to_numpy(dtype=bool) for column in right)
    table = cross(new, old)
    return Evidence(
        table=table,
        difference=table.difference,
        interval=paired_interval(table),
        p_value=mcnemar(table),
        classes=tuple(
            ClassChange(
                label=str(label),
                n=len(rows),
                champion=rows["predicted_before"].mean(),
                challenger=rows["predicted"].mean(),
            )
            for label, rows in right.groupby(shared["label"])
        ),
        same_test_set=challenger.candidate.test_set == champion.candidate.test_set,
    )


def title(candidate: Candidate) -> str:
    """How a candidate is called in a sentence."""
    return f"{candidate.name} of run {candidate.run}"


def score_text(candidate: Candidate) -> str:
    """Its test score with what it rests on."""
    n = candidate.test_photos
    interval = wilson_interval(round(candidate.test_accuracy * n), n)
    return (
        f"accuracy {percent(candidate.test_accuracy)} on {counted(n, 'test photo')} "
        f"({ci(interval.low, interval.high)})"
    )


def incomparable(
    challenger: Candidate, champion: Candidate, rolled_back: Collection[str]
) -> Ruling | None:
    """The rulings that need no numbers."""
    new, stays = title(challenger), f"{title(champion)} stays champion"
    if challenger.model == champion.model:
        return Ruling("kept", "same model", f"{stays}: {new} is the same model.")
    if challenger.model in rolled_back:
        again = f"{challenger.name} is a model that was rolled back."
        sentence = f"{stays}: {again} {_by_hand(challenger)}"
        return Ruling("kept", "rolled back before", sentence)
    if set(challenger.classes) != set(champion.classes):
        ours, theirs = (", ".join(sorted(c.classes)) for c in (challenger, champion))
        sentence = f"{stays}: it knows {theirs}, but {new} knows {ours}. {_by_hand(challenger)}"
        return Ruling("kept", "other classes", sentence)
    if challenger.origin != SAMPLE and champion.origin == SAMPLE:
        sentence = (
            f"{new} is the first champion that was trained on real photos: "
            f"{score_text(challenger)}. It replaces {title(champion)}, which knew the drawn "
            "sample only."
        )
        return Ruling("promoted", "real photos", sentence)
    if challenger.origin == SAMPLE and champion.origin != SAMPLE:
        sentence = (
            f"{stays}: {new} was trained on the drawn sample, which says nothing about real photos."
        )
        return Ruling("kept", "sample", sentence)
    return None


def _by_hand(challenger: Candidate) -> str:
    command = f"catdog champion promote {challenger.run}"
    return f"To use {challenger.name} all the same: '{command}'."


def _too_few(challenger: Candidate, champion: Candidate, evidence: Evidence | None) -> Ruling:
    n = evidence.n if evidence else 0
    same = evidence is not None and evidence.same_test_set
    changed = "" if same else "the test set has changed, and "
    sentence = (
        f"{title(champion)} stays champion: {changed}{n} photos that both were tested on are too "
        f"few to compare ({FEWEST_PHOTOS} are needed). {_by_hand(challenger)}"
    )
    return Ruling("kept", "too few photos", sentence, evidence)


def _judge(
    challenger: Candidate, champion: Candidate, evidence: Evidence, promotion: Promotion
) -> Ruling:
    new, old, numbers = title(challenger), title(champion), _numbers(evidence)
    stays, margin = f"{old} stays champion: ", points(promotion.class_margin).lstrip("+")
    if evidence.p_value >= ALPHA:
        sentence = f"{stays}no significant difference from {new} {numbers}."
        return Ruling("kept", "not significant", sentence, evidence)
    if evidence.difference < 0:
        return Ruling("kept", "worse", f"{stays}{new} is significantly worse {numbers}.", evidence)
    worst = min(evidence.classes, key=lambda c: c.challenger - c.champion)
    loss = worst.challenger - worst.champion
    only = _only_class(evidence)
    if loss < -promotion.class_margin and not only:
        sentence = (
            f"{stays}{new} is significantly better {numbers}, but its recall of {worst.label} is "
            f"{points(-loss).lstrip('+')} percentage points lower, more than the {margin} allowed."
        )
        return Ruling("kept", "worse on a class", sentence, evidence)
    lost = f"no recall is lower by more than {margin} percentage points"
    classes = f"{old} classifies only {only} correctly" if only else lost
    sentence = f"{new} replaces {old} as champion: it is significantly better {numbers}; {classes}."
    return Ruling("promoted", "better", sentence, evidence)


def _only_class(evidence: Evidence) -> str | None:
    """The one class of which the champion has all correct, and of the others none."""
    right = [c.label for c in evidence.classes if c.champion == 1]
    wrong = [c.label for c in evidence.classes if c.champion == 0]
    return right[0] if right and len(wrong) == len(evidence.classes) - 1 else None


def _numbers(evidence: Evidence) -> str:
    table = evidence.table
    which = "the same" if evidence.same_test_set else "the shared"
    changed = "" if evidence.same_test_set else " (the test set has changed)"
    return (
        f"on {which} {counted(evidence.n, 'test photo')}{changed}: "
        f"{difference(evidence.difference, evidence.interval.low, evidence.interval.high)}; "
        f"{table.only_first} classified correctly by the challenger only, {table.only_second} by "
        f"the champion only; {p_text(evidence.p_value)}"
    )
