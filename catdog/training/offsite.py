"""What a training leaves behind after an epoch, kept where another machine can go on from it."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.files import (
    ENTRY,
    appearing,
    describe_files,
    discard,
    link_or_copy,
    write_json,
)
from catdog.store.remote import DamagedError, Remote, RemoteError
from catdog.store.store import Store, lock_name

log = logging.getLogger(__name__)

SHARE = 0.1
"""Of the time, at most, is spent on bringing epochs there; those in between are left out. What a
lost machine costs is then at most ten times as long as one takes: 30 s where it takes 3."""
STATES = "epoch-{:05d}"
"""What the folder of an epoch is called, here and there."""


class Offsite:
    """Brings the newest epoch to the remote, in a thread of its own, and never waits for it."""

    def __init__(self, remote: Remote, name: str, folder: Path, needs: str) -> None:
        """folder: where the training keeps its epochs; needs: what another machine goes on with."""
        self._remote, self._name, self._folder, self._needs = remote, name, folder, needs
        self._changed = threading.Condition()
        self._newest: Path | None = None
        self._ended = False

    def fetch(self, known: int) -> None:
        """Bring the last epoch from there, where it is a later one than is known here."""
        try:
            found = self._remote.entry(self._name)
            epochs = found[0]["record"].get("epochs") if found else None
            if not isinstance(epochs, int) or epochs <= known:
                return
            final = self._folder / STATES.format(epochs)
            with appearing(final, self._folder / "fetching") as making:
                if entry := self._remote.fetch(self._name, making):
                    write_json(making / ENTRY, {"files": entry["files"]})
            log.info("Epoch %d comes from %s", epochs, self._remote.url)
        except (RemoteError, DamagedError) as error:
            log.warning("No epoch of another machine is used. %s", error)

    def keep(self, epoch: Path) -> None:
        """Take note of a new epoch; its folder may be gone the next moment."""
        copy = self._folder / f"sending-{epoch.name}"
        discard(copy)
        copy.mkdir()
        for file in epoch.iterdir():
            link_or_copy(file, copy / file.name)
        with self._changed:
            left, self._newest = self._newest, copy
            self._changed.notify()
        if left:
            discard(left)

    def send(self) -> None:
        """Bring epoch after epoch there, until `end` is called."""
        while epoch := self._next():
            began = time.monotonic()
            self._send(epoch)
            discard(epoch)
            spent = time.monotonic() - began
            with self._changed:
                self._changed.wait_for(lambda: self._ended, spent * (1 / SHARE - 1))

    def end(self, *, last: bool = False) -> None:
        """Send nothing more, but for the last epoch if that is asked for."""
        with self._changed:
            self._ended = True
            self._newest = self._newest if last else None
            self._changed.notify()

    def _next(self) -> Path | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._ended)
            epoch, self._newest = self._newest, None
            return epoch

    def _send(self, epoch: Path) -> None:
        epochs = int(epoch.name.rpartition("-")[2])
        record = {"epochs": epochs, "needs": [self._needs]}
        try:
            entry = {"files": describe_files(epoch), "record": record}
            self._remote.publish(self._name, epoch, entry, replace=True)
        except RemoteError as error:
            log.warning("After epoch %d: a lost machine would cost more. %s", epochs, error)


@contextmanager
def offsite(store: Store, key: str, folder: Path, *, arrays: str) -> Iterator[Offsite | None]:
    """What keeps the epochs of a model elsewhere, too, while the body runs; None without a remote.

    folder: where they are kept here; arrays: the key of those that it is trained on.
    """
    if not store.remote:
        yield None
        return
    name = f"work/unfinished/{lock_name(TrainedModel.kind, key)}"
    kept = Offsite(store.remote, name, folder, needs=f"store/{Arrays.kind}/{arrays}")
    run = copy_context().run  # so that the log of the flow run has it
    thread = threading.Thread(target=run, args=(kept.send,), daemon=True)
    thread.start()
    for left in folder.glob("sending-*"):
        discard(left)
    failed = False
    try:
        yield kept
    except Exception:
        failed = True
        raise
    finally:
        kept.end(last=failed)
        thread.join()
