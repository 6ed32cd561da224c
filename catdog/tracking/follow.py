"""Curves and results where others look for them, while a run trains and at its end.

All comes from what is stored: a training's checkpoints hold its curves so far, wherever it runs,
and a model that is reused holds its own. So a tracker that was away gets what it missed.
"""

import csv
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from catdog.comparison.compare import Study
from catdog.store.artifacts import Report, TrainedModel, Trial
from catdog.store.store import Store, lock_name
from catdog.training.checkpoints import HISTORY, Row
from catdog.training.progress import in_turns
from catdog.wording import quoted

log = logging.getLogger(__name__)

LOOK_SECONDS = 5
"""TensorBoard reads its files again as often; an epoch on 2,000 photos takes about as long."""
NO_MEASURES = ("epoch", "phase", "seconds")
"""Of a row of a training's history."""


@dataclass(frozen=True)
class Followed:
    """A training whose curves are followed."""

    trial: Trial
    key: str
    """Of its model."""
    parameters: Mapping[str, Any]
    """What decides it."""


class Tracker(Protocol):
    """Takes curves and results. Its methods may raise anything, and are then called again."""

    name: str
    place: str
    """Where a user finds what it took, as a sentence."""

    def begin(self) -> None:
        """Make ready, unless that is done."""

    def curves(self, training: Followed, rows: Sequence[Row]) -> None:
        """Epochs that have ended since the last call."""

    def results(self, study: Study, report: Report | None) -> None:
        """What came of the run; the last call but one."""

    def end(self, *, well: bool) -> None:
        """Nothing more comes."""


@dataclass
class Tracking:
    """The trackers of a run. Whatever happens to one is told, and never ends the run."""

    trackers: Sequence[Tracker]
    trainings: Sequence[Followed]
    store: Store
    problems: dict[str, str] = field(default_factory=dict)
    """Why a tracker lacks something now, by its name."""
    _taken: dict[tuple[str, str], int] = field(default_factory=dict)

    @contextmanager
    def following(self) -> Iterator[None]:
        """Hand on each epoch soon after its end while the body runs."""
        if not self.trackers:
            yield
            return
        try:
            with in_turns(lambda last: self._each(self._catch_up), LOOK_SECONDS):
                yield
        except BaseException:
            self._each(lambda tracker: tracker.end(well=False))
            raise

    def finish(self, study: Study, report: Report | None) -> None:
        """Hand on what is still missing, and the results."""

        def finish(tracker: Tracker) -> None:
            well = False
            try:
                self._catch_up(tracker)
                tracker.results(study, report)
                well = not any(result.error for result in study.results)
            finally:
                tracker.end(well=well)

        self._each(finish)

    @property
    def notes(self) -> tuple[str, ...]:
        """Where the user finds all of it, or why he does not."""
        return tuple(self._note(tracker) for tracker in self.trackers)

    def _note(self, tracker: Tracker) -> str:
        if problem := self.problems.get(tracker.name):
            return f"{tracker.name} did not get everything: {problem}"
        return tracker.place

    def _catch_up(self, tracker: Tracker) -> None:
        tracker.begin()
        for training in self.trainings:
            rows = curves_so_far(self.store, training.key)
            taken = self._taken.get((tracker.name, training.key), 0)
            if new := rows[taken:]:
                tracker.curves(training, new)
                self._taken[tracker.name, training.key] = len(rows)

    def _each(self, action: Callable[[Tracker], None]) -> None:
        for tracker in self.trackers:
            try:
                action(tracker)
                self.problems.pop(tracker.name, None)
            except Exception as error:  # noqa: BLE001  whatever a client or its server does
                first = f"{type(error).__name__}: {error}".splitlines()[0]
                reason = f"{quoted(first).rstrip('.')}."
                if tracker.name not in self.problems:
                    log.warning("%s: %s The run goes on.", tracker.name, reason)
                self.problems[tracker.name] = reason


def curves_so_far(store: Store, key: str) -> list[Row]:
    """The epochs of a training that have ended: of its model, or else of its checkpoint."""
    model = store.folder(TrainedModel.kind, key) / "history.csv"
    unfinished = store.home / "work" / "unfinished" / lock_name(TrainedModel.kind, key)
    try:
        if model.is_file():
            with model.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                return [{n: float(value) for n, value in row.items() if value} for row in rows]
        return _kept(max(unfinished.glob("epoch-*"), default=None))
    except FileNotFoundError:  # the next epoch, or the model, has just replaced it
        return []


def _kept(checkpoint: Path | None) -> list[Row]:
    if checkpoint is None:
        return []
    rows: list[Row] = json.loads((checkpoint / HISTORY).read_text(encoding="utf-8"))
    return rows


def ends(rows: Sequence[Row], now: float) -> Iterator[float]:
    """When each of these epochs ended, in seconds as `now`, if the last one did now."""
    left = sum(row.get("seconds", 0) for row in rows)
    for row in rows:
        left -= row.get("seconds", 0)
        yield now - left


def measures(row: Row) -> dict[str, float]:
    """What was measured in an epoch, by its name in Keras."""
    return {name: value for name, value in row.items() if name not in NO_MEASURES}
