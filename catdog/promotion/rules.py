"""Which model is in use, and whether a new one takes its place.

By the rule "better", a challenger is promoted only when it is significantly better than the
champion on the same test photos (exact McNemar test, one-sided, at the level of `ledger`).

By the rule "fresh", which is for retraining, a challenger that was trained on enough photos which
the champion has not seen is promoted also when it is not worse by a margin or more (one-sided, by
the same test): than the champion, and than the best of the champions, so that small losses cannot
add up. The best is the last that came by another way than this one; to take the luckiest instead
would make it the harder to follow the more there were. The level is that of `ledger` where the test
photos allow it, and ALPHA each time where they are too few: a year of that takes a worse model more
often than not.

Accuracy is what these rules compare unless the run asks for another metric: of the recall of a
class the test is McNemar's on its photos, of a mean over the classes a paired permutation test. A
champion that was chosen by another metric is judged by that of the challenger's run.

By both, the recall of no class may be lower by more than a margin; a champion that predicts one
class only has none to lose. What cannot be compared changes nothing, and says what to do.

Photos of one picture are no independent witnesses: of each picture one counts. Which one has
nothing to do with the predictions (that with the lowest SHA-256), so that all is exact as it is for
single photos: table, test, interval, recalls. A vote of all of a picture's photos would ask another
question, and win little, since they mostly agree.
"""

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from catdog.comparison.groups import Groups
from catdog.comparison.judges import judge
from catdog.comparison.over_photos import ALPHA, OfTrained, cross, p_different
from catdog.comparison.scores import outcomes
from catdog.metric import ACCURACY, BY_ACCURACY, Metric
from catdog.promotion.decision import Candidate, ClassChange, Evidence, Outcome, Reason
from catdog.settings import Promotion
from catdog.store.artifacts import Manifest, Predictions, TrainedModel
from catdog.store.digest import KEY_LENGTH, value_digest

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = "sample"
FEWEST_PHOTOS = 30
"""With fewer shared photos not even a difference of 35 percentage points is significant."""
BUDGETED_PHOTOS = 400
"""From so many on, "fresh" keeps the budget, too: there 43 % of the weekly challengers that are as
good as a champion of 97 % pass. On 192 photos 8 % would, and retraining would change nothing."""
NEW_SHARE = 0.05
"""Of its training photos a challenger must have to itself for "fresh". The error falls about with
the cube root of the number of photos (Hestness et al., arXiv:1712.00409), by 1.7 % for so many:
fewer are no reason to risk `accuracy_margin`. They are counted from the champion on, so that a slow
source comes to them, too."""


class Entrant(NamedTuple):
    """A candidate with the artifacts behind it."""

    candidate: Candidate
    model: TrainedModel
    predictions: Predictions
    manifest: Manifest


class Hurdles(NamedTuple):
    """What a challenger has to pass."""

    champion: Entrant
    best: Entrant
    """Of the champions: the last that was not promoted for being not worse."""
    rolled_back: Collection[str]
    """Keys of the models that a person has taken back."""
    level: float
    """As `ledger` gives it."""


class Trial(NamedTuple):
    """The challenger's test against one champion."""

    evidence: Evidence
    test: OfTrained
    """That the numbers are of."""
    p: float
    """One-sided."""
    level: float
    """The largest p that passes."""
    bound: float
    """What the difference has to exceed: 0 to be better, less than 0 not to be worse."""

    @property
    def passed(self) -> bool:
        """Whether it shows what the rule asks for."""
        return self.p <= self.level


class Ruling(NamedTuple):
    """What becomes of a challenger, and all that this rests on; `explain` says it in words."""

    outcome: Outcome
    reason: Reason
    trials: tuple[Trial, ...] = ()
    """Against the champion; then against the best of the champions, where that is another one."""
    best: Candidate | None = None
    """The best of the champions, where that is another one and was to be passed too."""
    shared: Evidence | None = None
    """All that both were tested on, where that is too little to decide anything."""
    new_photos: int = 0
    """That the challenger was trained on and the champion was not, where "fresh" asks for them."""
    needed_photos: int = 0
    """As many as it asks for."""
    looks: int = 0
    """As `looks.count_looks` gives it."""

    @property
    def evidence(self) -> tuple[Evidence | None, Evidence | None]:
        """That of the trials, by their order."""
        first, second, *_ = [*(trial.evidence for trial in self.trials), None, None]
        return first, second

    @property
    def failed(self) -> Trial | None:
        """The first trial that was not passed."""
        return next((trial for trial in self.trials if not trial.passed), None)

    @property
    def worst(self) -> ClassChange | None:
        """The class that loses most, in any trial; None where the champions have none to lose."""
        judged = [trial.evidence for trial in self.trials]
        classes = [c for each in judged if not each.only_class for c in each.classes]
        return max(classes, key=lambda c: c.loss, default=None)


def entrant(
    model: TrainedModel,
    predictions: Predictions,
    manifest: Manifest,
    *,
    run: str,
    origin: str,
    metric: str = ACCURACY,
) -> Entrant:
    """A model of a run as a candidate, with its score on its test photos.

    metric: by which the run chose it.
    """
    table = tested_photos(predictions, manifest)
    test_set = value_digest(sorted(table["label"].items()))
    table = table.drop_duplicates("picture")
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
            test_set=test_set,
            test_photos=len(table),
            test_accuracy=float(right.mean()),
            metric=metric,
        ),
        model,
        predictions,
        manifest,
    )


def kept_key(model: TrainedModel) -> str:
    """Of a champion's own copy: a model that was trained again has the old key, but other files."""
    return value_digest([model.key, model.content])[:KEY_LENGTH]


def tested_photos(predictions: Predictions, manifest: Manifest) -> "pd.DataFrame":
    """The test photos of a model, each once: label, predicted class and picture by SHA-256."""
    scored = predictions.table()
    scored = scored[scored["split"] == "test"]
    known = manifest.table().set_index("path")["sha256"]
    table = scored.assign(
        sha256=known.loc[scored["path"]].to_numpy(),
        picture=scored["path"].map(manifest.groups()),
    )
    unique = table.drop_duplicates("sha256").set_index("sha256").sort_index()
    return unique[["label", "predicted", "picture"]]


def rule(challenger: Entrant, hurdles: Hurdles, promotion: Promotion) -> Ruling:
    """Whether the challenger takes the champion's place.

    Photos that only one of two models was tested on do not count: the other may have been trained
    on them.
    """
    champion = hurdles.champion
    if found := incomparable(challenger.candidate, champion.candidate, hurdles.rolled_back):
        return found
    found_both = weigh(challenger, champion, Metric(promotion.metric), hurdles.level)
    if not _enough(found_both):
        return Ruling("kept", "too few photos", shared=found_both and found_both.evidence)
    if promotion.promotion == "better":
        return _if_better(found_both, hurdles.level, promotion)
    new, needed = newly_seen(challenger, champion)
    if new < needed:
        found = _if_better(found_both, hurdles.level, promotion)
    else:
        found = _if_not_worse(challenger, hurdles, found_both, promotion)
    return found._replace(new_photos=new, needed_photos=needed)


def incomparable(
    challenger: Candidate, champion: Candidate, rolled_back: Collection[str]
) -> Ruling | None:
    """The rulings that need no numbers."""
    if challenger.model == champion.model:
        return Ruling("kept", "same model")
    if challenger.model in rolled_back:
        return Ruling("kept", "rolled back before")
    if set(challenger.classes) != set(champion.classes):
        return Ruling("kept", "other classes")
    if champion.origin == SAMPLE != challenger.origin:
        return Ruling("promoted", "real photos")
    if challenger.origin == SAMPLE != champion.origin:
        return Ruling("kept", "sample")
    return None


def newly_seen(challenger: Entrant, champion: Entrant) -> tuple[int, int]:
    """How many photos the challenger was trained on that the champion was not; how many it needs.

    One at least.
    """
    ours, theirs = (_trained_on(entrant.manifest) for entrant in (challenger, champion))
    return len(ours - theirs), max(1, math.ceil(NEW_SHARE * len(ours)))


def _trained_on(manifest: Manifest) -> set[str]:
    return {row["sha256"] for row in manifest.rows() if row["split"] == "train"}


class Weighed(NamedTuple):
    """Two models on the photos that they share."""

    evidence: Evidence
    test: OfTrained


def weigh(
    challenger: Entrant, other: Entrant, metric: Metric = BY_ACCURACY, level: float = ALPHA
) -> Weighed | None:
    """Both on the test photos that they share, by the challenger's labels; None without any.

    One photo of each picture, as the challenger's manifest knows them: it has all the photos that
    they share. Here, and in the two tests, is where a comparison of repeated trainings would come
    in.
    """
    ours = tested_photos(challenger.predictions, challenger.manifest)
    theirs = tested_photos(other.predictions, other.manifest)
    photos = ours.join(theirs["predicted"].rename("champion"), how="inner")
    if photos.empty:
        return None
    shared = photos.drop_duplicates("picture")
    names = shared.rename(columns={"predicted": "challenger"})[["challenger", "champion"]]
    right = names.eq(shared["label"], axis=0)
    of = right.loc[metric.rows(shared).index]
    if of.empty:
        return None
    test = _test(shared.loc[of.index], names.loc[of.index], metric, level)
    evidence = Evidence(
        table=cross(of["challenger"].to_numpy(), of["champion"].to_numpy()),
        difference=test.value,
        interval=test.interval(),
        p_value=p_different(test),
        classes=tuple(
            ClassChange(label=str(label), n=len(rows), **rows.mean())
            for label, rows in right.groupby(shared["label"])
        ),
        same_test_set=challenger.candidate.test_set == other.candidate.test_set,
        copies=len(photos) - len(shared),
    )
    return Weighed(evidence, test)


def _test(
    photos: "pd.DataFrame", predicted: "pd.DataFrame", metric: Metric, level: float
) -> OfTrained:
    both = (photos.assign(predicted=predicted[name]) for name in ("challenger", "champion"))
    judged = judge(metric, photos["label"].to_numpy(dtype=str))
    first, second = outcomes(both, metric)
    return judged.pair(first, second, Groups(), finest=level)


def _enough(found: Weighed | None) -> TypeGuard[Weighed]:
    return found is not None and found.evidence.n >= FEWEST_PHOTOS


def _if_better(found: Weighed, level: float, promotion: Promotion) -> Ruling:
    trial = _try(found, 0, level)
    if trial.passed:
        return _unless_a_class_loses(Ruling("promoted", "better", (trial,)), promotion)
    return Ruling("kept", "worse" if _worse(found.evidence) else "not significant", (trial,))


def _if_not_worse(
    challenger: Entrant, hurdles: Hurdles, against_champion: Weighed, promotion: Promotion
) -> Ruling:
    against, best = [against_champion], None
    if hurdles.best.candidate.model != hurdles.champion.candidate.model:
        best, metric = hurdles.best.candidate, Metric(promotion.metric)
        other = weigh(challenger, hurdles.best, metric, hurdles.level)
        if not _enough(other):
            return Ruling("kept", "too few photos", best=best, shared=other and other.evidence)
        against.append(other)
    trials = tuple(
        _try_not_worse(each, promotion.accuracy_margin, hurdles.level) for each in against
    )
    found = Ruling("promoted", "not worse", trials, best)
    if failed := found.failed:
        reason: Reason = "worse" if _worse(failed.evidence) else "maybe worse"
        return found._replace(outcome="kept", reason=reason)
    if _try(against[-1], 0, hurdles.level).passed:
        found = found._replace(reason="better")
    return _unless_a_class_loses(found, promotion)


def _unless_a_class_loses(found: Ruling, promotion: Promotion) -> Ruling:
    if found.worst and found.worst.loss > promotion.class_margin:
        return found._replace(outcome="kept", reason="worse on a class")
    return found


def _try(found: Weighed, bound: float, level: float) -> Trial:
    """The test of "its accuracy, or other metric, is higher by more than this bound"."""
    return Trial(found.evidence, found.test, found.test.p_above(bound), level, bound)


def _try_not_worse(found: Weighed, margin: float, level: float) -> Trial:
    return _try(found, -margin, level if found.evidence.n >= BUDGETED_PHOTOS else ALPHA)


def _worse(evidence: Evidence) -> bool:
    return evidence.p_value < ALPHA and evidence.difference < 0
