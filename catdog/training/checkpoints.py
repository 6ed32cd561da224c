"""What a training leaves behind after each epoch, so that a later try goes on from there."""

import json
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catdog.store.files import (
    ENTRY,
    Checkpoint,
    appearing,
    damage,
    describe_files,
    discard,
    write_json,
)
from catdog.training.offsite import STATES, Offsite

log = logging.getLogger(__name__)

STATE = "state.weights.h5"
BEST = "best.weights.h5"
HISTORY = "history.json"

Row = dict[str, float]
"""epoch and phase (from 1), loss, accuracy, val_loss, val_accuracy, seconds (wall); with another
metric than accuracy, its value on the validation photos as val_metric."""


@dataclass
class Checkpoints:
    """One folder an epoch, which appears whole or not at all; only the newest is kept."""

    folder: Path
    offsite: Offsite | None = None
    """Keeps it elsewhere, too."""
    history: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._drop_damaged()
        if self.offsite:
            newest = self._newest()
            self.offsite.fetch(int(newest.name.rpartition("-")[2]) if newest else 0)
            self._drop_damaged()
        if newest := self._newest():
            self.history = json.loads((newest / HISTORY).read_text(encoding="utf-8"))

    def _drop_damaged(self) -> None:
        for folder in self.folder.glob("epoch-*"):
            if problem := damage(folder, Checkpoint):
                log.warning("What was kept after an epoch is lost: %s", problem)
                discard(folder)

    def restore(self, model: Any) -> None:
        """Give a compiled model the weights, optimizer and random state of the last epoch."""
        if newest := self._newest():
            model.optimizer.build(model.trainable_variables)
            model.load_weights(newest / STATE)

    def save(self, model: Any, row: Row) -> None:
        """Keep the state after an epoch, and its weights when it is the best one so far."""
        history = [*self.history, row]
        previous = self._newest()
        final = self.folder / STATES.format(len(history))
        with appearing(final, self.folder / f"making-{len(history):05d}") as making:
            model.save_weights(making / STATE)
            best = making / STATE
            if previous and best_row(history) is not row:
                best = previous / BEST
            shutil.copyfile(best, making / BEST)
            write_json(making / HISTORY, history)
            write_json(making / ENTRY, {"files": describe_files(making)})
        self.history = history
        if previous:
            discard(previous)
        if self.offsite:
            self.offsite.keep(final)

    def load_best(self, model: Any) -> None:
        """Give a model, compiled as in the phase of its best epoch, the weights of that epoch."""
        newest = self._newest()
        assert newest is not None, "there is no finished epoch"  # noqa: S101
        model.optimizer.build(model.trainable_variables)
        model.load_weights(newest / BEST)

    def _newest(self) -> Path | None:
        return max(self.folder.glob("epoch-*"), default=None)


def out_of_patience(history: list[Row], patience: int) -> bool:
    """Whether so many epochs of the last phase, one after the other, were not better than before.

    patience: 0 for any number. All that counts is in the history: who goes on knows it, too.
    """
    phase = [row for row in history if row["phase"] == history[-1]["phase"]] if patience else []
    return bool(phase) and phase[-1]["epoch"] - best_row(phase)["epoch"] >= patience


def best_row(history: list[Row]) -> Row:
    """The best epoch: highest metric on validation, then lowest validation loss, then earliest."""
    return min(
        history, key=lambda row: (-row.get("val_metric", row["val_accuracy"]), row["val_loss"])
    )
