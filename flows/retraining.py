"""What a run does beside the first one: note what changed, and challenge the champion."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from prefect.context import FlowRunContext

from catdog.comparison.compare import ModelResult
from catdog.photos.changes import Changes, compare_manifests
from catdog.report.write import load_comparison
from catdog.runs import Run, load_runs
from catdog.store.artifacts import Manifest, Report, TrainedModel
from catdog.store.store import Store
from catdog.training.train import model_key
from flows.workers.team import Job
from tasks.changes import publish_changes
from tasks.promote import promote

log = logging.getLogger("catdog.run")


def note_changes(manifest: Manifest, source: str, store: Store) -> Changes | None:
    """What became of the photos since the last run on this source: in the log and the UI.

    None when there was no such run, or its manifest is gone.
    """
    for run in reversed(load_runs(store)):
        if run.settings["source"] != source:
            continue
        if before := store.find(Manifest, run.artifacts["manifest"]):
            changes = compare_manifests(before, manifest, since=run.id)
            log.info("Since run %s: %s", run.id, changes.sentence)
            if changes.any:
                publish_changes(changes)
            return changes
    return None


def forget_models(jobs: Sequence[Job], store: Store) -> None:
    """Let the models be trained anew; what an earlier try of this flow run has trained stays."""
    asked = _due()
    for job in jobs:
        key = model_key(job.name, job.arrays, **job.training())
        store.forget(TrainedModel, key, before=asked)


def _due() -> datetime:
    """When this flow run was to start; the same for all its tries.

    A scheduled run was created weeks before: models that are younger than that may be old.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return (run and (run.expected_start_time or run.created)) or datetime.now(UTC)


def challenge(
    run: Run,
    report: Report,
    manifest: Manifest,
    results: Sequence[ModelResult],
    *,
    class_margin: float,
) -> None:
    """Let the winner of the report, which was chosen on validation, challenge the champion."""
    winner = load_comparison(report).verdict.winner
    for result in results:
        if result.name == winner and result.model and result.predictions:
            promote(
                result.model,
                result.predictions,
                manifest,
                run=run.id,
                origin=str(run.settings["source"]),
                class_margin=class_margin,
            )
            return
