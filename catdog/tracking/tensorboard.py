"""Event files for TensorBoard, named as the callback of Keras names them; no TensorFlow needed."""

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from catdog.comparison.compare import Study
from catdog.store.artifacts import Report, Trial
from catdog.store.store import Store
from catdog.tracking.follow import Followed, ends, measures
from catdog.tracking.results import final_numbers
from catdog.training.checkpoints import Row

FOLDER = "tensorboard"
VALIDATION = "val_"
"""Begins what Keras measures on validation photos."""


class TensorBoard:
    """Curves in `HOME/tensorboard/RUN/MODEL/train` and `validation`, test results in `test`."""

    name = "TensorBoard"

    def __init__(self, store: Store, run: str, trainings: Sequence[Followed]) -> None:
        self._folder = store.home / FOLDER / run
        self._several = max(Counter(each.trial.name for each in trainings).values(), default=0) > 1
        self._writers: dict[Path, Any] = {}
        self.place = f"TensorBoard: tensorboard --logdir {shlex.quote(str(self._folder.parent))}"

    def begin(self) -> None:
        """Nothing is needed before the first curve."""

    def curves(self, training: Followed, rows: Sequence[Row]) -> None:
        """Two curves for each measure, as `epoch_loss`, by epoch."""
        for row, when in zip(rows, ends(rows, time.time()), strict=True):
            parts: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
            for name, value in measures(row).items():
                part = "validation" if name.startswith(VALIDATION) else "train"
                parts[part][f"epoch_{name.removeprefix(VALIDATION)}"] = value
            for part, values in parts.items():
                self._write(training.trial, part, values, int(row["epoch"]), when)

    def results(self, study: Study, report: Report | None) -> None:
        """Each number of a model, at the epoch that was selected; all in one section."""
        for model, predictions in study.scored:
            trial = Trial(**predictions.identity())
            found = final_numbers(model, predictions, study.design)
            numbers = {f"results/{name}": number for name, number in found.items()}
            self._write(trial, "test", numbers, model.best_epoch, time.time())

    def end(self, *, well: bool) -> None:
        """Close the files."""
        while self._writers:
            self._writers.popitem()[1].close()

    def _write(
        self, trial: Trial, part: str, values: Mapping[str, float], step: int, when: float
    ) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        name = f"{trial.name}-{trial.which.replace(' ', '-')}" if self._several else trial.name
        writer = self._writer(self._folder / name / part)
        for tag, value in values.items():
            writer.write_event(Event(wall_time=when, step=step, summary=scalar(tag, value)))
        writer.flush()

    def _writer(self, folder: Path) -> Any:
        from tensorboardX.event_file_writer import EventsWriter

        if folder not in self._writers:
            folder.mkdir(parents=True, exist_ok=True)
            self._writers[folder] = EventsWriter(str(folder / "events"))
        return self._writers[folder]
