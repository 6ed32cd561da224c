"""The commands that list: `catdog models`, `catdog runs` and `catdog cache`."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from catdog.history.runs import Run, Score, load_runs
from catdog.models import MODELS
from catdog.store import housekeeping as cache
from catdog.store.store import Store
from catdog.wording import percent


def print_models(console: Console) -> None:
    """Print the models with their parameters for two classes at 160 x 160."""
    table = Table(title="Models (two classes, 160 x 160)", title_justify="left")
    table.add_column("name")
    table.add_column("what it is")
    table.add_column("parameters", justify="right")
    table.add_column("trainable", justify="right")
    for spec in MODELS.values():
        table.add_row(
            spec.name, spec.title, f"{spec.parameters:,}", f"{spec.trainable_parameters:,}"
        )
    console.print(table)


def print_runs(home: Path, console: Console) -> None:
    """Print past runs, the newest last, with the test accuracy of each model."""
    runs = load_runs(Store(home))
    if not runs:
        console.print("No runs yet. Start one: catdog run")
        return
    table = Table(title="Runs", title_justify="left")
    table.add_column("run", no_wrap=True)  # one copies it into the next command
    table.add_column("source", overflow="fold")
    table.add_column("epochs", justify="right", no_wrap=True)
    table.add_column("test accuracy")
    for run in runs:
        epochs = str(run.settings.get("epochs", ""))
        table.add_row(run.id, run.source, epochs, "\n".join(_accuracies(run)))
    console.print(table)


def _accuracies(run: Run) -> Iterator[str]:
    """Each model with the accuracy of its first seed, or the mean of all folds."""
    by_name: dict[str, list[Score]] = {}
    for score in run.scores:
        by_name.setdefault(score.name, []).append(score)
    for name, scores in by_name.items():
        found = [score.test_accuracy for score in (scores if run.folds else scores[:1])]
        known = [accuracy for accuracy in found if accuracy is not None]
        folds = f" ({run.folds} folds)" if run.folds else ""
        yield f"{name} {percent(fmean(known)) + folds if known == found else 'failed'}"


def print_artifacts(home: Path, console: Console) -> None:
    """Print every stored artifact, by kind and age."""
    store = Store(home)
    console.print(f"Artifacts in {home}", soft_wrap=True)
    table = Table()
    for heading in ("kind", "key", "made"):
        table.add_column(heading)
    table.add_column("size", justify="right")
    for item in _all_items(store):
        made = f"{item.created.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(item.kind, item.key, made, decimal(item.bytes))
    console.print(table)


def print_sizes(home: Path, console: Console) -> None:
    """Print how much space each kind of artifact takes, and what ended runs left."""
    store = Store(home)
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for item in _all_items(store):
        sizes[item.kind].append(item.bytes)
    console.print(f"Space taken in {home}", soft_wrap=True)
    table = Table(show_footer=True)
    table.add_column("kind", footer="all")
    table.add_column("number", footer=str(sum(map(len, sizes.values()))), justify="right")
    table.add_column("size", footer=decimal(sum(map(sum, sizes.values()))), justify="right")
    for kind, found in sizes.items():
        table.add_row(kind, str(len(found)), decimal(sum(found)))
    console.print(table)


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
