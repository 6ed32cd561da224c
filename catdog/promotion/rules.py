"""Which model is in use, and whether a new one takes its place.

By the rule "better", a challenger is promoted only when it is significantly better than the
champion on the same test photos (exact McNemar test, one-sided, at the price of `ledger`).

By the rule "fresh", which is for retraining, a challenger that was trained on photos which the
champion has not seen is promoted also when it is not worse by a margin or more (one-sided, by the
same test): than the champion, and than the best of the champions, so that small losses cannot add
up. The best is the last that came by another way than this one; to take the luckiest instead would
make it the harder to follow the more there were. The test is one of ALPHA each time, since an error
costs little more than the margin, and once.

By both, the recall of no class may be lower by more than a margin; a champion that predicts one
class only has none to lose. What cannot be compared changes nothing, and says what to do.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.comparison.significance import (
    ALPHA,
    POWER,
    Paired,
    Table,
    cross,
    mcnemar,
    not_worse_power,
    paired_interval,
)
from catdog.promotion.ledger import LEVEL, USES
from catdog.settings import Promotion
from catdog.store.artifacts import Manifest, Predictions, TrainedModel
from catdog.store.digest import KEY_LENGTH, value_digest
from catdog.store.store import Record
from catdog.wording import ci, counted, difference, p_text, percent, points

if TYPE_CHECKING:
    import pandas as pd

Outcome = Literal["promoted", "kept", "rolled-back"]
Reason = Literal[
    "first", "better", "not worse", "real photos", "champion lost", "by hand",
    "same model", "rolled back before", "other classes", "sample", "too few photos",
    "used up", "not significant", "maybe worse", "worse", "worse on a class",
    "rollback",
]  # fmt: skip

SAMPLE = "sample"
DIGITS = 16
"""Of a photo's SHA-256 by which decisions name it: 64 bits."""
FEWEST_PHOTOS = 30
"""With fewer shared photos not even a difference of 35 percentage points is significant."""


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
    """Exact McNemar test, two-sided."""
    classes: tuple[ClassChange, ...]
    same_test_set: bool
    photos: tuple[str, ...] = ()
    """The first digits of the photos' SHA-256. Not kept by older versions."""

    @property
    def n(self) -> int:
        """Photos compared."""
        return self.table.n


class Reach(Record):
    """What the photos could have shown, were as many of them discordant as here."""

    attainable: float | None
    """The smallest difference that is significant, when no photo goes the other way; None where
    there is none. Differences are of accuracies, 0..1."""
    detectable: float | None
    """The true difference that is significant with a chance of `POWER`."""
    not_worse: float | None
    """The chance that an equally accurate model is shown not to be worse; None by "better"."""


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
    best: Evidence | None = None
    """The challenger against the best of the champions, where that is not the one in use."""
    promotion: Promotion | None = None
    """The settings by which it was judged; None when it was not, and in records of older versions,
    as are the others with a default."""
    reach: Reach | None = None
    class_margin: float | None = None
    """Of older versions."""
    test_set_uses: int
    """Decisions that the most used photo of `evidence` has served, this one included. In records of
    older versions: the challengers that were judged on this test set."""
    sentence: str

    def told(self) -> dict[str, Any]:
        """The record as plain JSON values, without its hundreds of digests of photos."""
        return self.model_dump(mode="json", exclude={"evidence": {"photos"}, "best": {"photos"}})


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
    best: Evidence | None = None
    reach: Reach | None = None


class Standing(NamedTuple):
    """What a challenger has to pass."""

    champion: Entrant
    best: Entrant
    """Of the champions: the last that was not promoted for being not worse."""
    rolled_back: Collection[str]
    """Keys of the models that a person has taken back."""
    uses: Mapping[str, int]
    """Decisions that each photo has served, by the digits of `Evidence.photos`."""


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


def rule(challenger: Entrant, standing: Standing, promotion: Promotion) -> Ruling:
    """Whether the challenger takes the champion's place.

    Photos that only one of two models was tested on do not count: the other may have been trained
    on them.
    """
    champion = standing.champion
    if found := incomparable(challenger.candidate, champion.candidate, standing.rolled_back):
        return found
    whole = weigh(challenger, champion)
    if whole is None or whole.n < FEWEST_PHOTOS:
        return _too_few(challenger.candidate, champion.candidate, whole)
    if promotion.promotion == "fresh" and (new := newly_seen(challenger, champion)):
        return _if_not_worse(challenger, standing, whole, new, promotion)
    unspent = weigh(challenger, champion, unspent_by=standing.uses)
    if unspent is None or unspent.n < FEWEST_PHOTOS:
        return _used_up(challenger.candidate, champion.candidate, whole)
    return _if_better(challenger.candidate, champion.candidate, unspent, promotion)


def newly_seen(challenger: Entrant, champion: Entrant) -> int:
    """How many photos the challenger was trained on that the champion was not."""
    ours, theirs = (_trained_on(entrant.manifest) for entrant in (challenger, champion))
    return len(ours - theirs)


def _trained_on(manifest: Manifest) -> set[str]:
    return {row["sha256"] for row in manifest.rows() if row["split"] == "train"}


def weigh(
    challenger: Entrant, other: Entrant, *, unspent_by: Mapping[str, int] | None = None
) -> Evidence | None:
    """Both on the test photos that they share, by the challenger's labels; None without any.

    unspent_by: the decisions that each photo has served; those that have served USES are left out.
    Here, and in the two tests, is where a comparison of repeated trainings would come in.
    """
    ours = tested_photos(challenger.predictions, challenger.manifest)
    theirs = tested_photos(other.predictions, other.manifest)
    shared = ours.join(theirs["predicted"].rename("predicted_before"), how="inner")
    digits = shared.index.str[:DIGITS]
    if unspent_by is not None:
        kept = np.array([unspent_by.get(photo, 0) < USES for photo in digits], dtype=bool)
        shared, digits = shared[kept], digits[kept]
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
        same_test_set=challenger.candidate.test_set == other.candidate.test_set,
        photos=tuple(digits),
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


def _too_few(
    challenger: Candidate, champion: Candidate, evidence: Evidence | None, best: str = ""
) -> Ruling:
    n = evidence.n if evidence else 0
    same = evidence is not None and evidence.same_test_set
    changed = "" if same else "the test set has changed, and "
    both = f"{challenger.name} and {best}, the best champion so far," if best else "both"
    sentence = (
        f"{title(champion)} stays champion: {changed}{counted(n, 'photo')} that {both} were tested "
        f"on are too few to compare ({FEWEST_PHOTOS} are needed). {_by_hand(challenger)}"
    )
    return Ruling("kept", "too few photos", sentence)


def _used_up(challenger: Candidate, champion: Candidate, whole: Evidence) -> Ruling:
    sentence = (
        f"{title(champion)} stays champion: the test photos are used up. Of the {whole.n:,} that "
        f"both were tested on, fewer than {FEWEST_PHOTOS} have served fewer than {USES} decisions; "
        f"one more could promote a lucky model. Add new test photos. {_by_hand(challenger)}"
    )
    return Ruling("kept", "used up", sentence)


def _if_better(
    challenger: Candidate, champion: Candidate, evidence: Evidence, promotion: Promotion
) -> Ruling:
    p, could = _p_better(evidence), _reach(evidence.table)
    told = f"{_numbers(evidence)}; {_asked(p, LEVEL)}; {_limits(could)}"
    if p <= LEVEL:
        found = Ruling(
            "promoted", "better", f"is significantly better {told}", evidence, None, could
        )
        return _unless_a_class_loses(found, challenger, champion, promotion)
    stays = f"{title(champion)} stays champion: {title(challenger)} is"
    if _worse(evidence):
        sentence = f"{stays} significantly worse {_numbers(evidence)}; {p_text(evidence.p_value)}."
        return Ruling("kept", "worse", sentence, evidence, None, could)
    sentence = f"{stays} not significantly better {told}."
    return Ruling("kept", "not significant", sentence, evidence, None, could)


def _if_not_worse(
    challenger: Entrant, standing: Standing, evidence: Evidence, new: int, promotion: Promotion
) -> Ruling:
    ours, theirs = challenger.candidate, standing.champion.candidate
    best, margin = standing.best.candidate, promotion.accuracy_margin
    other = None
    if best.model != theirs.model:
        other = weigh(challenger, standing.best)
        if other is None or other.n < FEWEST_PHOTOS:
            return _too_few(ours, theirs, other, title(best))
    could = _reach(evidence.table, margin)
    seen = f"trained on {counted(new, 'photo')} that {title(theirs)} has not seen,"
    by = f"by {_size(margin)} percentage points or more"
    for than, each in (("", evidence), (f" than {title(best)}, the best,", other)):
        if each and (p := _p_not_worse(each, margin)) > ALPHA:
            sentence = (
                f"{title(theirs)} stays champion: {title(ours)}, {seen} may be worse{than} {by} "
                f"{_numbers(each)}; {_asked(p, ALPHA)}; {_limits(could)}."
            )
            reason: Reason = "worse" if _worse(each) else "maybe worse"
            return Ruling("kept", reason, sentence, evidence, other, could)
    claim = (
        f"is, {seen} not worse {by} {_numbers(evidence)}; "
        f"{_asked(_p_not_worse(evidence, margin), ALPHA)}; {_limits(could)}"
    )
    if other:
        told = f"{_numbers(other)}; {p_text(_p_not_worse(other, margin))}"
        claim += f"; nor than the best so far, {title(best)}, {told}"
    unspent = weigh(challenger, standing.best, unspent_by=standing.uses)
    proven = unspent and unspent.n >= FEWEST_PHOTOS and _p_better(unspent) <= LEVEL
    found = Ruling("promoted", "better" if proven else "not worse", claim, evidence, other, could)
    return _unless_a_class_loses(found, ours, theirs, promotion)


def _unless_a_class_loses(
    found: Ruling, challenger: Candidate, champion: Candidate, promotion: Promotion
) -> Ruling:
    """A promotion in whole sentences, or none where a recall is lower by more than the margin.

    found: its sentence is what is claimed of the challenger, from "is" on.
    """
    new, old, margin = title(challenger), title(champion), _size(promotion.class_margin)
    judged = [each for each in (found.evidence, found.best) if each]
    classes = [c for each in judged if not _only_class(each) for c in each.classes]
    worst = min(classes, key=lambda c: c.challenger - c.champion, default=None)
    loss = worst.champion - worst.challenger if worst else 0.0
    if worst and loss > promotion.class_margin:
        sentence = (
            f"{old} stays champion: {new} {found.sentence}, but its recall of {worst.label} is "
            f"{_size(loss)} percentage points lower, more than the {margin} allowed."
        )
        return found._replace(outcome="kept", reason="worse on a class", sentence=sentence)
    only = _only_class(judged[0])
    lost = f"no recall is lower by more than {margin} percentage points"
    lost = f"{old} classifies only {only} correctly" if only else lost
    return found._replace(
        sentence=f"{new} replaces {old} as champion: it {found.sentence}; {lost}."
    )


def _worse(evidence: Evidence) -> bool:
    return evidence.p_value < ALPHA and evidence.difference < 0


def _p_better(evidence: Evidence) -> float:
    return Paired(evidence.table).p_above(0)


def _p_not_worse(evidence: Evidence, margin: float) -> float:
    return Paired(evidence.table).p_above(-margin)


def _reach(table: Table, margin: float | None = None) -> Reach:
    found, two_sided = Paired(table), 2 * LEVEL
    # Two models that agree on every photo do not show that they never differ: one photo more.
    share = (table.discordant + 1) / (table.n + 1)
    return Reach(
        attainable=found.attainable(two_sided),
        detectable=found.detectable(two_sided),
        not_worse=None if margin is None else not_worse_power(table.n, margin, share),
    )


def _only_class(evidence: Evidence) -> str | None:
    """The one class of which the champion has all correct, and of the others none."""
    right = [c.label for c in evidence.classes if c.champion == 1]
    wrong = [c.label for c in evidence.classes if c.champion == 0]
    return right[0] if right and len(wrong) == len(evidence.classes) - 1 else None


def _size(share: float) -> str:
    return points(share).lstrip("+")


def _asked(p: float, level: float) -> str:
    return f"one-sided {p_text(p)}, where {level:.2g} is asked for"


def _limits(could: Reach) -> str:
    if could.not_worse is not None:
        return f"a model that is as good is promoted {percent(could.not_worse)} of the time"
    if could.attainable is None or could.detectable is None:
        return "so few photos cannot show that any model is better"
    return (
        f"so many photos can show a difference from {_size(could.attainable)} percentage points "
        f"on, and find a true one of {_size(could.detectable)} with {100 * POWER:.0f} % power"
    )


def _numbers(evidence: Evidence) -> str:
    table = evidence.table
    which = "the same" if evidence.same_test_set else "the shared"
    changed = "" if evidence.same_test_set else " (the test set has changed)"
    return (
        f"on {which} {counted(evidence.n, 'test photo')}{changed}: "
        f"{difference(evidence.difference, evidence.interval.low, evidence.interval.high)}; "
        f"{table.only_first} classified correctly by the challenger only, {table.only_second} by "
        "the champion only"
    )
