"""Decisions between homes that share a bucket: what a home has of them is a copy.

A decision is one of a home alone until it has created `NUMBER.json` in the bucket, which only one
home can. So two that decide at once cannot both win.
"""

import logging
import re
from pathlib import Path

from catdog.errors import StoreError
from catdog.store.files import write_text, writing
from catdog.store.remote import Remote, RemoteError
from catdog.store.store import Store

log = logging.getLogger(__name__)

NUMBER = re.compile(r"\d{6,}\.json")
TASK = re.compile(r"\w[\w.-]*")
_agreed: set[tuple[str, Path]] = set()
"""Buckets and folders that were found to tell of the same decisions, by this process."""


class OvertakenError(Exception):
    """Another home has made the decision of this number."""


def bring_decisions(champions: Store, place: str) -> None:
    """Bring the decisions of other homes in a folder of the champions' store, such as "decisions".

    Where the bucket cannot be reached, what is here counts, and that is said. Raises StoreError
    where this home has decided apart from the others.
    """
    if champions.remote:
        try:
            _bring(champions.remote, champions, place)
        except RemoteError as error:
            log.warning("Decisions of other homes may be missing. %s", error)


def bring_tasks(champions: Store) -> None:
    """The same for all tasks that have a name."""
    if champions.remote:
        try:
            names = champions.remote.names("tasks")
        except RemoteError as error:
            log.warning("Champions of other homes may be missing. %s", error)
            return
        for name in filter(TASK.fullmatch, names):
            bring_decisions(champions, f"tasks/{name}")


def share_decision(champions: Store, path: Path, text: str) -> None:
    """Make a decision the one of its number. Raises OvertakenError, RemoteError."""
    if champions.remote:
        name = path.relative_to(champions.home).as_posix()
        if not champions.remote.write(name, text.encode()):
            raise OvertakenError


def _bring(remote: Remote, champions: Store, place: str) -> None:
    folder = champions.home / place
    there = set(filter(NUMBER.fullmatch, remote.files(place)))
    here = {path.name for path in folder.glob("[!.]*.json")}
    if (remote.url, folder) not in _agreed:
        _require_agreement(remote, folder, place, here & there)
        _agreed.add((remote.url, folder))
    for name in sorted(there - here):
        found = remote.read(f"{place}/{name}")
        if found:
            with writing(champions.home):
                folder.mkdir(parents=True, exist_ok=True)
                write_text(folder / name, found[0].decode())
    for name in sorted(here - there):
        _hand_on(remote, champions, folder / name, place)


def _require_agreement(remote: Remote, folder: Path, place: str, both: set[str]) -> None:
    """Raise StoreError where the newest decision that both have is not the same."""
    for name in sorted(both)[-1:]:
        found = remote.read(f"{place}/{name}")
        if found and found[0] != (folder / name).read_bytes():
            raise StoreError(
                f"{folder} and {remote.url} have decided apart from each other.",
                f"Choose a home of its own for it, or move {folder} away: its champion is lost "
                "to the one that is shared.",
            )


def _hand_on(remote: Remote, champions: Store, file: Path, place: str) -> None:
    """Share what this home has decided before it shared anything."""
    for kept in (champions.home / "store").glob("*/[!.]*/"):
        champions.share(kept.parent.name, kept.name)
    remote.write(f"{place}/{file.name}", file.read_bytes())
