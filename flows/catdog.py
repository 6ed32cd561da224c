"""The flow `catdog`: photos in, models trained in parallel, a comparison out."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from catdog.artifacts import Arrays, Manifest, Photos, Report
from catdog.comparison import ModelResult
from catdog.errors import SettingsError, TrainingError
from catdog.evaluation import accuracy
from catdog.machine import available_cores, visible_gpus
from catdog.models import model_spec
from catdog.progress import progress_folder, write_stage
from catdog.runs import Run, Score, run_id, runs_folder, same_run, save_run
from catdog.settings import (
    BatchSize,
    ClassMargin,
    DaskAddress,
    Duplicates,
    Epochs,
    ImageSize,
    Models,
    Parallel,
    Promote,
    Repeats,
    Runner,
    Seed,
    Settings,
    Source,
    TestShare,
    ValidationShare,
    WeightsChoice,
)
from catdog.store import Artifact, Store
from flows.parallel import Job, Workers, train_and_evaluate
from flows.process_runner import ProcessWorkers
from flows.processes import plan
from flows.retraining import challenge, note_changes
from tasks.download import download
from tasks.live_table import live_table
from tasks.prefetch import prefetch
from tasks.report import publish, report
from tasks.split import split
from tasks.weights import find_weights

log = logging.getLogger("catdog.run")

DEFAULT = Settings.model_construct()


class ModelsFailedError(TrainingError):
    """Some models failed; the run with the others' results is kept."""

    def __init__(self, run: Run) -> None:
        failed = run.failed
        super().__init__(
            f"{len(failed)} of {len(run.scores)} models failed: "
            + "; ".join(f"{score.name}: {score.error}" for score in failed)
        )
        self.run = run


def _run_name() -> str:
    return f"{Path(flow_run.parameters['source']).stem}-{datetime.now(UTC):%Y-%m-%d-%H%M%S}"


@flow(name="catdog", flow_run_name=_run_name, validate_parameters=True)
def catdog(
    source: Source = DEFAULT.source,
    models: Models = DEFAULT.models,
    epochs: Epochs = DEFAULT.epochs,
    seed: Seed = DEFAULT.seed,
    repeats: Repeats = DEFAULT.repeats,
    batch_size: BatchSize = DEFAULT.batch_size,
    image_size: ImageSize = DEFAULT.image_size,
    validation_share: ValidationShare = DEFAULT.validation_share,
    test_share: TestShare = DEFAULT.test_share,
    duplicates: Duplicates = DEFAULT.duplicates,
    weights: WeightsChoice = DEFAULT.weights,
    parallel: Parallel = DEFAULT.parallel,
    runner: Runner = DEFAULT.runner,
    dask_address: DaskAddress = DEFAULT.dask_address,
    promote: Promote = DEFAULT.promote,
    class_margin: ClassMargin = DEFAULT.class_margin,
) -> Run:
    """Train image classifiers on labelled photos and compare them on photos unseen until then.

    The parameters are flat because that makes the best run form in the UI.
    """
    settings = Settings.load(**locals())
    logging.getLogger("catdog").setLevel(logging.INFO)  # Prefect gives its handlers, not a level
    store = Store(settings.home)
    began = datetime.now(UTC).replace(microsecond=0)
    stage = partial(write_stage, progress_folder(store.home))

    stage("Looking at the source")
    workers = _workers(settings, store)
    photos = download(settings.source)
    stage(f"Checking and splitting {photos.count:,} photos")
    manifest = split(
        photos,
        seed=settings.seed,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        duplicates=settings.duplicates,
    )
    log.info("%s", _describe(photos, manifest))
    changes = note_changes(manifest, settings.source, store)
    stage("Decoding and resizing the photos")
    arrays = prefetch(photos, manifest, image_size=settings.image_size)
    stage("Training")
    with live_table(progress_folder(store.home)):
        results = train_and_evaluate(
            _jobs(settings, arrays),
            workers,
            store=store,
            progress_folder=progress_folder(store.home),
        )
    stage("Writing the report")
    finished = _report(photos, manifest, arrays, results, settings)
    run = _record(settings, store, began, [photos, manifest, arrays], results, changes)
    save_run(run, finished, store)
    log.info("The report is in %s", run.folder)
    if run.unchanged_since:
        log.info("Nothing changed since run %s", run.unchanged_since)
    if finished and settings.promote:
        challenge(run, finished, manifest, results, class_margin=settings.class_margin)
    if run.failed:
        raise ModelsFailedError(run)
    return run


def _workers(settings: Settings, store: Store) -> Workers:
    jobs = len(settings.models) * settings.repeats
    here = plan(jobs, parallel=settings.parallel, cores=available_cores(), gpus=len(visible_gpus()))
    if settings.runner == "process":
        return ProcessWorkers(here, store)
    try:
        from flows.dask_runner import local_workers, workers_at
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"runner: 'dask' needs the package {error.name}.",
            "Install it: pip install prefect-dask",
        ) from error
    if not settings.dask_address:
        return local_workers(here, store)
    return workers_at(
        settings.dask_address,
        most=min(jobs, settings.parallel or jobs),
        store=store,
        progress_folder=progress_folder(store.home),
    )


def _jobs(settings: Settings, arrays: Arrays) -> list[Job]:
    pretrained = any(model_spec(name).pretrained for name in settings.models)
    weights = find_weights(settings.weights) if pretrained else None
    if weights:
        log.info("%s", weights.note)
    return [
        Job(
            name=name,
            seed=settings.seed + repeat,
            arrays=arrays,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            weights=weights,
        )
        for repeat in range(settings.repeats)
        for name in settings.models
    ]


def _describe(photos: Photos, manifest: Manifest) -> str:
    splits = ", ".join(
        f"{sum(classes.values()):,} {split}" for split, classes in manifest.counts.items()
    )
    return (
        f"{photos.count:,} photos of {', '.join(manifest.classes)}: {splits}; "
        f"{manifest.rejected} unreadable, {manifest.duplicates} duplicates"
    )


def _report(
    photos: Photos,
    manifest: Manifest,
    arrays: Arrays,
    results: list[ModelResult],
    settings: Settings,
) -> Report | None:
    if not any(result.predictions for result in results):
        return None
    finished = report(photos, manifest, arrays, results, settings=settings.described())
    publish(finished)
    return finished


def _record(
    settings: Settings,
    store: Store,
    began: datetime,
    data: Sequence[Artifact],
    results: Sequence[ModelResult],
    changes: str,
) -> Run:
    made: dict[str, Artifact] = {artifact.kind: artifact for artifact in data}
    for result in results:
        for artifact in (result.model, result.predictions):
            if artifact:
                made[f"{artifact.kind} {result.name} {result.seed}"] = artifact
    name = run_id(settings.source, began)
    keys = {label: artifact.key for label, artifact in made.items()}
    return Run(
        id=name,
        began=began,
        ended=datetime.now(UTC),
        settings=settings.asked(),
        scores=tuple(_score(result) for result in results),
        artifacts=keys,
        changes=changes,
        unchanged_since=same_run(keys, store),
        reused=tuple(label for label, artifact in made.items() if artifact.created < began),
        folder=runs_folder(store) / name,
    )


def _score(result: ModelResult) -> Score:
    if not (result.model and result.predictions):
        return Score(name=result.name, seed=result.seed, error=result.error)
    return Score(
        name=result.name,
        seed=result.seed,
        validation_accuracy=accuracy(result.predictions, "validation"),
        test_accuracy=accuracy(result.predictions, "test"),
        seconds=result.model.seconds,
    )
