"""The comparison of all models: every number of the report, derived from stored predictions."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import Field

from catdog.comparison import mistakes
from catdog.comparison.answers import Answers, answers
from catdog.comparison.collapse import Collapse, collapsed
from catdog.comparison.design import Design, design_of
from catdog.comparison.groups import Grouped
from catdog.comparison.labels import ACCURATE_ENOUGH, LabelCheck, check_labels
from catdog.comparison.metrics import Interval
from catdog.comparison.mistakes import ConfidentError, ConfusedPair, JudgedPhoto
from catdog.comparison.pairs import PairTest, compare_pairs, equivalence, sensitivity
from catdog.comparison.published import Published, published_results
from catdog.comparison.repeats import Repeats, summarise_repeats
from catdog.comparison.scores import FailedModel, ScoredModel, Trained, judging, outcomes, score
from catdog.comparison.slices import Slices, slices
from catdog.comparison.verdict import Verdict, decide
from catdog.errors import PhotosError, TrainingError
from catdog.inference.caution import knowledge_of
from catdog.metric import ACCURACY, BALANCED, Metric, rare_class
from catdog.photos.changes import Changes
from catdog.photos.quality import DataQuality, data_quality
from catdog.settings import Comparing, Seeded, Training
from catdog.sources.official import SEED_REMARK, missing_official
from catdog.store.artifacts import HELD_OUT, Arrays, Evidence, Manifest, ModelResult, Photos
from catdog.store.store import Record
from catdog.wording import FEW, listing, percent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Study:
    """Everything that a comparison, and so a report, is made from."""

    photos: Photos
    manifest: Manifest
    arrays: Arrays
    results: Sequence[ModelResult]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the run was asked for; `command` is the line that repeats it."""
    changes: Changes | None = None
    """What became of the photos since an earlier run; None where nothing did."""
    comparing: Comparing = field(default_factory=lambda: Comparing.model_validate({}))
    evidence: Sequence[Evidence] = ()
    """Of the models that may win: see `leaders`."""

    @property
    def scored(self) -> list[Trained]:
        """The trainings that gave predictions, in order."""
        return [(r.model, r.predictions) for r in self.results if r.model and r.predictions]

    @cached_property
    def design(self) -> Design:
        """How often each model was trained, and for what."""
        several = max(Counter(r.name for r in self.results).values(), default=0) > 1
        return design_of(
            self.arrays.folds,
            several=several,
            fold_of=self.arrays.fold_of(),
            group_of=self.manifest.groups(),
        )

    @property
    def compared(self) -> dict[str, list[Trained]]:
        """The trainings of each model that can be compared, by name: the first stands for it."""
        found: dict[str, list[Trained]] = {}
        for model, predictions in self.scored:
            found.setdefault(model.name, []).append((model, predictions))
        whole = self.design.whole
        return {
            name: each for name, each in found.items() if whole(p.fold_or_seed for _, p in each)
        }

    @property
    def leaders(self) -> list[Trained]:
        """The models to be used that are best on validation: usually one."""
        metric, found = Metric(self.comparing.metric), dict[str, float]()
        for name, each in self.compared.items() if self.design.usable else ():
            tables = (predictions.table() for _, predictions in each)
            values = [metric.of_table(t[t["split"] == "validation"]) for t in tables]
            found[name] = sum(values) / len(values)
        best = max(found.values(), default=0.0)
        return [self.compared[name][0] for name, value in found.items() if value >= best]


class Comparison(Record):
    """All that the report says.

    Metrics are those of the first seed of each model; the verdict, the pairs and the repeats are
    of all seeds, where there are enough. In a cross-validation all are of the out-of-fold
    predictions: each photo is a test photo once, and a validation photo once; epochs are then those
    of the first fold. Times are medians of all seeds or folds.
    """

    origin: str
    judged_by: str = Field(ACCURACY, exclude_if=lambda value: value == ACCURACY)
    """The metric by which models are chosen and judged, as the settings name it."""
    note: str
    """What is to be known about the source; empty when all is as asked."""
    classes: tuple[str, ...]
    majority: float
    """That of the majority-class baseline on test, accuracy or what else models are judged by:
    always predicting its largest class."""
    verdict: Verdict
    models: tuple[ScoredModel, ...]
    failed: tuple[FailedModel, ...]
    pairs: tuple[PairTest, ...]
    """On test, one a pair of models; those of the winner first."""
    sensitivity: str
    """What could have been significant, and what would have been found; empty without pairs."""
    equivalence: str
    """Which pairs are equivalent; empty without pairs."""
    repeats: Repeats | None
    """By seed or by fold; None where each model was trained once."""
    collapsed: tuple[Collapse, ...] = ()
    """The models of which trainings collapsed: no claim is made over those."""
    groups: Grouped | None = None
    """Test photos that show the same picture; None where no two do."""
    folds: int | None = None
    """Of a cross-validation."""
    highest_loss: tuple[JudgedPhoto, ...]
    """The winner's errors on test with the highest loss."""
    confused: tuple[ConfusedPair, ...]
    """The pairs of classes that the winner confuses most on test; none where classes are few."""
    least_confident: tuple[JudgedPhoto, ...]
    """The winner's least confident predictions on test."""
    accurate: tuple[str, ...]
    """The models that the high-confidence errors are of; none where no model is good enough."""
    confident_errors: tuple[ConfidentError, ...]
    """None in a cross-validation, which has `labels`."""
    labels: LabelCheck | None = None
    """Potential label errors; None without a cross-validation or an accurate model."""
    answers: Answers | None = Field(None, exclude_if=lambda value: value is None)
    """What the winner's answers are worth where it may leave photos unanswered; None of a
    cross-validation, or from an older version."""
    slices: Slices | None = Field(None, exclude_if=lambda value: value is None)
    """The winner's accuracy by what is known of the test photos; None where these are few."""
    quality: DataQuality
    changes: Changes | None = None
    """What became of the photos since an earlier run; None where nothing did."""
    published: tuple[Published, ...]
    """Empty unless the photos are the official ones."""
    missing: tuple[str, ...]
    """The official photos that the source lacks; empty where it is another one."""
    digests: dict[str, str]
    settings: dict[str, Any]
    """How the run was asked for; `command` is the line that repeats it."""

    def model(self, name: str) -> ScoredModel:
        """The scored model of this name."""
        return next(model for model in self.models if model.name == name)

    @property
    def metric(self) -> Metric:
        """By which models are chosen and judged."""
        return Metric(self.judged_by)

    @property
    def unequal(self) -> str:
        """What the accuracy hides, or a recall, in words; empty where that is little."""
        counts = self.quality.counts.values()
        photos = {label: sum(part.get(label, 0) for part in counts) for label in self.classes}
        rare, metric = rare_class(photos), self.metric
        if metric.of_class:
            return (
                f"A model that always predicts {metric.of_class} has all the {metric.label}: look "
                "at its precision, and at the accuracy, too."
            )
        if not rare or not metric.default or len(self.classes) > FEW:
            return ""
        share = photos[rare] / sum(photos.values())
        return (
            f"{rare} has {percent(share)} of the photos, so that the accuracy says little about "
            f"it: always predicting the most frequent class has {percent(self.majority)} on the "
            f"test set, and a balanced accuracy of {percent(1 / len(self.classes))}. To choose by "
            f"the mean recall of the classes, use --metric {BALANCED}."
        )

    def accuracy(self, model: ScoredModel) -> tuple[float, Interval]:
        """What the claims about a model on test are about: its own, or the mean over its seeds."""
        for found in self.repeats.models if self.repeats and self.design.shown else ():
            if found.name == model.name and found.interval:
                return found.mean, found.interval
        return model.test.score.value, model.test.score.interval

    def against_winner(self, model: ScoredModel) -> PairTest | None:
        """The pair of this model and the winner; None for the winner."""
        both = {model.name, self.verdict.winner}
        return next((pair for pair in self.pairs if {pair.first, pair.second} == both), None)

    @property
    def divided(self) -> str:
        """How many photos each part has, in words."""
        return self.design.divided({p: sum(n.values()) for p, n in self.quality.counts.items()})

    @property
    def design(self) -> Design:
        """How the models were trained, in words."""
        return design_of(self.folds, several=self.repeats is not None)

    @property
    def failures(self) -> str:
        """The models that failed, with their seeds, in words."""
        return listing(f"{model.name} ({model.which})" for model in self.failed)

    def seed_remark(self, *names: str) -> str:
        """What is to be known of the seed of these models; empty when nothing is."""
        selected = "baseline", Seeded.model_fields["seed"].default
        used = [(m.name, m.seed) for m in self.models if m.name in names]
        return SEED_REMARK if self.published and selected in used else ""

    @property
    def changed(self) -> str:
        """What of the training is not as in the published protocol; empty where all is."""
        return changed_text(self.settings)

    @property
    def precision(self) -> str:
        """In which the models were trained; empty where earlier versions did not keep it."""
        found = _shared((model.facts.get("precision"), model.name) for model in self.models)
        alone = len(found) == 1
        return "; ".join(p if alone else f"{p} ({listing(of)})" for p, of in found.items())

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the settings is not as one may expect it, with the models that it is so of."""
        every = ((note, m.name) for m in self.models for note in m.facts.get("notes", ()))
        return tuple(f"{listing(of)}: {note}" for note, of in _shared(every).items())

    @property
    def winner(self) -> ScoredModel:
        """The model that the verdict names."""
        return self.model(self.verdict.winner)


def changed_text(settings: Mapping[str, Any]) -> str:
    """What of a training is not as in the published protocol, with what that has; or nothing."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value} ({'as declared' if default is None else default})"
        for name, (value, default) in Training.changes(settings).items()
    )


def _answers(winner: str, study: Study) -> Answers | None:
    found = next((each for each in study.evidence if each.name == winner), None)
    return answers(knowledge_of(found)) if found else None


def _shared(pairs: Iterable[tuple[str | None, str]]) -> dict[str, list[str]]:
    """The names that a text belongs to."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text, name in pairs:
        if text:
            found[text].append(name)
    return found


def compare(study: Study) -> Comparison:
    """Compare all results.

    Raises TrainingError when no model can be compared, and PhotosError when the predictions are
    not of the same photos.
    """
    compared, design = study.compared, study.design
    if not compared:
        reasons = "; ".join(f"{each.name}: {each.error}" for each in study.results if each.error)
        what = f"No model gave {design.needed} ({reasons})."
        raise TrainingError(what, "See the log of the run.")
    raw = {name: [p.table() for _, p in of] for name, of in compared.items()}
    collapses = _collapses(compared, raw, design)
    every = {name: design.pooled(tables) for name, tables in raw.items()}
    _require_same_photos(every)
    metric = Metric(study.comparing.metric)
    metric.require_class(study.arrays.classes)
    tables = {name: of[0] for name, of in every.items()}
    models = tuple(
        score(of, tables[name], design, claim=name not in collapses, metric=metric)
        for name, of in compared.items()
    )
    validation, test = (
        {name: outcomes((t[t["split"] == split] for t in of), metric) for name, of in every.items()}
        for split in HELD_OUT
    )
    failed = tuple(
        FailedModel(**r.identity(), error=r.error or "no reason was recorded")
        for r in study.results
        if not (r.model and r.predictions)
    )
    tested = {name: table[table["split"] == "test"] for name, table in tables.items()}
    first = next(iter(tables.values()))
    on_validation, on_test = (
        judging(first[first["split"] == split], design, metric) for split in HELD_OUT
    )
    valued = {name: on_validation.judge.values(each) for name, each in validation.items()}
    seeds = {name: [model.seed for model, _ in of] for name, of in compared.items()}
    pairs = compare_pairs(
        test, on_test, margin=study.comparing.equivalence_margin, collapses=collapses, metric=metric
    )
    majority = metric.baseline(first.loc[first["split"] == "test", "label"].to_numpy(dtype=str))
    verdict = decide(
        models,
        {
            name: on_test.estimate(name, test[name], valued[name], claim=name not in collapses)
            for name in tables
        },
        pairs,
        design,
        majority=majority,
        metric=metric,
        caveat=design.caveat([len(each) for each in test.values()], tuple(collapses.values())),
    )
    winner, by_name = tested[verdict.winner], {model.name: model for model in models}
    rows = study.photos.rows()
    published = design.to_use(published_results(rows))
    accurate = mistakes.accurate_models({model.name: model.validation.accuracy for model in models})
    return Comparison(
        origin=study.photos.origin,
        judged_by=metric.name,
        note=study.photos.note,
        classes=study.arrays.classes,
        majority=majority,
        verdict=verdict,
        models=models,
        failed=failed,
        pairs=tuple(
            sorted(pairs, key=lambda pair: verdict.winner not in (pair.first, pair.second))
        ),
        sensitivity=sensitivity(pairs, on_test.groups.counted(models[0].test.score.n), design.unit),
        equivalence=equivalence(pairs),
        repeats=summarise_repeats(on_test, test, seeds, failed, collapses, metric=metric)
        if design.several
        else None,
        collapsed=tuple(collapses.values()),
        groups=design.on(tested[verdict.winner]["path"]).groups.summary(),
        folds=design.folds,
        highest_loss=mistakes.highest_loss_errors(winner),
        confused=mistakes.most_confused(winner) if len(study.arrays.classes) > FEW else (),
        least_confident=mistakes.least_confident(winner),
        accurate=accurate,
        confident_errors=mistakes.confident_errors(
            design.to_use(tuple(tables[name] for name in accurate))
        ),
        labels=check_labels(verdict.winner, winner)
        if not design.usable and by_name[verdict.winner].validation.accuracy >= ACCURATE_ENOUGH
        else None,
        answers=_answers(verdict.winner, study),
        slices=slices(verdict.winner, winner, study.photos, study.manifest),
        quality=data_quality(study.manifest, design.counts(study.manifest), design.fold_of),
        changes=study.changes,
        published=published,
        missing=missing_official(rows) if published else (),
        digests=_digests(study),
        settings=dict(study.settings),
    )


def _collapses(
    compared: Mapping[str, Sequence[Trained]],
    tables: "Mapping[str, Sequence[pd.DataFrame]]",
    design: Design,
) -> dict[str, Collapse]:
    """Of each model of which trainings collapsed."""
    found = (
        collapsed(name, tables[name], [p.fold_or_seed for _, p in of], design.unit)
        for name, of in compared.items()
    )
    return {each.name: each for each in found if each}


def _require_same_photos(tables: "Mapping[str, Sequence[pd.DataFrame]]") -> None:
    """Raise PhotosError unless all tables of all models have the same photos in the same order."""
    columns = ["split", "path", "label"]
    (first, expected), *others = ((n, table[columns]) for n, of in tables.items() for table in of)
    for name, found in others:
        if found.to_numpy().tolist() != expected.to_numpy().tolist():
            raise PhotosError(
                f"{name} and {first} were not evaluated on the same photos.",
                "Run both again with the same source and seed.",
            )


def _digests(study: Study) -> dict[str, str]:
    digests = {"photos": study.photos.inventory}
    if study.photos.archive_sha256:
        digests["archive (SHA-256)"] = study.photos.archive_sha256
    digests |= {"manifest": study.manifest.content, "arrays": study.arrays.content}
    for model, predictions in study.scored:
        digests[f"model {model.name}, seed {model.seed}"] = model.content
        digests[f"predictions {model.name}, seed {model.seed}"] = predictions.content
    return digests
