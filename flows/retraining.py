"""What a run does beside the first one: note what changed, and challenge the champion."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from prefect.context import FlowRunContext

from catdog.comparison.compare import Study
from catdog.photos.changes import Changes
from catdog.report.write import load_comparison
from catdog.runs import Run, changes_since_last_run
from catdog.settings import Promotion
from catdog.store.artifacts import Manifest, Report
from catdog.store.store import Store
from flows.workers.team import Job
from tasks.promote import promote
from tasks.shown import publish_changes

log = logging.getLogger("catdog.run")


def note_changes(manifest: Manifest, source: str, store: Store) -> Changes | None:
    """Tell in the log and the UI what became of the photos since the last run on this source."""
    changes = changes_since_last_run(manifest, source, store)
    if changes:
        log.info("Since run %s: %s", changes.since, changes.sentence)
        if changes.any:
            publish_changes(changes)
    return changes


def forget_models(jobs: Sequence[Job], store: Store) -> None:
    """Let the models be trained anew; what an earlier try of this flow run has trained stays."""
    asked = _due()
    for job in jobs:
        store.forget(job.recipe(store), before=asked)


def _due() -> datetime:
    """When this flow run was to start; the same for all its tries.

    A scheduled run was created weeks before: models that are younger than that may be old.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return (run and (run.expected_start_time or run.created)) or datetime.now(UTC)


def challenge(run: Run, report: Report, study: Study, promotion: Promotion) -> None:
    """Let the winner of the report, which was chosen on validation, challenge the champion."""
    winner = load_comparison(report).verdict.winner
    for result in study.results:
        if result.name == winner and result.model and result.predictions:
            promote(
                result.model,
                result.predictions,
                study.manifest,
                promotion,
                run=run.id,
                origin=run.source,
            )
            return
