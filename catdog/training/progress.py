"""How far a run is: written by the processes that work, read by what shows it."""

import atexit
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

from catdog.store.artifacts import Trial
from catdog.store.files import write_text
from catdog.store.store import Record, Store

STAGE = "stage.txt"


class Progress(Record, Trial):
    """The state of a training. Losses and accuracies are those of the running or last epoch."""

    epoch: int
    """The epoch that runs, from 1; after the last step of an epoch, the one that has ended."""
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    epoch_loss: float | None
    """This and the two below are of the last finished epoch; None before the first."""
    epoch_accuracy: float | None
    val_accuracy: float | None
    seconds_left: float | None
    finished_epochs: int

    @property
    def done(self) -> bool:
        """Whether the last epoch has ended."""
        return self.finished_epochs >= self.epochs


def progress_folder(home: Path, name: Path | str = "") -> Path:
    """Where the run of this process publishes its progress, or the one of this name."""
    return home / "work" / "progress" / (name or f"{socket.gethostname()}-{os.getpid()}")


def claim_progress(folder: Path) -> None:
    """Begin again in the folder of this process, hold it, and remove it when this process ends.

    A process of the same number may have been killed before it could.
    """
    store = Store(folder.parents[2])
    store.work(f"progress/{folder.name}")
    store.hold(f"progress-{folder.name}")
    for left in folder.glob("*.json"):
        left.unlink(missing_ok=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


@contextmanager
def in_turns(look: Callable[[bool], None], every: float) -> Iterator[None]:
    """Call `look` every so many seconds while the body runs, and with True when it has ended.

    What it logs belongs to the flow run, or whatever else the context of the caller is.
    """
    ended = threading.Event()

    def turns() -> None:
        while not ended.wait(every):
            look(False)
        look(True)

    thread = threading.Thread(target=copy_context().run, args=(turns,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def write_stage(folder: Path, text: str) -> None:
    """Publish what the run does before and after training, in a few words."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / STAGE, text)


def read_stage(folder: Path) -> str:
    """What the run does, or nothing when it has not begun."""
    path = folder / STAGE
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write_progress(folder: Path, progress: Progress) -> None:
    """Publish a model's progress; a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / f"{progress.name}-{progress.seed}.json", progress.model_dump_json())


def read_progress(folder: Path) -> dict[tuple[str, int], Progress]:
    """The progress of every model that has begun, by name and seed."""
    files = sorted(folder.glob("*.json"))
    found = (Progress.model_validate_json(file.read_text(encoding="utf-8")) for file in files)
    return {(progress.name, progress.seed): progress for progress in found}
