"""The commands `catdog report` and `catdog compare`: past runs, without training anything."""

import os
import webbrowser
from pathlib import Path

from rich.console import Console

from catdog.comparison.pairing import RunComparison, compare_runs
from catdog.errors import CatdogError, StoreError
from catdog.history.runs import load_run, save_run, study_of
from catdog.report.write import write_report
from catdog.settings import Settings
from catdog.store.store import Store
from catdog.wording import counted, percent, span
from flows.cli.terminal import table


def render_report(name: str, home: Path, console: Console, *, show: bool) -> None:
    """Write a run's report again from what is stored, and open it when asked.

    In a home that is only read, it stays as it was. Raises StoreError when there is no such run, an
    artifact of it was pruned, or a setting of it is gone.
    """
    store = Store(home)
    run = load_run(name, store)
    page = run.folder / "report.html"
    try:
        save_run(run, write_report(study_of(run, store), store), store)
    except StoreError:
        if os.access(home, os.W_OK) or not page.is_file():
            raise
        console.print(f"{home} cannot be written: the report stays as it is.", soft_wrap=True)
    console.print(f"Report: {page}", soft_wrap=True)
    if show and not webbrowser.open(page.as_uri()):
        raise CatdogError("No browser was found.", f"Open {page} yourself.")


def print_comparison(first: str, second: str, home: Path, console: Console) -> None:
    """Compare two runs on the same test photos, or raise PhotosError that says why not."""
    store = Store(home)
    runs = [load_run(name, store) for name in (first, second)]
    files = [run.folder / "predictions.csv" for run in runs]
    for run, file in zip(runs, files, strict=True):
        if not file.is_file():
            raise StoreError(f"Run {run.id} has no predictions: every model failed.", "")
    margin = Settings.load().equivalence_margin
    names = (runs[0].id, runs[1].id)
    compared = compare_runs(files[0], files[1], names=names, margin=margin)
    _print(compared, console)


def _print(compared: RunComparison, console: Console) -> None:
    console.print(f"Accuracy on the same {counted(compared.photos, 'test photo')}")
    shown = table("run", "model", numbers=("trainings", "test accuracy", "95 % CI"))
    for score in compared.scores:
        low, high = score.interval.low, score.interval.high
        row = (str(score.seeds), percent(score.accuracy), span(low, high))
        shown.add_row(score.run, score.model, *row)
    console.print(shown)
    for pair in compared.pairs:
        console.print(pair.sentence, soft_wrap=True)
    console.print(compared.caveat, soft_wrap=True)
    for missing in (*compared.only_first, *compared.only_second):
        console.print(f"{missing} is in one run only and was not compared.")
