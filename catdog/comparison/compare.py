"""The comparison of all models: every number of the report, derived from stored predictions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from catdog.comparison.metrics import Metrics, Record, measure
from catdog.comparison.mistakes import (
    DoubtedLabel,
    JudgedPhoto,
    doubted_labels,
    good_models,
    least_certain,
    worst_errors,
)
from catdog.comparison.published import Published, published_results
from catdog.comparison.repeats import Repeats, summarise_repeats
from catdog.comparison.significance import (
    PairTest,
    SmallestDifference,
    compare_pairs,
    smallest_difference,
)
from catdog.comparison.tables import class_names, indices, probabilities, read_facts, read_table
from catdog.comparison.verdict import Contender, Verdict, decide
from catdog.errors import PhotosError, TrainingError
from catdog.photos.changes import Changes
from catdog.photos.quality import DataQuality, data_quality
from catdog.store.artifacts import Arrays, Manifest, Photos, Predictions, TrainedModel
from catdog.wording import listing

if TYPE_CHECKING:
    import pandas as pd

TABLE = "predictions.csv"
HELD_OUT = ("validation", "test")


class ModelResult(BaseModel):
    """What came of training and evaluating one model with one seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seed: int
    model: TrainedModel | None = None
    predictions: Predictions | None = None
    error: str | None = None
    """Why there is no model or there are no predictions."""


class Scorable(NamedTuple):
    """A result that has everything."""

    model: TrainedModel
    predictions: Predictions


class Epoch(Record):
    """One line of a model's history."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


class ScoredModel(Record):
    """One trained model: how good, on which photos, at what cost."""

    name: str
    seed: int
    epochs: int
    best: Epoch
    """The epoch whose weights were scored: chosen on validation."""
    last: Epoch
    validation: Metrics
    test: Metrics
    seconds: float
    """Wall seconds of training."""
    seconds_per_1000: float
    """Wall seconds to predict 1,000 photos."""
    parameters: int
    trainable_parameters: int
    file_bytes: int
    peak_memory_bytes: int
    facts: dict[str, Any]
    """The model's `model.json`: settings, versions, machine, weights."""


class FailedModel(Record):
    """A model that gave no predictions, and why."""

    name: str
    seed: int
    error: str


class Comparison(Record):
    """All that the report says. Metrics are those of the first seed of each model."""

    origin: str
    note: str
    """What is to be known about the source; empty when all is as asked."""
    classes: tuple[str, ...]
    guessing: float
    """Accuracy on test of always naming its largest class."""
    verdict: Verdict
    models: tuple[ScoredModel, ...]
    failed: tuple[FailedModel, ...]
    pairs: tuple[PairTest, ...]
    """On test, one a pair of models; those of the winner first."""
    smallest: SmallestDifference
    repeats: Repeats | None
    worst: tuple[JudgedPhoto, ...]
    """The winner's worst errors on test."""
    uncertain: tuple[JudgedPhoto, ...]
    """The winner's least certain photos of test."""
    good: tuple[str, ...]
    """The models that the doubted labels rest on; none where no model is good enough."""
    doubted: tuple[DoubtedLabel, ...]
    quality: DataQuality
    changes: Changes | None = None
    """What became of the photos since an earlier run; None where nothing did."""
    published: tuple[Published, ...]
    digests: dict[str, str]
    settings: dict[str, Any]
    """How the run was asked for; `command` is the line that repeats it."""

    def model(self, name: str) -> ScoredModel:
        """The scored model of this name."""
        return next(model for model in self.models if model.name == name)

    @property
    def failures(self) -> str:
        """The models that failed, with their seeds, in words."""
        return listing(f"{model.name} (seed {model.seed})" for model in self.failed)

    @property
    def winner(self) -> ScoredModel:
        """The model that the verdict names."""
        return self.model(self.verdict.winner)


def compare(
    photos: Photos,
    manifest: Manifest,
    arrays: Arrays,
    results: Sequence[ModelResult],
    *,
    settings: Mapping[str, Any],
    changes: Changes | None = None,
) -> Comparison:
    """Compare all results; where a model has several seeds, its first stands for it in the tests.

    Raises TrainingError when no model gave predictions, and PhotosError when the predictions are
    not of the same photos.
    """
    done = [
        Scorable(result.model, result.predictions)
        for result in results
        if result.model and result.predictions
    ]
    if not done:
        reasons = "; ".join(f"{result.name}: {result.error}" for result in results)
        raise TrainingError(f"No model gave predictions ({reasons}).", "See the log of the run.")
    first = {result.model.name: result for result in reversed(done)}
    names = list(dict.fromkeys(result.model.name for result in done))
    tables = {name: read_table(first[name].predictions.file(TABLE)) for name in names}
    _check_same_photos(tables)
    models = tuple(_scored(first[name], tables[name]) for name in names)
    test = {name: table[table["split"] == "test"] for name, table in tables.items()}
    pairs = compare_pairs(
        {name: (t["predicted"] == t["label"]).to_numpy(dtype=bool) for name, t in test.items()}
    )
    largest = max(scores.n for scores in models[0].test.classes)
    guessing = largest / models[0].test.n
    verdict = decide([_contender(model) for model in models], pairs, guessing=guessing)
    good = good_models({model.name: model.validation.accuracy for model in models})
    return Comparison(
        origin=photos.origin,
        note=photos.note,
        classes=arrays.classes,
        guessing=guessing,
        verdict=verdict,
        models=models,
        failed=tuple(
            FailedModel(name=r.name, seed=r.seed, error=r.error or "no reason was recorded")
            for r in results
            if not (r.model and r.predictions)
        ),
        pairs=tuple(
            sorted(pairs, key=lambda pair: verdict.winner not in (pair.first, pair.second))
        ),
        smallest=smallest_difference(models[0].test.n, len(pairs)),
        repeats=summarise_repeats([(r.model.name, r.model.seed, _test_accuracy(r)) for r in done]),
        worst=worst_errors(test[verdict.winner]),
        uncertain=least_certain(test[verdict.winner]),
        good=good,
        doubted=doubted_labels([tables[name] for name in good]),
        quality=data_quality(manifest),
        changes=changes,
        published=published_results(manifest),
        digests=_digests(photos, manifest, arrays, done),
        settings=dict(settings),
    )


def score(table: "pd.DataFrame") -> Metrics:
    """The metrics of a table of predictions of one model on one split."""
    classes = class_names(table)
    return measure(indices(table["label"], classes), probabilities(table, classes), classes)


def _test_accuracy(result: Scorable) -> float:
    table = read_table(result.predictions.file(TABLE))
    test = table[table["split"] == "test"]
    return float((test["predicted"] == test["label"]).mean())


def _check_same_photos(tables: "Mapping[str, pd.DataFrame]") -> None:
    names = list(tables)
    columns = ["split", "path", "label"]
    expected = tables[names[0]][columns].to_numpy().tolist()
    for name in names[1:]:
        if tables[name][columns].to_numpy().tolist() != expected:
            raise PhotosError(
                f"{name} and {names[0]} were not evaluated on the same photos.",
                "Run both again with the same source and seed.",
            )


def _scored(result: Scorable, table: "pd.DataFrame") -> ScoredModel:
    model = result.model
    history = read_table(model.file("history.csv")).set_index("epoch", drop=False)
    fields = list(Epoch.model_fields)
    validation, test = (score(table[table["split"] == split]) for split in HELD_OUT)
    return ScoredModel(
        name=model.name,
        seed=model.seed,
        epochs=model.epochs,
        best=Epoch.model_validate(history.loc[model.best_epoch, fields].to_dict()),
        last=Epoch.model_validate(history.iloc[-1][fields].to_dict()),
        validation=validation,
        test=test,
        seconds=model.seconds,
        seconds_per_1000=result.predictions.seconds_per_1000,
        parameters=model.parameters,
        trainable_parameters=model.trainable_parameters,
        file_bytes=model.file_bytes,
        peak_memory_bytes=model.peak_memory_bytes,
        facts=read_facts(model.file("model.json")),
    )


def _contender(model: ScoredModel) -> Contender:
    return Contender(
        name=model.name,
        validation_accuracy=model.validation.accuracy,
        validation_loss=model.validation.log_loss,
        test=model.test,
        parameters=model.parameters,
        seconds=model.seconds,
        seconds_per_1000=model.seconds_per_1000,
        file_bytes=model.file_bytes,
    )


def _digests(
    photos: Photos, manifest: Manifest, arrays: Arrays, done: Sequence[Scorable]
) -> dict[str, str]:
    digests = {"photos": photos.inventory}
    if photos.archive_sha256:
        digests["archive (SHA-256)"] = photos.archive_sha256
    digests |= {"manifest": manifest.content, "arrays": arrays.content}
    for model, predictions in done:
        digests[f"model {model.name}, seed {model.seed}"] = model.content
        digests[f"predictions {model.name}, seed {model.seed}"] = predictions.content
    return digests
