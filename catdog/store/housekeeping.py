"""Housekeeping of the artifact store: what is there, how large it is, what can go."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catdog.errors import StoreError
from catdog.store.files import damage, discard, read_entry
from catdog.store.store import Store, lock_name


@dataclass(frozen=True)
class Item:
    """An artifact, or the work that an interruption left behind."""

    kind: str
    key: str
    name: str
    """Of the lock that whoever makes it holds."""
    path: Path
    bytes: int
    created: datetime


def stored_items(store: Store) -> list[Item]:
    """All artifacts, by kind and then by age."""
    folders = sorted((store.home / "store").glob("*/[!.]*"))
    items = (_item(f.parent.name, f, lock_name(f.parent.name, f.name)) for f in folders)
    return sorted(items, key=lambda item: (item.kind, item.created))


def interrupted_items(store: Store) -> list[Item]:
    """What runs that ended early left: part downloads, unfinished trainings, half an artifact."""
    work = store.home / "work"
    folders = [*work.glob("unfinished/*"), *work.glob("making/[!.]*")]
    items = (_item("unfinished", folder, folder.name) for folder in folders)
    return sorted(items, key=lambda item: item.created)


def prune(store: Store, *, keep_days: float, dry_run: bool) -> Iterator[Item]:
    """Remove artifacts and unfinished work that are older than so many days; yields each.

    What is being made at this moment is left alone.
    """
    limit = datetime.now(UTC) - timedelta(days=keep_days)
    for item in [*stored_items(store), *interrupted_items(store)]:
        if item.created <= limit and not store.is_locked(item.name):
            if not dry_run:
                discard(item.path)
            yield item


def verify(store: Store) -> Iterator[tuple[Item, str | None]]:
    """Read every artifact's files; yields what is wrong with each, or None."""
    for item in stored_items(store):
        yield item, damage(item.path)


def _item(kind: str, folder: Path, name: str) -> Item:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Item(kind, folder.name, name, folder, size, _created(folder))


def _created(folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(read_entry(folder)["created"])
    except (StoreError, KeyError, ValueError):
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
