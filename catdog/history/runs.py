"""The record of past runs: one folder a run, with its settings, its scores and its report."""

import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from catdog.addresses import short_name, without_secrets
from catdog.comparison.compare import Study
from catdog.comparison.design import Design, designed
from catdog.errors import SettingsError, StoreError, TrainingError
from catdog.history.sharing import RECORD, bring_records, bring_report, share_run
from catdog.machine import packages
from catdog.metric import Metric
from catdog.photos.changes import Changes, compare_manifests
from catdog.settings import Comparing, Settings, Share
from catdog.store.artifacts import (
    HELD_OUT,
    Arrays,
    Evidence,
    Manifest,
    ModelResult,
    Photos,
    Predictions,
    Report,
    TrainedModel,
    Trial,
    read_table,
)
from catdog.store.digest import KEY_LENGTH, code_digest
from catdog.store.files import MAKING, appearing, read_json, write_text, writing
from catdog.store.store import Artifact, Record, Store
from catdog.wording import classes_text, counted

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

COMPARISON = "comparison.json"
ASKED: Mapping[str, type | tuple[type, ...]] = {
    "source": str,
    "folds": (int, type(None)),
    "repeats": (int, type(None)),
}
"""What is read of a run's settings, of whatever version; the others may be those of another one."""
LONGEST_SECONDS = 1e9
"""Of a training: more than 30 years are none."""
DECISIVE = (
    "catdog.photos.split",
    "catdog.photos.prefetch",
    "catdog.training.train",
    "catdog.training.evaluate",
)
"""The modules that make, with all that they import, predictions from photos."""


A = TypeVar("A", bound=Artifact)


class Score(Record, Trial):
    """How one training of a run did; accuracies are shares of 1."""

    validation_accuracy: Share | None = None
    test_accuracy: Share | None = None
    validation_metric: Share | None = Field(None, exclude_if=lambda value: value is None)
    """By the metric of the run, as `test_metric`; None where that is the accuracy."""
    test_metric: Share | None = Field(None, exclude_if=lambda value: value is None)
    seconds: Annotated[float, Field(ge=0, le=LONGEST_SECONDS)] | None = None
    precision: str | None = None
    """In which its training computed, whatever was asked for. None before it was recorded."""
    error: str | None = None

    @property
    def validation(self) -> float:
        """What models are ranked by."""
        chosen = self.validation_metric
        return (self.validation_accuracy if chosen is None else chosen) or 0

    @property
    def test(self) -> float:
        """The same on the test photos."""
        return (self.test_accuracy if self.test_metric is None else self.test_metric) or 0


def _asked(settings: dict[str, Any]) -> dict[str, Any]:
    for name, kind in ASKED.items():
        if not isinstance(settings.get(name), kind):
            raise ValueError(f"no {name} that can be")
    return settings


class Run(Record):
    """One run of the flow."""

    id: str
    number: int = 0
    """Counts the runs of a home, which no clock can turn back; 0 before they were counted."""
    began: AwareDatetime
    ended: AwareDatetime
    settings: Annotated[dict[str, Any], AfterValidator(_asked)]
    scores: tuple[Score, ...]
    artifacts: dict[str, str]
    """The key of each artifact of the run by what it is: "photos", "arrays", "model transfer 1"."""
    contents: dict[str, str] = Field(default_factory=dict)
    """The digest of each artifact's files by the same names: a model that was trained again has
    the same key, but not the same files. Empty before it was recorded."""
    reused: tuple[str, ...] = ()
    """What was there already, by the same names."""
    data: str = ""
    """How many photos there were in each split, and how many could not be used."""
    changes: str = ""
    """What became of the photos since the last run on this source; empty when it was the first."""
    unchanged_since: str | None = None
    """An earlier run with the same photos, settings and code, which made the same artifacts."""
    tracked: tuple[str, ...] = ()
    """For each tracker, where it has the run, or what it lacks and why."""
    code: str = ""
    """Digest of the code that made predictions from photos. Empty before it was recorded."""
    packages: dict[str, str] = Field(default_factory=dict)
    """The versions of Python, catdog and what it needs. Empty before they were recorded."""
    folder: Path = Field(Path(), exclude=True)
    """Holds this record, and the report's files unless every model failed; in each home another."""

    @property
    def design(self) -> Design:
        """How its models were trained."""
        return designed(self.settings)

    @property
    def failed(self) -> tuple[Score, ...]:
        """The models that failed."""
        return tuple(score for score in self.scores if score.error)

    @property
    def source(self) -> str:
        """Where its photos came from, as the user named it, without what lets its owner in."""
        return without_secrets(str(self.settings["source"]))

    def finished(self, model: str | None = None) -> list[Score]:
        """The models that have scores, or those of one name; the best on validation first.

        The test photos are for judging, not for choosing.
        """
        found = [s for s in self.scores if not s.error and model in (None, s.name)]
        return sorted(found, key=lambda score: -score.validation)

    def winner(self) -> Score | None:
        """The first seed of the model that its report names as the winner; None without a report.

        This is the one that challenges the champion after the run. Raises as `reported`.
        """
        reported = self.reported()
        winner = reported.verdict.winner if reported else None
        return next(
            (score for score in self.scores if score.name == winner and not score.error), None
        )

    def reported(self) -> "Comparison | None":
        """What its report found; None without one. Raises StoreError when that is damaged."""
        file = self.folder / COMPARISON
        remedy = f"Write the report again: 'catdog report {self.id}'."
        return read_json(file, Comparison, remedy) if file.exists() else None

    def find(self, cls: type[A], store: Store, of: Score | None = None) -> A | None:
        """An artifact of the run, or of one of its models; None when it is no longer stored.

        What was made again under its key since, as `force` does, is not the run's.
        """
        what = label(cls, of)
        found = store.find(cls, self.artifacts[what]) if what in self.artifacts else None
        return found if found and self._has(what, found) else None

    def _has(self, what: str, found: Artifact) -> bool:
        if self.contents:
            return self.contents.get(what) == found.content
        return found.created <= self.ended  # all that a record of an earlier version tells

    def stored(self, cls: type[A], store: Store, of: Score | None = None) -> A:
        """As `find`, but raises StoreError when it is no longer stored."""
        if found := self.find(cls, store, of):
            return found
        raise StoreError(
            f"The {label(cls, of)} of run {self.id} is no longer stored, or was made again since.",
            f"Its first report is still in {self.folder}; the same 'catdog run' makes all again.",
        )


class Verdict(BaseModel):
    """What is read again of a comparison's verdict."""

    winner: str | None


class Compared(BaseModel):
    """What is read again of a model in a run's comparison."""

    facts: dict[str, Any]
    """Of its `model.json`."""


class Comparison(BaseModel):
    """What is read again of a run's comparison; a report has all of it."""

    verdict: Verdict
    changes: Changes | None = None
    models: tuple[Compared, ...] = ()
    digests: dict[str, str] = {}


class ModelsFailedError(TrainingError):
    """Some models failed; the run with the others' results is kept."""

    def __init__(self, run: Run) -> None:
        failed = run.failed
        super().__init__(
            f"{len(failed)} of {len(run.scores)} models failed: "
            + "; ".join(f"{score.name}: {score.error}" for score in failed)
        )
        self.run = run


def label(cls: type[Artifact], of: Score | ModelResult | None = None) -> str:
    """What an artifact is called in a run's record: "arrays", "model transfer 42"."""
    return f"{cls.kind} {of.name} {of.seed}" if of else cls.kind


def artifacts_of(study: Study) -> dict[str, Artifact]:
    """Everything that was made for a run, by its label."""
    made: dict[str, Artifact] = {
        label(type(part)): part for part in (study.photos, study.manifest, study.arrays)
    }
    for result in study.results:
        for artifact in (result.model, result.predictions):
            if artifact:
                made[label(type(artifact), result)] = artifact
    return made


def make_record(
    study: Study,
    settings: Settings,
    store: Store,
    *,
    began: datetime,
    found: int,
    changes: Changes | None,
) -> Run:
    """The record of a run that has just ended; nothing is written yet.

    found: the store's count when the run began; what has no greater number was reused.
    changes: what became of the photos since the last run on this source; None for the first.
    """
    name = run_id(settings.source, began)
    made = artifacts_of(study)
    keys = {what: artifact.key for what, artifact in made.items()}
    return Run(
        id=name,
        began=began,
        ended=datetime.now(UTC),
        settings=settings.asked(),
        scores=tuple(_score(each, Metric(settings.metric)) for each in study.results),
        artifacts=keys,
        contents={what: artifact.content for what, artifact in made.items()},
        changes=changes.sentence if changes else "",
        data=describe_photos(study.photos, study.manifest, study.design),
        unchanged_since=same_run(keys, store),
        reused=tuple(what for what, artifact in made.items() if artifact.number <= found),
        code=code(),
        packages=packages(),
        folder=runs_folder(store) / name,
    )


def code() -> str:
    """Digest of the code of catdog that makes predictions from photos."""
    return code_digest(*DECISIVE)[:KEY_LENGTH]


def describe_photos(photos: Photos, manifest: Manifest, design: Design) -> str:
    """How many photos each part has, and how many cannot be used."""
    counts = {split: sum(classes.values()) for split, classes in manifest.counts.items()}
    return (
        f"{counted(photos.count, 'photo')} of {classes_text(manifest.classes)}: "
        f"{design.divided(counts)}; "
        f"{counted(manifest.rejected, 'excluded file')}, "
        f"{counted(manifest.duplicates, 'near-duplicate pair')}"
    )


def _score(result: ModelResult, metric: Metric) -> Score:
    if not (result.model and result.predictions):
        return Score(**result.identity(), error=result.error)
    table = result.predictions.table()
    validation, test = (
        None if metric.default else metric.of_table(table[table["split"] == split])
        for split in HELD_OUT
    )
    return Score(
        **result.identity(),
        validation_accuracy=result.predictions.accuracy("validation"),
        test_accuracy=result.predictions.accuracy("test"),
        seconds=result.model.seconds,
        precision=result.model.facts().get("precision"),
        validation_metric=validation,
        test_metric=test,
    )


def study_of(run: Run, store: Store) -> Study:
    """Everything that a past run's report was made from.

    Raises StoreError when an artifact was pruned, or a setting of the run is gone.
    """
    try:
        settings = Settings.of(run.settings)
    except SettingsError as error:
        raise StoreError(
            f"Run {run.id} was made by another version of catdog ({error.problem.rstrip('.')}).",
            f"Its first report is still in {run.folder}.",
        ) from error
    results = [_result(score, run, store) for score in run.scores]
    evidence = (Evidence.of(each.predictions, store) for each in results if each.predictions)
    return Study(
        run.stored(Photos, store),
        run.stored(Manifest, store),
        run.stored(Arrays, store),
        results,
        settings=settings.described(),
        changes=_changes(run),
        comparing=settings.group(Comparing),
        evidence=[each for each in evidence if each],
    )


def _result(score: Score, run: Run, store: Store) -> ModelResult:
    if score.error:
        return ModelResult(**score.identity(), error=score.error)
    return ModelResult(
        **score.identity(),
        model=run.stored(TrainedModel, store, score),
        predictions=run.stored(Predictions, store, score),
    )


def _changes(run: Run) -> Changes | None:
    """What a run's report told of its photos; a damaged one is passed over, to be written again."""
    try:
        reported = run.reported()
    except StoreError as error:
        log.warning("%s What changed before this run is left out.", error.problem)
        return None
    return reported.changes if reported else None


def predictions_of(run: Run) -> Path:
    """The predictions.csv of a run's report. Raises StoreError where there is no whole one."""
    file, remedy = run.folder / "predictions.csv", f"Write it again: 'catdog report {run.id}'."
    if not file.is_file():
        raise StoreError(f"Run {run.id} has no predictions: every model failed.", "")
    try:
        table = read_table(file)
    except StoreError as error:
        raise StoreError(error.problem, remedy) from error
    if not _compares(table):
        raise StoreError(f"{file} does not hold one test set and each model's predictions.", remedy)
    return file


def _compares(table: "pd.DataFrame") -> bool:
    """Whether each model has predicted the same test photos, once or by each seed."""
    if not {"model", "seed", "split", "path", "label", "predicted"} <= set(table.columns):
        return False
    of_model = [rows for _, rows in table[table["split"] == "test"].groupby("model")]
    photos = {frozenset(zip(rows["path"], rows["label"], strict=True)) for rows in of_model}
    times = (rows["path"].value_counts() for rows in of_model)
    return len(photos) == 1 and all(
        set(seen) in ({1}, {rows["seed"].nunique()}) and not rows.duplicated(["seed", "path"]).any()
        for seen, rows in zip(times, of_model, strict=True)
    )


def changes_since_last_run(manifest: Manifest, source: str, store: Store) -> Changes | None:
    """What became of the photos since the last run on a source, as it is named in records.

    None when there was no such run, or its manifest is gone.
    """
    for run in reversed(load_runs(store)):
        if run.source == source and (before := run.find(Manifest, store)):
            return compare_manifests(before, manifest, since=run.id)
    return None


def run_id(source: str, began: datetime) -> str:
    """A name for a run that tells when it began and what it was made from."""
    return f"{began:%Y%m%d-%H%M%S}-{named_after(source)}-{os.getpid()}"


def named_after(source: str) -> str:
    """A source in one short word, of letters, digits, underscores and hyphens."""
    words = re.sub(r"[^\w]+", "-", short_name(source)).strip("-").lower() or "photos"
    return words[:32]


def save_run(run: Run, report: Report | None, store: Store) -> Run:
    """Write a run's folder, or write it again: its record and a copy of its report.

    It appears whole or not at all. A new one gets the next number.
    """
    with store.lock("runs"), writing(store.home):
        past = load_runs(store)
        run = _apart(run, past)
        store.hold(f"runs-{run.id}")
        if not run.folder.exists():
            last = max((each.number for each in past), default=0)
            run = run.model_copy(update={"number": last + 1})
        making = run.folder.with_name(f"{MAKING}{run.id}")
        with appearing(run.folder, making):
            if report:
                ignored = shutil.ignore_patterns("entry.json")
                shutil.copytree(report.path, making, dirs_exist_ok=True, ignore=ignored)
            write_text(making / RECORD, run.model_dump_json(indent=2) + "\n")
    name = share_run(run.id, store)
    return run.model_copy(update={"id": name, "folder": run.folder.with_name(name)})


def _apart(run: Run, past: Sequence[Run]) -> Run:
    """The run by a name of its own: clocks that are set back, and process numbers, come again."""
    ended = {each.id: each.ended for each in past}
    names = (run.id, *(f"{run.id}-{number}" for number in range(2, len(past) + 3)))
    name = next(name for name in names if ended.get(name, run.ended) == run.ended)
    return run.model_copy(update={"id": name, "folder": run.folder.with_name(name)})


def runs_folder(store: Store) -> Path:
    """Where the folders of past runs are."""
    return store.home / "runs"


def load_runs(store: Store) -> list[Run]:
    """All runs, the newest last; a record that cannot be read is left out, and said so.

    Those of an earlier version, which are not numbered, come first, in the order of their clock.
    Of a run of another home, the record is brought here, and its report with `load_run`.
    """
    bring_records(store)
    records = runs_folder(store).glob(f"[!.]*/{RECORD}")
    runs = [run for record in records if (run := _read(record))]
    return sorted(runs, key=lambda run: (run.number, run.id))


def _read(record: Path) -> Run | None:
    try:
        run = read_json(record, Run, "")
    except StoreError as error:
        log.warning("%s This run is left out: restore the file from a backup.", error.problem)
        return None
    return run.model_copy(update={"folder": record.parent})  # its home may have been moved


def same_run(artifacts: Mapping[str, str], store: Store) -> str | None:
    """The newest run that ended with these very artifacts, by name and key; None without one."""
    past = reversed(load_runs(store))
    return next((run.id for run in past if run.artifacts == artifacts and not run.failed), None)


def load_run(name: str, store: Store) -> Run:
    """The run with this id, or the newest for "latest". Raises StoreError."""
    runs = {run.id: run for run in load_runs(store)}
    if not runs:
        raise StoreError(f"There are no runs in {runs_folder(store)}.", "Start one: 'catdog run'.")
    name = list(runs)[-1] if name == "latest" else name
    if name not in runs:
        raise StoreError(
            f"There is no run '{name}'.", f"Newest: {list(runs)[-1]}; see 'catdog runs'."
        )
    bring_report(runs[name].folder, store)
    return runs[name]
