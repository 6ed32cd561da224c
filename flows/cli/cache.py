"""The commands `catdog cache`: what is stored, its size, whether it is whole, and what can go."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.filesize import decimal

from catdog.errors import SettingsError
from catdog.history.sharing import needed_since
from catdog.store import housekeeping, shelves
from catdog.store.remote import Remote
from catdog.store.store import Store
from flows.cli.terminal import Home, Switch, out, say, table, use

LONGEST_DAYS = 36_500
"""A hundred years: beyond, a date overflows."""
REMOTE_DAYS = 30
"""What a team has used in the last month it may want again, and making it takes longer than keeping
it costs."""

cache_app = App(name="cache", help="List, measure, verify and prune the stored artifacts.")


Kept = housekeeping.Item | shelves.Shelf
There = Annotated[
    bool,
    Parameter(
        name="--remote",
        negative="",
        show_default=False,
        help="Of the bucket that homes share, not of this home. It may be followed by its address.",
    ),
]


@cache_app.command(name="list")
def show(*, there: There = False, home: Home = None) -> None:
    """List the stored artifacts with their sizes."""
    place, items = _all_items(Store(use(home)), there=there)
    say(f"Artifacts in {place}")
    shown = table("kind", "key", "made", numbers=("size",))
    for item in items:
        made = f"{item.created.astimezone():%Y-%m-%d %H:%M}"
        shown.add_row(item.kind, item.key, made, decimal(item.bytes))
    out.print(shown)


@cache_app.command
def size(*, there: There = False, home: Home = None) -> None:
    """Print how much space the artifacts take, by kind."""
    place, items = _all_items(Store(use(home)), there=there)
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for item in items:
        sizes[item.kind].append(item.bytes)
    say(f"Space taken in {place}")
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
    days: Annotated[int | None, Parameter(validator=Number(gte=0, lte=LONGEST_DAYS))] = None,
    dry_run: Switch = False,
    there: There = False,
    home: Home = None,
) -> None:
    """Remove artifacts and interrupted work; past runs keep their reports.

    With --remote, what a run of these days or an open training needs stays, and all champions.

    Parameters
    ----------
    days
        Keep what was made in the last so many days; with 0 nothing is kept. [default: 0, in a
        bucket 30; there, at least 1]
    dry_run
        Only say what would be removed.
    """
    place, met = _pruned(Store(use(home)), days, dry_run=dry_run, there=there)
    gone = [item for item, free in met if free]
    verb = "Would remove" if dry_run else "Removed"
    say(f"{verb} {len(gone)} entries of {place}: {decimal(sum(item.bytes for item in gone))}.")
    if used := len(met) - len(gone):
        say(f"Left alone: {used}, which a run or another command uses.")


@cache_app.command
def verify(*, there: There = False, home: Home = None) -> int:
    """Check every artifact against its digests; a damaged one is made again when needed."""
    store = Store(use(home))
    checked: Sequence[tuple[Kept, str | None]]
    if there:
        checked = list(shelves.verify(store, _remote_of(store)))
    else:
        checked = list(housekeeping.verify(store))
    damaged = [(item, problem) for item, problem in checked if problem]
    for item, problem in damaged:
        say(f"{item.kind} {item.key}: {problem}")
    say(f"{len(checked)} artifacts checked, {len(damaged)} damaged.")
    return 1 if damaged else 0


def _pruned(
    store: Store, days: int | None, *, dry_run: bool, there: bool
) -> tuple[str, Sequence[tuple[Kept, bool]]]:
    """Where that is, and what was met; whether it could go."""
    if there:
        remote, days = _remote_of(store), REMOTE_DAYS if days is None else days
        needed = partial(needed_since, remote)
        return remote.url, [*shelves.prune(remote, needed, keep_days=days, dry_run=dry_run)]
    return str(store.home), [*housekeeping.prune(store, keep_days=days or 0, dry_run=dry_run)]


def _all_items(store: Store, *, there: bool) -> tuple[str, Sequence[Kept]]:
    """Where they are, and all of them."""
    if there:
        remote = _remote_of(store)
        return remote.url, shelves.shelves(remote)
    return str(store.home), [
        *housekeeping.stored_items(store),
        *housekeeping.interrupted_items(store),
        *housekeeping.leftovers(store),
    ]


def _remote_of(store: Store) -> Remote:
    if store.remote is None:
        raise SettingsError("No remote is set.", "Name it: --remote s3://BUCKET/FOLDER.")
    return store.remote
