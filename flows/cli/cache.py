"""The commands `catdog cache`: what is stored, its size, whether it is whole, and what can go."""

from collections import defaultdict
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.filesize import decimal

from catdog.store import housekeeping
from catdog.store.store import Store
from flows.cli.terminal import Home, Switch, out, say, table, use

LONGEST_DAYS = 36_500
"""A hundred years: beyond, a date overflows."""

cache_app = App(name="cache", help="List, measure, verify and prune the stored artifacts.")


@cache_app.command(name="list")
def show(*, home: Home = None) -> None:
    """List the stored artifacts with their sizes."""
    store = Store(use(home))
    say(f"Artifacts in {store.home}")
    shown = table("kind", "key", "made", numbers=("size",))
    for item in _all_items(store):
        made = f"{item.created.astimezone():%Y-%m-%d %H:%M}"
        shown.add_row(item.kind, item.key, made, decimal(item.bytes))
    out.print(shown)


@cache_app.command
def size(*, home: Home = None) -> None:
    """Print how much space the artifacts take, by kind."""
    store = Store(use(home))
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for item in _all_items(store):
        sizes[item.kind].append(item.bytes)
    say(f"Space taken in {store.home}")
    shown = table("kind", numbers=("number", "size"))
    for kind, found in sizes.items():
        shown.add_row(kind, str(len(found)), decimal(sum(found)))
    shown.add_section()
    every = [size for found in sizes.values() for size in found]
    shown.add_row("all", str(len(every)), decimal(sum(every)))
    out.print(shown)


@cache_app.command
def prune(
    *,
    days: Annotated[int, Parameter(validator=Number(gte=0, lte=LONGEST_DAYS))] = 0,
    dry_run: Switch = False,
    home: Home = None,
) -> None:
    """Remove artifacts and interrupted work; past runs keep their reports.

    Parameters
    ----------
    days
        Keep what was made in the last so many days; with 0 nothing is kept.
    dry_run
        Only say what would be removed.
    """
    store = Store(use(home))
    met = list(housekeeping.prune(store, keep_days=days, dry_run=dry_run))
    gone = [item for item, free in met if free]
    verb = "Would remove" if dry_run else "Removed"
    freed = decimal(sum(item.bytes for item in gone))
    say(f"{verb} {len(gone)} entries of {store.home}: {freed}.")
    if used := len(met) - len(gone):
        say(f"Left alone: {used}, which a run or another command uses.")


@cache_app.command
def verify(*, home: Home = None) -> int:
    """Check every artifact against its digests; a damaged one is made again when needed."""
    checked = list(housekeeping.verify(Store(use(home))))
    damaged = [(item, problem) for item, problem in checked if problem]
    for item, problem in damaged:
        say(f"{item.kind} {item.key}: {problem}")
    say(f"{len(checked)} artifacts checked, {len(damaged)} damaged.")
    return 1 if damaged else 0


def _all_items(store: Store) -> list[housekeeping.Item]:
    return [
        *housekeeping.stored_items(store),
        *housekeeping.interrupted_items(store),
        *housekeeping.leftovers(store),
    ]
