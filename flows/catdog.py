"""The flow `catdog`: photos in, models trained in parallel, a comparison out."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from threading import Thread

from prefect import flow
from prefect.runtime import flow_run

from catdog.addresses import short_name
from catdog.comparison.compare import Study
from catdog.comparison.design import designed
from catdog.history.runs import (
    ModelsFailedError,
    Run,
    artifacts_of,
    describe_photos,
    make_record,
    run_id,
    save_run,
)
from catdog.metric import Metric
from catdog.models import model_spec
from catdog.references import absolute
from catdog.report.write import prepare
from catdog.settings import Comparing, Cut, Decoding, Folding, Settings, Training
from catdog.store.artifacts import HELD_OUT, Arrays
from catdog.store.store import Store
from catdog.tracking.choose import choose_tracking, require_trackers
from catdog.training.progress import claim_progress, progress_folder, write_stage
from flows.parameters import run_form
from flows.processes import end_with_runner, started_by_runner
from flows.retraining import challenge, forget_models, note_changes
from flows.workers.choose import choose_workers
from flows.workers.team import Job, train_and_evaluate
from tasks.download import download
from tasks.evidence import evidence
from tasks.live_table import live_table
from tasks.prefetch import prefetch
from tasks.report import report
from tasks.shown import publish_lineage, publish_report
from tasks.split import split
from tasks.track import track
from tasks.weights import find_weights

log = logging.getLogger("catdog.run")


def _run_name() -> str:
    return f"{short_name(flow_run.parameters['source'])}-{datetime.now(UTC):%Y-%m-%d-%H%M%S}"


@flow(
    name="catdog",
    description="Train image classifiers on labelled photos and compare them.",
    flow_run_name=_run_name,
    validate_parameters=True,
    persist_result=False,
    result_serializer="json",  # Prefect keeps the exception of a failed run nevertheless
)
@run_form
def catdog(settings: Settings) -> Run:
    """Train image classifiers on labelled photos and compare them on photos unseen until then."""
    end_with_runner()
    logging.getLogger("catdog").setLevel(logging.INFO)  # Prefect gives its handlers, not a level
    store = Store(settings.home)
    began = datetime.now(UTC).replace(microsecond=0)
    found = store.count()
    progress = progress_folder(store.home)
    claim_progress(progress)
    stage = partial(write_stage, progress)

    stage("Looking at the source")
    require_trackers(settings)
    _require_models(settings)
    workers = choose_workers(settings, store, progress)
    photos = download(settings.source)
    stage(f"Checking and splitting {photos.count:,} photos")
    manifest = split(photos, settings.group(Cut), settings.folds)
    design = designed(settings.asked())
    Metric(settings.metric).require_photos(manifest.counts, () if settings.folds else HELD_OUT)
    log.info("%s", describe_photos(photos, manifest, design))
    changes = note_changes(manifest, settings.asked()["source"], store)
    stage("Decoding and resizing the photos")
    arrays = prefetch(photos, manifest, settings.group(Decoding), settings.group(Folding))
    jobs = _jobs(settings, arrays)
    if settings.force:
        forget_models(jobs, store)
    followed = [job.followed(store) for job in jobs]
    tracking = choose_tracking(settings, run_id(settings.source, began), followed, store)
    stage("Training")
    Thread(target=prepare, name="prepare-report", daemon=True).start()
    with tracking.following(), live_table(progress):
        results = train_and_evaluate(jobs, workers, store=store, progress_folder=progress)
    stage("Writing the report")
    news = changes if changes and changes.any else None
    comparing = settings.group(Comparing)
    study = Study(photos, manifest, arrays, results, settings.described(), news, comparing)
    known = [evidence(*each, arrays, manifest) for each in study.leaders]
    study = replace(study, evidence=[each for each in known if each])
    written = report(study) if study.compared else None
    if written:
        publish_report(written)
    if tracking.trackers:
        track(tracking, study, written)
    record = make_record(study, settings, store, began=began, found=found, changes=changes)
    run = save_run(record.model_copy(update={"tracked": tracking.notes}), written, store)
    publish_lineage(run, artifacts_of(study))
    log.info("The report is in %s", run.folder)
    if run.unchanged_since:
        log.info("Nothing changed since run %s", run.unchanged_since)
    if not design.usable:
        log.info("A cross-validation has no model that could become champion")
    elif written and settings.promote:
        challenge(run, written, study, settings)
    if run.failed:
        raise ModelsFailedError(run)
    return run


def _require_models(settings: Settings) -> None:
    """Raise SettingsError for a model that is not there, or is not to be run for others."""
    if started_by_runner():
        settings.require_allowed_code()
    for model in settings.models:
        model_spec(model)


def _jobs(settings: Settings, arrays: Arrays) -> list[Job]:
    pretrained = any(model_spec(model).pretrained for model in settings.models)
    weights = find_weights(settings.weights, settings.backbone) if pretrained else None
    if weights:
        log.info("%s", weights.note)
    training = settings.group(Training)
    return [
        Job(
            model=absolute(model),
            arrays=arrays.turn(number),
            training=training.model_copy(update={"seed": training.seed + number}),
            weights=weights if model_spec(model).pretrained else None,
        )
        for number in range(settings.trainings)
        for model in settings.models
    ]
