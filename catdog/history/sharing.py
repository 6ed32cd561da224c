"""Records of runs between homes that share a bucket: `runs/ID` is there as it is in a home.

Of a run of another home, only the record is brought at first, with an `entry.json` next to it that
tells of the files of its report; they are brought when somebody asks for the run.
"""

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path

from catdog.errors import StoreError
from catdog.store.files import (
    ENTRY,
    MAKING,
    Checkpoint,
    appearing,
    damage,
    write_json,
    writing,
)
from catdog.store.remote import DamagedError, Remote, RemoteError
from catdog.store.store import Store

log = logging.getLogger(__name__)

RECORD = "run.json"
ID = re.compile(r"\d{8}-\d{6}-[\w-]+")
AT_ONCE = 32
"""Records that are asked for together: a bucket answers slowly, but many at a time."""


def bring_records(store: Store) -> None:
    """Learn of the runs of other homes, and tell them of those that could not be told before."""
    remote = store.remote
    if not remote:
        return
    try:
        for left in sorted(store.work("unshared").iterdir()):
            if (store.home / "runs" / left.name / RECORD).exists():
                share_run(left.name, store)
        there = (name for name in remote.names("runs") if ID.fullmatch(name))
        missing = [name for name in there if not (store.home / "runs" / name).exists()]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda name: _bring_record(remote, name, store), missing))
    except RemoteError as error:
        log.warning("Runs of other homes may be missing. %s", error)


def _bring_record(remote: Remote, name: str, store: Store) -> None:
    folder = store.home / "runs" / name
    try:
        found = remote.entry(f"runs/{name}")
    except DamagedError as error:
        log.warning("%s: this run is left out.", error)
        return
    if found is None:  # it is on its way
        return
    with store.lock(f"runs-{name}"), writing(store.home):
        if not folder.exists():
            with appearing(folder, folder.with_name(f"{MAKING}{name}")) as making:
                write_json(making / RECORD, found[0]["record"])
                write_json(making / ENTRY, {"files": found[0]["files"]})


def bring_report(folder: Path, store: Store) -> None:
    """Bring the files of a run of another home, where only its record is here.

    Raises StoreError when they cannot be brought.
    """
    if not store.remote or not (folder / ENTRY).exists():
        return
    with store.lock(f"runs-{folder.name}"), writing(store.home):
        try:
            with appearing(folder, folder.with_name(f"{MAKING}{folder.name}")) as making:
                entry = store.remote.fetch(f"runs/{folder.name}", making)
                write_json(making / ENTRY, {"files": entry["files"] if entry else {}})
                if problem := damage(making, Checkpoint) if entry else "it is gone":
                    raise DamagedError(problem)
                (making / ENTRY).unlink()
        except DamagedError as error:
            raise StoreError(
                f"runs/{folder.name} is damaged in {store.remote.url} ({error}).",
                f"Remove it there; then, where it was made, call 'catdog report {folder.name}'.",
            ) from error


def needed_since(remote: Remote, since: datetime) -> set[str]:
    """The names of the artifacts of the runs that were shared since then.

    Raises StoreError where a run does not tell of them.
    """
    shared = (found for found in remote.objects("runs") if found.path.endswith(f"/{ENTRY}"))
    recent = [found.path.rpartition("/")[0] for found in shared if found.modified > since]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = threads.map(partial(_named_by, remote), recent)
        return {name for names in found for name in names}


def _named_by(remote: Remote, run: str) -> list[str]:
    try:
        found = remote.entry(run)
    except DamagedError as error:
        raise StoreError(
            f"{error}: what this run needs is not known.", "Remove its folder from the bucket."
        ) from error
    artifacts = found[0]["record"]["artifacts"] if found else {}
    return [f"store/{what.split()[0]}/{key}" for what, key in artifacts.items()]


def share_run(name: str, store: Store) -> str:
    """Bring a run to the remote, after all that it names; the name that it has from now on.

    What cannot be brought now is told, and brought by the next command.
    """
    if not store.remote:
        return name
    waiting, folder = store.work("unshared") / name, store.home / "runs" / name
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    try:
        waiting.touch()
        for what, key in record["artifacts"].items():
            store.share(what.split()[0], key)
        new = store.share_folder(f"runs/{name}", record)
        there = None if new else store.remote.entry(f"runs/{name}")
    except (RemoteError, DamagedError) as error:
        log.warning("Run %s is not shared yet. %s", name, error)
        return name
    waiting.unlink(missing_ok=True)  # another process may have been as far
    if there is None or there[0]["record"] == record:
        return name
    # Two containers may have the same clock and process number.
    other = folder.rename(folder.with_name(f"{name}-2"))
    write_json(other / RECORD, record | {"id": other.name})
    return share_run(other.name, store)
