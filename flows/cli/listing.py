"""The commands that list: `catdog models` and `catdog runs`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean

from rich.table import Table

from catdog.history.runs import Run, Score, load_run, load_runs
from catdog.models import MODELS
from catdog.references import FORMS, distribution_of, plugins
from catdog.store.store import Store
from catdog.wording import clock, percent
from flows.cli.terminal import Home, out, say, table, use
from flows.parameters import as_typed


def models() -> None:
    """List the models with their parameters, and where they come from."""
    shown = table("name", "what it is", "from", numbers=("parameters", "trainable"))
    for spec in MODELS.values():
        counts = (f"{spec.parameters:,}", f"{spec.trainable_parameters:,}")
        shown.add_row(spec.name, spec.title, "catdog", *counts)
    for name, points in plugins().items():
        alone = name not in MODELS and len(points) == 1
        for point in points:
            shown.add_row(name if alone else point.value, point.value, distribution_of(point))
    say("Models (two classes, 160 x 160)")
    out.print(shown)
    say(f"Your own: catdog run --models {FORMS}")


def runs(run: str | None = None, /, *, home: Home = None) -> None:
    """List past runs, each with its best model, or show one with all of its models.

    Parameters
    ----------
    run
        The name of a run, or 'latest'. [default: all]
    """
    store = Store(use(home))
    if run:
        _show(load_run(run, store))
    else:
        _list(load_runs(store))


def _list(runs: Sequence[Run]) -> None:
    """A line a run, the newest last: one copies names of runs into the next command."""
    if not runs:
        say("No runs yet. Start one: catdog run")
        return
    width = max(len(run.id) for run in runs)
    for run in runs:
        say(f"{run.id:<{width}}  {_best(run)}")


def _best(run: Run) -> str:
    """The best model on validation with its test accuracy, as the design has it."""
    by_name: defaultdict[str, list[Score]] = defaultdict(list)
    for score in run.scores:
        by_name[score.name].append(score)
    whole = [found for found in by_name.values() if not any(score.error for score in found)]
    failed = f", {len(by_name) - len(whole)} failed" if len(whole) < len(by_name) else ""
    if not whole:
        return "no model: all failed"
    best = max(whole, key=lambda found: fmean(s.validation for s in found))
    test = fmean(s.test for s in run.design.standing_for(best))
    return f"{best[0].name}, {percent(test)} {run.design.over}{failed}"


def _show(run: Run) -> None:
    typed = {name: as_typed(value) for name, value in run.settings.items() if name != "source"}
    failures = (f"{score.name}, {score.which}: {score.error}" for score in run.failed)
    say(f"Run {run.id} on {run.source}")
    say(" ".join(f"{name}={text}" for name, text in typed.items() if text))
    out.print(scores(run))
    for line in (*failures, *remarks(run), f"Folder: {run.folder}"):
        say(line)
    if (run.folder / "report.html").is_file():
        say(f"Open its report: catdog report {run.id} --open")


def scores(run: Run) -> Table:
    """A row for each training of a run."""
    numbers = (run.design.unit, "validation accuracy", "test accuracy", "training time")
    shown = table("model", numbers=numbers)
    for score in run.scores:
        which = str(score.fold_or_seed)
        if score.error:
            shown.add_row(score.name, which, "failed", "", "", style="red")
        else:
            accuracies = (score.validation_accuracy or 0, score.test_accuracy or 0)
            shown.add_row(score.name, which, *map(percent, accuracies), clock(score.seconds))
    return shown


def remarks(run: Run) -> Iterator[str]:
    """What there is to say of a run apart from its scores."""
    if run.data:
        yield f"{run.data}."
    if run.changes:
        yield run.changes
    if run.unchanged_since:
        yield f"Nothing changed since run {run.unchanged_since}."
    if run.reused:
        yield f"Reused: {', '.join(run.reused)}."
    yield from run.tracked
    yield f"Took {clock((run.ended - run.began).total_seconds())}."
