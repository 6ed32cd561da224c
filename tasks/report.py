"""Compare the models and write the report."""

from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

import catdog.report.write as reports
from catdog.comparison.compare import ModelResult
from catdog.photos.changes import Changes
from catdog.report.render import comparison_table
from catdog.store.artifacts import Arrays, Manifest, Photos, Report
from tasks.caching import obtained


@task(name="report", task_run_name="report", persist_result=False)
def report(
    photos: Photos,
    manifest: Manifest,
    arrays: Arrays,
    results: list[ModelResult],
    *,
    settings: dict[str, Any],
    changes: Changes | None,
) -> Report:
    """Compare the models on the same photos and write the report's files."""
    return obtained(
        lambda store: reports.write_report(
            photos, manifest, arrays, results, settings=settings, changes=changes, store=store
        )
    )


def publish(report: Report) -> None:
    """Show a report in the Prefect UI: the comparison as a table, and all of it with pictures."""
    create_table_artifact(
        comparison_table(reports.load_comparison(report)),
        key="comparison",
        description="The models compared on the same test photos.",
    )
    create_markdown_artifact(
        report.file("report.md").read_text(encoding="utf-8"),
        key="report",
        description="The comparison report.",
    )
