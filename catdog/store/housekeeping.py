"""Housekeeping of the artifact store: what is there, how large it is, what can go."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catdog.errors import StoreError
from catdog.store.files import MAKING, REMOVED, damage, discard, read_entry
from catdog.store.store import Store, lock_name

LEFTOVERS = (
    *(f"{folder}/{REMOVED}*" for folder in ("store/*", "work/*", "runs", "champion/store/*")),
    f"runs/{MAKING}*",
    "work/progress/*",
)
"""What only a kill leaves: what was being deleted, written or shown."""
OUTLIVED = ("results", "weights", "work/training", "work/fetch-*")
"""Folders of earlier versions, which nothing reads any more."""


@dataclass(frozen=True)
class Item:
    """An artifact, or the work that an interruption left behind."""

    kind: str
    key: str
    name: str
    """Under which whoever makes or uses it holds it."""
    path: Path
    bytes: int
    created: datetime


def stored_items(store: Store) -> list[Item]:
    """All artifacts, by kind and then by age."""
    folders = sorted((store.home / "store").glob("*/[!.]*"))
    items = _items((f.parent.name, f, lock_name(f.parent.name, f.name)) for f in folders)
    return sorted(items, key=lambda item: (item.kind, item.created))


def interrupted_items(store: Store) -> list[Item]:
    """What runs that ended early left: part downloads, unfinished trainings, half an artifact."""
    work = store.home / "work"
    folders = [*work.glob("unfinished/[!.]*"), *work.glob("making/[!.]*")]
    items = _items(("unfinished", folder, folder.name) for folder in folders)
    return sorted(items, key=lambda item: item.created)


def leftovers(store: Store) -> list[Item]:
    """What no run goes on from; that of a process that lives is held by it."""
    home = store.home
    places = [path for pattern in (*LEFTOVERS, *OUTLIVED) for path in sorted(home.glob(pattern))]
    return list(_items(("leftover", path, _holder(path)) for path in places))


def prune(store: Store, *, keep_days: float, dry_run: bool) -> Iterator[tuple[Item, bool]]:
    """Remove artifacts and unfinished work older than so many days, and leftovers of any age.

    Yields each, and whether it could go: what a process makes or uses at this moment stays.
    """
    limit = datetime.now(UTC) - timedelta(days=keep_days)
    dated = [*stored_items(store), *interrupted_items(store)]
    for item in [*(item for item in dated if item.created <= limit), *leftovers(store)]:
        with store.seized(item.name) as free:
            if free and not dry_run:
                discard(item.path)
        yield item, free


def verify(store: Store) -> Iterator[tuple[Item, str | None]]:
    """Read every artifact's files; yields what is wrong with each, or None."""
    for item in stored_items(store):
        store.hold(item.name)
        problem = damage(item.path)
        if item.path.exists():
            yield item, problem


def _holder(leftover: Path) -> str:
    """The name that the process to which it belongs holds, as long as it lives."""
    folder = leftover.parent.name
    return f"{folder}-{leftover.name.removeprefix(MAKING)}"


def _items(found: Iterable[tuple[str, Path, str]]) -> Iterator[Item]:
    """The items that are still there when they are looked at."""
    for kind, path, name in found:
        with suppress(FileNotFoundError):
            yield Item(kind, path.name, name, path, _size(path), _created(path))


def _size(folder: Path) -> int:
    """Bytes in the files of a folder; what vanishes meanwhile does not count."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(place, name).stat().st_size
    return size


def _created(folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(read_entry(folder)["created"])
    except (StoreError, KeyError, ValueError):
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
