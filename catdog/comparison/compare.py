"""The comparison of all models: every number of the report, derived from stored predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from catdog.comparison.labels import ACCURATE_ENOUGH, LabelCheck, check_labels
from catdog.comparison.mistakes import (
    ConfidentError,
    JudgedPhoto,
    accurate_models,
    confident_errors,
    highest_loss_errors,
    least_confident,
)
from catdog.comparison.over_folds import Fold
from catdog.comparison.over_photos import Correct
from catdog.comparison.pairs import PairTest, caveat, compare_pairs, mean_accuracy, sensitivity
from catdog.comparison.published import Published, published_results
from catdog.comparison.repeats import Repeats, summarise_repeats
from catdog.comparison.scores import FailedModel, ScoredModel, score
from catdog.comparison.verdict import Standing, Verdict, decide
from catdog.errors import PhotosError, TrainingError
from catdog.photos.changes import Changes
from catdog.photos.quality import DataQuality, data_quality
from catdog.settings import Comparing, Seeded
from catdog.sources.official import SEED_REMARK, missing_official
from catdog.store.artifacts import Arrays, Manifest, ModelResult, Photos, Predictions, TrainedModel
from catdog.store.store import Record
from catdog.wording import listing

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

    @property
    def scored(self) -> list[tuple[TrainedModel, Predictions]]:
        """The models that gave predictions, each of its seeds, in order."""
        return [(r.model, r.predictions) for r in self.results if r.model and r.predictions]

    @property
    def compared(self) -> dict[str, list[tuple[TrainedModel, Predictions]]]:
        """The seeds of each of them by name, in order: the first stands for the model.

        In a cross-validation, the folds; a model that lacks one is left out.
        """
        found: dict[str, list[tuple[TrainedModel, Predictions]]] = {}
        for model, predictions in self.scored:
            found.setdefault(model.name, []).append((model, predictions))
        if not self.arrays.folds:
            return found
        wanted = list(range(1, self.arrays.folds + 1))
        return {
            n: each for n, each in found.items() if sorted(p.fold or 0 for _, p in each) == wanted
        }


class Comparison(Record):
    """All that the report says.

    Metrics are those of the first seed of each model; the verdict, the pairs and the repeats are
    of all seeds, where there are enough. In a cross-validation all are of the out-of-fold
    predictions: each photo is a test photo once, and a validation photo once; epochs are then those
    of the first fold. Times are medians of all seeds or folds.
    """

    origin: str
    note: str
    """What is to be known about the source; empty when all is as asked."""
    classes: tuple[str, ...]
    majority: float
    """Accuracy on test of the majority-class baseline: always predicting its largest class."""
    verdict: Verdict
    models: tuple[ScoredModel, ...]
    failed: tuple[FailedModel, ...]
    pairs: tuple[PairTest, ...]
    """On test, one a pair of models; those of the winner first."""
    sensitivity: str
    """What could have been significant, and what would have been found; empty without pairs."""
    repeats: Repeats | None
    """By seed or by fold; None where each model was trained once."""
    folds: int | None = None
    """Of a cross-validation."""
    highest_loss: tuple[JudgedPhoto, ...]
    """The winner's errors on test with the highest loss."""
    least_confident: tuple[JudgedPhoto, ...]
    """The winner's least confident predictions on test."""
    accurate: tuple[str, ...]
    """The models that the high-confidence errors are of; none where no model is good enough."""
    confident_errors: tuple[ConfidentError, ...]
    """None in a cross-validation, which has `labels`."""
    labels: LabelCheck | None = None
    """Potential label errors; None without a cross-validation or an accurate model."""
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
    def failures(self) -> str:
        """The models that failed, with their seeds, in words."""
        return listing(f"{model.name} ({model.which})" for model in self.failed)

    def seed_remark(self, *names: str) -> str:
        """What is to be known of the seed of these models; empty when nothing is."""
        first = Seeded.model_fields["seed"].default
        if self.folds:
            return ""
        selected = ("baseline" in names) and self.model("baseline").seed == first
        return SEED_REMARK if selected else ""

    @property
    def winner(self) -> ScoredModel:
        """The model that the verdict names."""
        return self.model(self.verdict.winner)


def compare(study: Study) -> Comparison:
    """Compare all results.

    Raises TrainingError when no model gave predictions, for every fold if there are some, and
    PhotosError when the predictions are not of the same photos.
    """
    compared, folds = study.compared, study.arrays.folds
    if not compared:
        reasons = "; ".join(f"{each.name}: {each.error}" for each in study.results if each.error)
        what = "predictions for every fold" if folds else "predictions"
        raise TrainingError(f"No model gave {what} ({reasons}).", "See the log of the run.")
    pooled = (
        {(name, found[0][0].seed): _pooled(found) for name, found in compared.items()}
        if folds
        else {(m.name, m.seed): p.table() for found in compared.values() for m, p in found}
    )
    _check_same_photos(pooled)
    tables = {name: pooled[name, found[0][0].seed] for name, found in compared.items()}
    fold_of = study.arrays.fold_of()
    models = tuple(
        score(*found[0], tables[name] if folds else None, fold_of).model_copy(update=_times(found))
        for name, found in compared.items()
    )
    correct, on_validation = (_correct(pooled, split) for split in ("test", "validation"))
    stacked = {name: np.stack(list(found.values())) for name, found in correct.items()}
    fold = _fold_of_each(fold_of, tables) if folds else None
    pairs = compare_pairs(stacked, margin=study.comparing.equivalence_margin, fold=fold)
    failed = [(r.name, r.fold_or_seed) for r in study.results if not (r.model and r.predictions)]
    repeats = (
        summarise_repeats(correct, failed)
        if fold is None
        else summarise_repeats(_by_fold(stacked, fold), failed, unit="fold")
    )
    largest = max(scores.n for scores in models[0].test.classes)
    majority = largest / models[0].test.n
    verdict = decide(
        models,
        {
            m.name: _standing(m, stacked[m.name], on_validation[m.name], repeats, folds)
            for m in models
        },
        pairs,
        majority=majority,
        caveat=caveat([len(found) for found in stacked.values()], folds),
    )
    winner = tables[verdict.winner]
    winner = winner[winner["split"] == "test"]
    rows = study.photos.rows()
    published = () if folds else published_results(rows)
    accurate = accurate_models({model.name: model.validation.accuracy for model in models})
    return Comparison(
        origin=study.photos.origin,
        note=study.photos.note,
        classes=study.arrays.classes,
        majority=majority,
        verdict=verdict,
        models=models,
        failed=tuple(
            FailedModel(**r.identity(), error=r.error or "no reason was recorded")
            for r in study.results
            if not (r.model and r.predictions)
        ),
        pairs=tuple(
            sorted(pairs, key=lambda pair: verdict.winner not in (pair.first, pair.second))
        ),
        sensitivity=sensitivity(pairs, models[0].test.n) if pairs else "",
        repeats=repeats,
        folds=folds,
        highest_loss=highest_loss_errors(winner),
        least_confident=least_confident(winner),
        accurate=accurate,
        confident_errors=() if folds else confident_errors([tables[name] for name in accurate]),
        labels=check_labels(verdict.winner, winner)
        if folds and verdict.standing.validation >= ACCURATE_ENOUGH
        else None,
        quality=data_quality(study.manifest, fold_of),
        changes=study.changes,
        published=published,
        missing=missing_official(rows) if published else (),
        digests=_digests(study),
        settings=dict(study.settings),
    )


def _times(found: "Sequence[tuple[TrainedModel, Predictions]]") -> dict[str, float]:
    """The medians of all trainings of a model: one may have been held up."""
    return {
        "seconds": median(model.seconds for model, _ in found),
        "seconds_per_1000": median(predictions.seconds_per_1000 for _, predictions in found),
    }


def _pooled(found: "Sequence[tuple[TrainedModel, Predictions]]") -> "pd.DataFrame":
    """The predictions of all folds of a model as one table."""
    import pandas as pd

    return pd.concat([predictions.table() for _, predictions in found], ignore_index=True)


def _fold_of_each(fold: Mapping[str, int], tables: "Mapping[str, pd.DataFrame]") -> Fold:
    """The fold of each test photo, in the order of the predictions."""
    table = next(iter(tables.values()))
    return np.array([fold[path] for path in table.loc[table["split"] == "test", "path"]])


def _by_fold(correct: Mapping[str, Correct], fold: Fold) -> dict[str, dict[int, Correct]]:
    """What each model classifies correctly (1 x n), by fold."""
    return {
        name: {int(each): found[0][fold == each] for each in np.unique(fold)}
        for name, found in correct.items()
    }


def _correct(
    tables: "Mapping[tuple[str, int], pd.DataFrame]", split: str
) -> dict[str, dict[int, Correct]]:
    """Which photos of a split each model classifies correctly, by seed."""
    found: dict[str, dict[int, Correct]] = {}
    for (name, seed), table in tables.items():
        photos = table[table["split"] == split]
        correct = (photos["predicted"] == photos["label"]).to_numpy(dtype=bool)
        found.setdefault(name, {})[seed] = correct
    return found


def _standing(
    model: ScoredModel,
    test: Correct,
    validation: Mapping[int, Correct],
    repeats: Repeats | None,
    folds: int | None,
) -> Standing:
    repeated = repeats and next(m.interval for m in repeats.models if m.name == model.name)
    return Standing(
        name=model.name,
        seeds=len(test) if repeated else 1,
        validation=mean_accuracy(np.stack(list(validation.values()))),
        test=mean_accuracy(test),
        interval=repeated or model.test.accuracy_interval,
        folds=folds,
    )


def _check_same_photos(tables: "Mapping[tuple[str, int], pd.DataFrame]") -> None:
    names = list(tables)
    columns = ["split", "path", "label"]
    expected = tables[names[0]][columns].to_numpy().tolist()
    for name in names[1:]:
        if tables[name][columns].to_numpy().tolist() != expected:
            raise PhotosError(
                f"{name[0]} and {names[0][0]} were not evaluated on the same photos.",
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
