"""The commands that list: `catdog models`, `catdog runs` and `catdog cache`."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from catdog.history.runs import Run, Score, load_run, load_runs
from catdog.models import MODELS
from catdog.store import housekeeping as cache
from catdog.store.store import Store
from catdog.wording import clock, percent
from flows.cli.terminal import table
from flows.parameters import as_typed


def print_models(console: Console) -> None:
    """Print the models with their parameters for two classes at 160 x 160."""
    shown = table("name", "what it is", numbers=("parameters", "trainable"))
    for spec in MODELS.values():
        counts = (f"{spec.parameters:,}", f"{spec.trainable_parameters:,}")
        shown.add_row(spec.name, spec.title, *counts)
    console.print("Models (two classes, 160 x 160)")
    console.print(shown)


def print_runs(home: Path, console: Console) -> None:
    """Print past runs, the newest last: a line each, with its best model."""
    runs = load_runs(Store(home))
    if not runs:
        console.print("No runs yet. Start one: catdog run")
        return
    width = max(len(run.id) for run in runs)
    for run in runs:  # no table: one copies names of runs into the next command
        console.print(f"{run.id:<{width}}  {_best(run)}", soft_wrap=True)


def _best(run: Run) -> str:
    """The best model on validation with its test accuracy: of the first seed, or of all folds."""
    by_name: defaultdict[str, list[Score]] = defaultdict(list)
    for score in run.scores:
        by_name[score.name].append(score)
    whole = [found for found in by_name.values() if not any(score.error for score in found)]
    failed = f", {len(by_name) - len(whole)} failed" if len(whole) < len(by_name) else ""
    if not whole:
        return "no model: all failed"
    best = max(whole, key=lambda found: fmean(s.validation_accuracy or 0 for s in found))
    test = fmean(s.test_accuracy or 0 for s in (best if run.folds else best[:1]))
    where = f"over {run.folds} folds" if run.folds else "on test"
    return f"{best[0].name}, {percent(test)} {where}{failed}"


def show_run(name: str, home: Path, console: Console) -> None:
    """Print all that the record of one run tells. Raises StoreError when there is no such run."""
    run = load_run(name, Store(home))
    settings = {n: tuple(v) if isinstance(v, list) else v for n, v in run.settings.items()}
    known = {n: text for n, v in settings.items() if n != "source" and (text := as_typed(v))}
    console.print(f"Run {run.id} on {run.source}", soft_wrap=True)
    console.print(" ".join(f"{n}={text}" for n, text in known.items()), soft_wrap=True)
    console.print(scores(run))
    for line in (*failures(run), *remarks(run), f"Folder: {run.folder}"):
        console.print(line, soft_wrap=True)
    if (run.folder / "report.html").is_file():
        console.print(f"Open its report: catdog report {run.id} --open", soft_wrap=True)


def scores(run: Run) -> Table:
    """A row for each training of a run."""
    unit = "fold" if run.folds else "seed"
    numbers = (unit, "validation accuracy", "test accuracy", "training time")
    shown = table("model", numbers=numbers)
    for score in run.scores:
        which = str(score.fold or score.seed)
        if score.error:
            shown.add_row(score.name, which, "failed", "", "", style="red")
        else:
            accuracies = (score.validation_accuracy or 0, score.test_accuracy or 0)
            shown.add_row(score.name, which, *map(percent, accuracies), clock(score.seconds))
    return shown


def failures(run: Run) -> Iterator[str]:
    """Why trainings of a run failed."""
    unit = "fold" if run.folds else "seed"
    for score in run.failed:
        yield f"{score.name}, {unit} {score.fold or score.seed}: {score.error}"


def remarks(run: Run) -> Iterator[str]:
    """What there is to say of a run besides its scores."""
    if run.data:
        yield f"{run.data}."
    if run.changes:
        yield run.changes
    if run.unchanged_since:
        yield f"Nothing changed since run {run.unchanged_since}."
    if run.reused:
        yield f"Reused: {', '.join(run.reused)}."
    yield f"Took {clock((run.ended - run.began).total_seconds())}."


def print_artifacts(home: Path, console: Console) -> None:
    """Print every stored artifact, by kind and age."""
    store = Store(home)
    console.print(f"Artifacts in {home}", soft_wrap=True)
    shown = table("kind", "key", "made", numbers=("size",))
    for item in _all_items(store):
        made = f"{item.created.astimezone():%Y-%m-%d %H:%M}"
        shown.add_row(item.kind, item.key, made, decimal(item.bytes))
    console.print(shown)


def print_sizes(home: Path, console: Console) -> None:
    """Print how much space each kind of artifact takes, and what ended runs left."""
    store = Store(home)
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for item in _all_items(store):
        sizes[item.kind].append(item.bytes)
    console.print(f"Space taken in {home}", soft_wrap=True)
    shown = table("kind", numbers=("number", "size"))
    for kind, found in sizes.items():
        shown.add_row(kind, str(len(found)), decimal(sum(found)))
    shown.add_section()
    every = [size for found in sizes.values() for size in found]
    shown.add_row("all", str(len(every)), decimal(sum(every)))
    console.print(shown)


def prune(home: Path, console: Console, *, days: int, dry_run: bool) -> None:
    """Remove old artifacts and leftovers; say what was, or would be, freed, and what is in use."""
    met = list(cache.prune(Store(home), keep_days=days, dry_run=dry_run))
    gone = [item for item, free in met if free]
    verb = "Would remove" if dry_run else "Removed"
    freed = decimal(sum(item.bytes for item in gone))
    console.print(f"{verb} {len(gone)} entries of {home}: {freed}.", soft_wrap=True)
    if used := len(met) - len(gone):
        console.print(f"Left alone: {used}, which a run or another command uses.", soft_wrap=True)


def _all_items(store: Store) -> list[cache.Item]:
    return [*cache.stored_items(store), *cache.interrupted_items(store), *cache.leftovers(store)]


def verify(home: Path, console: Console) -> int:
    """Check all artifacts and name the damaged ones; the exit code is 1 when there are any."""
    checked = list(cache.verify(Store(home)))
    damaged = [(item, problem) for item, problem in checked if problem]
    for item, problem in damaged:
        console.print(f"{item.kind} {item.key}: {problem}", soft_wrap=True)
    console.print(f"{len(checked)} artifacts checked, {len(damaged)} damaged.")
    return 1 if damaged else 0
