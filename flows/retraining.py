"""What every run but the first one does: note what changed, and challenge the champion."""

import logging
from collections.abc import Sequence

from prefect.runtime import flow_run

from catdog.comparison.compare import Study
from catdog.history.runs import Run, changes_since_last_run
from catdog.photos.changes import Changes
from catdog.report.write import load_comparison
from catdog.settings import Promotion, Settings
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
    """Let the models be trained again; what an earlier try of this flow run has trained stays."""
    first_try = store.count_at(flow_run.id)
    for job in jobs:
        store.forget(job.recipe(store), up_to=first_try)


def challenge(run: Run, report: Report, study: Study, settings: Settings) -> None:
    """Let the winner of the report, which was chosen on validation, challenge the champion."""
    winner = load_comparison(report).verdict.winner
    for result in study.results:
        if result.name == winner and result.model and result.predictions:
            made = (result.model, result.predictions, study.manifest)
            promotion = settings.group(Promotion)
            promote(*made, promotion, run=run.id, origin=run.source, task=settings.task)
            return
