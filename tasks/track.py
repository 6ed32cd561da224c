"""The task that hands on what came of a run to the trackers that were asked for."""

from prefect import task

from catdog.comparison.compare import Study
from catdog.store.artifacts import Report
from catdog.tracking.follow import Tracking


@task(name="track", task_run_name="track", persist_result=False)
def track(tracking: Tracking, study: Study, report: Report | None) -> None:
    """Hand on numbers, models and report; a tracker that is away is told, and no more."""
    tracking.finish(study, report)
