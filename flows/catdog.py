"""The flow `catdog`: photos in, models trained in parallel, a comparison out."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prefect import flow
from prefect.runtime import flow_run

from catdog.comparison.compare import ModelResult
from catdog.errors import TrainingError
from catdog.models import model_spec
from catdog.photos.changes import Changes
from catdog.progress import claim_progress, progress_folder, write_stage
from catdog.runs import Run, Score, run_id, runs_folder, same_run, save_run
from catdog.settings import (
    BatchSize,
    ClassMargin,
    DaskAddress,
    Duplicates,
    Epochs,
    Force,
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
from catdog.store.artifacts import Arrays, Manifest, Photos, Report
from catdog.store.store import Artifact, Store
from catdog.training.evaluate import accuracy
from flows.parameters import described
from flows.processes import end_with_runner
from flows.retraining import challenge, forget_models, note_changes
from flows.workers.choose import choose_workers
from flows.workers.team import Job, train_and_evaluate
from tasks.download import download
from tasks.live_table import live_table
from tasks.prefetch import prefetch
from tasks.report import publish, report
from tasks.shown import publish_lineage
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


@flow(
    name="catdog",
    description="Train image classifiers on labelled photos and compare them.",
    flow_run_name=_run_name,
    validate_parameters=True,
    persist_result=False,
    result_serializer="json",  # Prefect keeps the exception of a failed run nevertheless
)
@described
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
    force: Force = DEFAULT.force,
) -> Run:
    """Train image classifiers on labelled photos and compare them on photos unseen until then.

    The parameters are flat because that makes the best run form in the UI.
    """
    settings = Settings.load(**locals())
    end_with_runner()
    logging.getLogger("catdog").setLevel(logging.INFO)  # Prefect gives its handlers, not a level
    store = Store(settings.home)
    began = datetime.now(UTC).replace(microsecond=0)
    progress = progress_folder(store.home)
    claim_progress(progress)
    stage = partial(write_stage, progress)

    stage("Looking at the source")
    workers = choose_workers(settings, store, progress)
    photos = download(settings.source)
    stage(f"Checking and splitting {photos.count:,} photos")
    manifest = split(
        photos,
        seed=settings.seed,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        duplicates=settings.duplicates,
    )
    data = _describe(photos, manifest)
    log.info("%s", data)
    changes = note_changes(manifest, settings.asked()["source"], store)
    stage("Decoding and resizing the photos")
    arrays = prefetch(photos, manifest, image_size=settings.image_size)
    jobs = _jobs(settings, arrays)
    if settings.force:
        forget_models(jobs, store)
    stage("Training")
    with live_table(progress):
        results = train_and_evaluate(
            jobs,
            workers,
            store=store,
            progress_folder=progress,
        )
    stage("Writing the report")
    finished = _report(photos, manifest, arrays, results, settings, changes)
    made = _made([photos, manifest, arrays], results)
    run = _record(settings, store, began, made, results, data, changes)
    save_run(run, finished, store)
    publish_lineage(run, made)
    log.info("The report is in %s", run.folder)
    if run.unchanged_since:
        log.info("Nothing changed since run %s", run.unchanged_since)
    if finished and settings.promote:
        challenge(run, finished, manifest, results, class_margin=settings.class_margin)
    if run.failed:
        raise ModelsFailedError(run)
    return run


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
    pairs = "pair" if manifest.duplicates == 1 else "pairs"
    return (
        f"{photos.count:,} photos of {', '.join(manifest.classes)}: {splits}; "
        f"{manifest.rejected:,} set aside, {manifest.duplicates:,} {pairs} of copies"
    )


def _report(
    photos: Photos,
    manifest: Manifest,
    arrays: Arrays,
    results: list[ModelResult],
    settings: Settings,
    changes: Changes | None,
) -> Report | None:
    if not any(result.predictions for result in results):
        return None
    finished = report(
        photos,
        manifest,
        arrays,
        results,
        settings=settings.described(),
        changes=changes if changes and changes.any else None,
    )
    publish(finished)
    return finished


def _made(data: Sequence[Artifact], results: Sequence[ModelResult]) -> dict[str, Artifact]:
    made = {artifact.kind: artifact for artifact in data}
    for result in results:
        for artifact in (result.model, result.predictions):
            if artifact:
                made[f"{artifact.kind} {result.name} {result.seed}"] = artifact
    return made


def _record(
    settings: Settings,
    store: Store,
    began: datetime,
    made: Mapping[str, Artifact],
    results: Sequence[ModelResult],
    data: str,
    changes: Changes | None,
) -> Run:
    name = run_id(settings.source, began)
    keys = {label: artifact.key for label, artifact in made.items()}
    return Run(
        id=name,
        began=began,
        ended=datetime.now(UTC),
        settings=settings.asked(),
        scores=tuple(_score(result) for result in results),
        artifacts=keys,
        changes=changes.sentence if changes else "",
        data=data,
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
