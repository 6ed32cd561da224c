"""What happens around each epoch of a training: seeds, checks, progress and a checkpoint."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from catdog.errors import TrainingError
from catdog.models import Stretch
from catdog.settings import Training
from catdog.store.artifacts import Trial
from catdog.training.checkpoints import Checkpoints, out_of_patience
from catdog.training.progress import Progress
from catdog.training.seeding import seed_epoch

OnProgress = Callable[[Progress], None]
Logs = Mapping[str, float]

PROGRESS_SECONDS = 0.5
"""Between two reports within an epoch: often enough to look alive, too rare to cost time."""


@dataclass
class EpochKeeper:
    """Follows one training step by step."""

    trial: Trial
    training: Training
    stretch: Stretch
    steps: int
    """A step is a batch; so many make an epoch."""
    model: Any
    checkpoints: Checkpoints
    on_progress: OnProgress
    measure: Callable[[], float] | None = None
    """Gives the metric on the validation photos as they are predicted now; None for accuracy, which
    Keras knows."""
    stopped: bool = False

    def callback(self) -> Any:
        """The same as a Keras callback."""
        import keras

        kept: Any = keras.callbacks.LambdaCallback(
            on_train_begin=self.begin,
            on_epoch_begin=self.begin_epoch,
            on_train_batch_end=self.end_step,
            on_epoch_end=lambda epoch, logs: self.end_epoch(epoch, logs, kept.model),
        )
        return kept

    def begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self.began = time.perf_counter()
        self.reported = 0.0
        self.steps_done = 0

    def begin_epoch(self, epoch: int, logs: Logs | None = None) -> None:
        """Fix the random numbers and the learning rate of an epoch (from 0)."""
        if self.stretch.phase.decay != "none":
            self.model.optimizer.learning_rate = self.stretch.learning_rate(epoch)
        seed_epoch(self.model, seed=self.training.seed, epoch=epoch)
        self.epoch_began = time.perf_counter()

    def end_step(self, step: int, logs: Logs) -> None:
        """Stop on NaN, and report from time to time."""
        self.steps_done += 1
        self._check(logs["loss"], f"step {step + 1}")
        if time.perf_counter() - self.reported > PROGRESS_SECONDS:
            self._report(step + 1, logs)

    def end_epoch(self, epoch: int, logs: Logs, fitted: Any) -> None:
        """Keep the state after an epoch, stop what is fitted without patience, and report."""
        row = {"epoch": epoch + 1, "phase": self.stretch.number} | {
            name: float(logs[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")
        }
        self._check(row["val_loss"], "on the validation photos")
        if self.measure:
            row["val_metric"] = self.measure()
        row["seconds"] = round(time.perf_counter() - self.epoch_began, 3)
        self.checkpoints.save(self.model, row)
        self.stopped = out_of_patience(self.checkpoints.history, self.training.patience)
        fitted.stop_training = self.stopped
        self._report(self.steps, row)

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss of '{self.trial.name}' is not a number in epoch "
                f"{len(self.checkpoints.history) + 1}, {where}.",
                "Look at the photos and the model, or try another seed.",
            )

    def _report(self, step: int, logs: Logs) -> None:
        self.reported = time.perf_counter()
        history = self.checkpoints.history
        last: Logs = history[-1] if history else {}
        ended = "val_loss" in logs
        stop = len(history) if self.stopped else self.stretch.epochs.stop
        epochs = stop + self.stretch.to_come
        left = (epochs - len(history)) * self.steps - (0 if ended else step)
        pace = (self.reported - self.began) / self.steps_done
        self.on_progress(
            Progress(
                **self.trial.identity(),
                epoch=len(history) + (0 if ended else 1),
                epochs=epochs,
                step=step,
                steps=self.steps,
                loss=float(logs["loss"]),
                accuracy=float(logs["accuracy"]),
                epoch_loss=last.get("loss"),
                epoch_accuracy=last.get("accuracy"),
                val_accuracy=last.get("val_accuracy"),
                seconds_left=round(left * pace, 1),
                finished_epochs=len(history),
            )
        )
