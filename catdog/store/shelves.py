"""Housekeeping of a bucket that homes share: what is there, how large it is, what can go."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from catdog.errors import SettingsError
from catdog.store.files import ENTRY, damage, write_json, writing
from catdog.store.remote import DamagedError, Object, Remote
from catdog.store.store import Store

PLACES = {"store": 3, "work/unfinished": 3}
"""Where artifacts and open trainings are, and how many parts the name of a folder has there."""
UNFINISHED = "unfinished"
LEFTOVER = "leftover"
FEWEST_DAYS = 1
"""That are kept: a run of another home may be going on, and has no record before it ends."""
ON_ITS_WAY = timedelta(days=1)
"""A folder without an entry is left over when it is older: no upload takes longer than an hour."""


class Shelf(NamedTuple):
    """A folder of the bucket: an artifact, an open training, or what a killed process left."""

    kind: str
    key: str
    name: str
    bytes: int
    created: datetime
    objects: tuple[str, ...]
    """The entry first, so that nobody finds half of the folder while it is removed."""


def shelves(remote: Remote) -> list[Shelf]:
    """All artifacts and open trainings, by kind and then by age."""
    found: defaultdict[str, list[Object]] = defaultdict(list)
    for place, depth in PLACES.items():
        for each in remote.objects(place):
            found["/".join(each.path.split("/")[:depth])].append(each)
    items = (_shelf(name, objects) for name, objects in found.items())
    return sorted(items, key=lambda item: (item.kind, item.created))


def prune(
    remote: Remote,
    needed: Callable[[datetime], Collection[str]],
    *,
    keep_days: int,
    dry_run: bool,
) -> Iterator[tuple[Shelf, bool]]:
    """Remove what is older than so many days, and what killed processes left; yields as it goes.

    Each comes with whether it could go: what somebody needs stays. Champions have copies of their
    own, which are not looked at.

    needed: the names of what the runs since then need. Raises SettingsError for too few days.
    """
    if keep_days < FEWEST_DAYS:
        raise SettingsError(
            f"days: at least {FEWEST_DAYS} in a bucket (got {keep_days}).",
            "A run of another home may be going on.",
        )
    now = datetime.now(UTC)
    limit = now - timedelta(days=keep_days)
    there = shelves(remote)
    kept = {*needed(limit), *_needed_by_trainings(remote, there, limit)}
    for item in there:
        if item.created > (now - ON_ITS_WAY if item.kind == LEFTOVER else limit):
            continue
        free = item.name not in kept
        if free and not dry_run:
            remote.remove(item.objects)
        yield item, free


def verify(store: Store, remote: Remote) -> Iterator[tuple[Shelf, str | None]]:
    """Fetch every artifact, check it and leave it; yields what is wrong with each, or None."""
    for item in shelves(remote):
        if item.kind not in (UNFINISHED, LEFTOVER):
            with (
                writing(store.home),
                tempfile.TemporaryDirectory(dir=store.work("verifying")) as folder,
            ):
                problem = _problem(remote, item.name, Path(folder))
            yield item, problem


def _problem(remote: Remote, name: str, folder: Path) -> str | None:
    try:
        entry = remote.fetch(name, folder)
    except DamagedError as error:
        return str(error)
    if entry is None:  # it was removed meanwhile
        return None
    write_json(folder / ENTRY, entry)
    found = damage(folder)
    return f"{remote.url}: its files are damaged" if found else None


def _needed_by_trainings(remote: Remote, there: Iterable[Shelf], since: datetime) -> Iterator[str]:
    """What those need that have left an epoch since then, as it tells."""
    for item in there:
        if item.kind == UNFINISHED and item.created > since:
            yield from _told_by(remote, item.name)


def _told_by(remote: Remote, name: str) -> list[str]:
    try:
        found = remote.entry(name)
    except DamagedError:
        return []
    needs = found[0]["record"].get("needs", []) if found else []
    return [name for name in needs if isinstance(name, str)]


def _shelf(name: str, objects: list[Object]) -> Shelf:
    *_, place, key = name.split("/")
    entry = next((each for each in objects if each.path == f"{name}/{ENTRY}"), None)
    kind = UNFINISHED if name.startswith("work/") else place
    paths = sorted((each.path for each in objects), key=lambda path: path != f"{name}/{ENTRY}")
    return Shelf(
        kind if entry else LEFTOVER,
        key,
        name,
        sum(each.bytes for each in objects),
        entry.modified if entry else max(each.modified for each in objects),
        tuple(paths),
    )
