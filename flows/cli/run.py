"""Start the flow from the command line, with a server to report to and a view to watch."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

from rich.console import Console
from rich.table import Table

from catdog.progress import progress_folder, write_stage
from catdog.runs import Run
from catdog.settings import Settings
from catdog.sources.download import require_source
from catdog.store.store import writing
from catdog.wording import percent
from flows.cli.champion import print_decision
from flows.cli.live import duration, live_view
from flows.server import prefect_server

PREFECT_ENVIRONMENT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "catdog",
}
"""No call home, and our own log in the UI."""


def run_flow(settings: Settings, console: Console) -> None:
    """Run the flow `catdog`, show its progress, and print the comparison.

    Raises the flow's own error when it fails; a run in which only some models failed is printed
    first.
    """
    require_source(settings.source)
    for name, value in PREFECT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    folder = progress_folder(settings.home)
    with writing(settings.home):
        write_stage(folder, "Starting the Prefect server")
    try:
        with ExitStack() as stack:
            stack.enter_context(live_view(folder, console))
            stack.enter_context(prefect_server(settings.home))
            run = _call(settings)
    except Exception as error:
        if isinstance(failed := getattr(error, "run", None), Run):
            print_run(failed, console)
            print_decision(failed, settings.home)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_run(run, console)
    print_decision(run, settings.home)


def _call(settings: Settings) -> Run:
    from flows.catdog import catdog

    run: Run = catdog(**settings.model_dump(exclude={"home"}))
    return run


def print_run(run: Run, console: Console) -> None:
    """Print a run's comparison table, what was reused, and where its report is."""
    console.print(f"Comparison on {run.settings['source']}", soft_wrap=True)
    console.print(_scores(run))
    for line in _remarks(run):
        console.print(line)
    page = run.folder / "report.html"
    if page.is_file():  # not when every model failed
        console.print(f"Report: {page}", soft_wrap=True)


def _scores(run: Run) -> Table:
    table = Table()
    table.add_column("model")
    for heading in ("seed", "validation", "test", "training"):
        table.add_column(heading, justify="right")
    for score in run.scores:
        if score.error:
            table.add_row(score.name, str(score.seed), "failed", "", "", style="red")
        else:
            table.add_row(
                score.name,
                str(score.seed),
                percent(score.validation_accuracy or 0),
                percent(score.test_accuracy or 0),
                duration(score.seconds),
            )
    return table


def _remarks(run: Run) -> Iterator[str]:
    if run.data:
        yield f"{run.data}."
    if run.changes:
        yield run.changes
    if run.unchanged_since:
        yield f"Nothing changed since run {run.unchanged_since}."
    if run.reused:
        yield f"Reused: {', '.join(run.reused)}."
    yield f"Took {duration((run.ended - run.began).total_seconds())}."
