"""The task that tells what came of the models."""

from prefect import task

from catdog.comparison.compare import Study
from catdog.report.write import write_report
from catdog.store.artifacts import Report
from tasks.caching import obtained


@task(name="report", task_run_name="report", persist_result=False)
def report(study: Study) -> Report:
    """Compare the models on the same photos and write the report's files."""
    return obtained(lambda store: write_report(study, store))
