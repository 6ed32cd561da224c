"""Housekeeping of the artifact store: what is there, how large it is, what can go.

A home may be a folder in which a user keeps files of his own: what counts as an artifact or as
unfinished work has a record or a name that only catdog gives.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catdog.errors import StoreError
from catdog.store.digest import KEY_LENGTH
from catdog.store.files import (
    ENTRY,
    HOME,
    MAKING,
    REMOVED,
    damage,
    discard,
    make_home,
    read_entry,
    writing,
)
from catdog.store.store import Store, lock_name

KEY = rf"[0-9a-f]{{{KEY_LENGTH}}}"
WORK = re.compile(rf"[a-z]+-{KEY}")
"""What `lock_name` gives: a folder in which an artifact is made."""
KILLED = re.compile(
    rf"{re.escape(REMOVED)}[0-9a-f]{{32}}|{re.escape(MAKING)}\d{{8}}-\d{{6}}-.+-\d+"
)
"""What was being deleted, or a run's folder that was being written, when its process was killed."""
KILLED_IN = ("store/*", "work/*", "runs", "champion/store/*", "champion/work/*")
PROGRESS = re.compile(r"\.?(stage\.txt|[\w-]+-\d+\.json)(\.\d+)?")
"""What a run of a killed process showed, or was about to show."""


@dataclass(frozen=True)
class Item:
    """An artifact, or the work that an interruption left behind."""

    kind: str
    key: str
    name: str
    """Under which it is held while it is made or used."""
    path: Path
    bytes: int
    created: datetime


def stored_items(store: Store) -> list[Item]:
    """All artifacts, by kind and then by age."""
    folders = filter(_is_artifact, sorted((store.home / "store").glob("*/[!.]*")))
    items = _items((f.parent.name, f, lock_name(f.parent.name, f.name)) for f in folders)
    return sorted(items, key=lambda item: (item.kind, item.created))


def interrupted_items(store: Store) -> list[Item]:
    """What runs that ended early left: part downloads, unfinished trainings, half an artifact."""
    work = store.home / "work"
    folders = [*work.glob("unfinished/[!.]*"), *work.glob("making/[!.]*")]
    ours = (folder for folder in folders if WORK.fullmatch(folder.name))
    items = _items(("unfinished", folder, folder.name) for folder in ours)
    return sorted(items, key=lambda item: item.created)


def leftovers(store: Store) -> list[Item]:
    """What no run goes on from; that of a process that lives is held by it."""
    hidden = [path for place in KILLED_IN for path in sorted(store.home.glob(f"{place}/.*"))]
    places = [
        *(path for path in hidden if KILLED.fullmatch(path.name)),
        *filter(_shows_progress, sorted(store.home.glob("work/progress/[!.]*-*"))),
    ]
    return list(_items(("leftover", path, _holder(path)) for path in places))


def prune(store: Store, *, keep_days: float, dry_run: bool) -> Iterator[tuple[Item, bool]]:
    """Remove artifacts and unfinished work older than so many days, and leftovers of any age.

    Yields each, and whether it could go: what a process makes or uses at this moment stays. Raises
    StoreError for a folder that is no home, and for a home of which nothing can be removed.
    """
    _require_home(store.home)
    if store.home.exists() and not dry_run:
        with writing(store.home):
            make_home(store.home)  # of an earlier version, which marked none
    limit = datetime.now(UTC) - timedelta(days=keep_days)
    dated = [*stored_items(store), *interrupted_items(store)]
    unused = [*(item for item in dated if item.created <= limit), *leftovers(store)]
    champions = Store(store.home / "champion", part=True)  # has locks of its own
    for place, items in ((store, unused), (champions, interrupted_items(champions))):
        for item in items:
            with writing(store.home), place.seized(item.name) as free:
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


def _require_home(folder: Path) -> None:
    """Raise StoreError for a folder that nothing of ours has marked or filled."""
    if folder.exists() and not (folder / HOME).is_file() and not _is_unmarked_home(folder):
        raise StoreError(
            f"{folder} is no home of catdog: it has no {HOME}. Nothing is removed.",
            "Name the home with --home or CATDOG_HOME.",
        )


def _is_unmarked_home(folder: Path) -> bool:
    """Whether an earlier version has made a home here, and not the champions' folder in one."""
    filled = (*folder.glob("store/*/*"), *folder.glob("champion/store/*/*"))
    champions = any((folder / part).exists() for part in ("decisions", "tasks"))
    return any(map(_has_record, filled)) and not champions


def _is_artifact(folder: Path) -> bool:
    damaged = re.fullmatch(KEY, folder.name) and (folder / ENTRY).is_file()
    return bool(damaged) or _has_record(folder)


def _has_record(folder: Path) -> bool:
    try:
        entry = read_entry(folder)
    except StoreError:
        return False
    return (entry["kind"], entry["key"]) == (folder.parent.name, folder.name)


def _shows_progress(folder: Path) -> bool:
    return folder.is_dir() and all(PROGRESS.fullmatch(path.name) for path in folder.glob("*"))


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
        return read_entry(folder)["created"]
    except StoreError:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
