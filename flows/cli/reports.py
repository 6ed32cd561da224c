"""The commands `catdog report` and `catdog compare`: past runs, without training anything."""

import os
import webbrowser
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from catdog.comparison.pairing import RunComparison, compare_runs
from catdog.errors import CatdogError, StoreError
from catdog.history.reproduction import differences
from catdog.history.runs import Run, load_run, predictions_of, save_run, study_of
from catdog.metric import ACCURACY, Metric
from catdog.report.write import write_report
from catdog.settings import Settings
from catdog.store.store import Store
from catdog.wording import counted, escaped, percent, span
from flows.cli.terminal import Home, Switch, out, say, table, use
from flows.parameters import as_typed


def report(
    name: str = "latest",
    /,
    *,
    show: Annotated[Switch, Parameter(name="--open", help="Open it in the browser.")] = False,
    home: Home = None,
) -> None:
    """Write a past run's report again from what is stored, without training.

    Parameters
    ----------
    name
        A run of 'catdog runs', or 'latest'.
    """
    page = write_again(name, use(home))
    say(f"Report: {page}")
    if show and not webbrowser.open(page.as_uri()):
        raise CatdogError("No browser was found.", f"Open {page} yourself.")


def write_again(name: str, home: Path) -> Path:
    """Write a run's report again from what is stored, and give its page.

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
        say(f"{home} cannot be written: the report stays as it is.")
    return page


def compare(first: str, second: str, /, *, home: Home = None) -> None:
    """Compare two past runs on the same test photos, or say why they cannot be paired.

    Parameters
    ----------
    first
        A run of 'catdog runs'.
    second
        Another one, or 'latest'.
    """
    store = Store(use(home))
    runs = [load_run(name, store) for name in (first, second)]
    files = [predictions_of(run) for run in runs]
    names = (runs[0].id, runs[1].id)
    settings = Settings.load()
    asked = {str(run.settings.get("metric", ACCURACY)) for run in runs}
    metric = Metric(asked.pop() if len(asked) == 1 else settings.metric)
    margin = settings.equivalence_margin
    _print(compare_runs(*files, names=names, margin=margin, metric=metric), metric)
    _print_settings(*runs)


def _print_settings(first: Run, second: Run) -> None:
    """Print the settings that differ; one that a run did not know yet was as by default."""
    default = Settings.of({}).asked()
    then, now = (
        {name: as_typed(value) or "none" for name, value in (default | run.settings).items()}
        for run in (first, second)
    )
    if found := list(differences(then, now)):
        shown = table("setting", first.id, second.id)
        for each in found:
            shown.add_row(*map(escaped, each))
        out.print(shown)
    else:
        say("Both runs have the same settings.")


def _print(compared: RunComparison, metric: Metric) -> None:
    say(f"{metric.title} on the same {counted(compared.photos, 'test photo')}")
    shown = table("run", "model", numbers=("trainings", f"test {metric.label}", "95 % CI"))
    for score in compared.scores:
        interval = span(score.interval.low, score.interval.high)
        row = (score.run, score.model, str(score.trainings), percent(score.accuracy), interval)
        shown.add_row(*row)
    out.print(shown)
    for pair in compared.pairs:
        say(pair.sentence)
    say(compared.caveat)
    for missing in compared.unpaired:
        say(f"{missing} is in one run only and was not compared.")
