"""The record of past runs: one folder a run, with its settings, its scores and its report."""

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from catdog.errors import StoreError
from catdog.store.artifacts import Report
from catdog.store.store import Store, discard, write_text, writing

log = logging.getLogger(__name__)

RECORD = "run.json"


class Score(BaseModel):
    """How one model of a run did; accuracies are shares of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seed: int
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    seconds: float | None = None
    error: str | None = None


class Run(BaseModel):
    """One run of the flow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    began: datetime
    ended: datetime
    settings: dict[str, Any]
    scores: tuple[Score, ...]
    artifacts: dict[str, str]
    """The key of each artifact of the run by what it is: "photos", "arrays", "model transfer 1"."""
    reused: tuple[str, ...] = ()
    """What was there already, by the same names."""
    data: str = ""
    """How many photos there were in each split, and how many could not be used."""
    changes: str = ""
    """What became of the photos since the last run on this source; empty when it was the first."""
    unchanged_since: str | None = None
    """An earlier run with the same photos, settings and code, which made the same artifacts."""
    folder: Path
    """Holds this record, and the report's files unless every model failed."""

    @property
    def failed(self) -> tuple[Score, ...]:
        """The models that failed."""
        return tuple(score for score in self.scores if score.error)


def run_id(source: str, began: datetime) -> str:
    """A name for a run that sorts by time and tells what it was made from."""
    words = re.sub(r"[^\w]+", "-", Path(source.rstrip("/")).stem).strip("-").lower() or "photos"
    return f"{began:%Y%m%d-%H%M%S}-{words[:32]}-{os.getpid()}"


def save_run(run: Run, report: Report | None, store: Store) -> None:
    """Write a run's folder, or write it anew: its record and a copy of its report.

    It appears whole or not at all.
    """
    with writing(store.home):
        run.folder.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=run.folder.parent))
        try:
            if report:
                ignored = shutil.ignore_patterns("entry.json")
                shutil.copytree(report.path, making, dirs_exist_ok=True, ignore=ignored)
            write_text(making / RECORD, run.model_dump_json(indent=2) + "\n")
            discard(run.folder)
            making.rename(run.folder)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise


def runs_folder(store: Store) -> Path:
    """Where the folders of past runs are."""
    return store.home / "runs"


def load_runs(store: Store) -> list[Run]:
    """All runs, the newest last; a record that cannot be read is left out, and said so."""
    records = sorted(runs_folder(store).glob(f"[!.]*/{RECORD}"))
    return [run for record in records if (run := _read(record))]


def _read(record: Path) -> Run | None:
    try:
        run = Run.model_validate_json(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s)", record, str(error).splitlines()[0])
        return None
    return run.model_copy(update={"folder": record.parent})  # its home may have been moved


def same_run(artifacts: Mapping[str, str], store: Store) -> str | None:
    """The newest run that ended with these very artifacts, by name and key; None without one."""
    for run in reversed(load_runs(store)):
        if run.artifacts == artifacts and not run.failed:
            return run.id
    return None


def load_run(name: str, store: Store) -> Run:
    """The run with this id, or the newest for "latest". Raises StoreError."""
    runs = {run.id: run for run in load_runs(store)}
    if not runs:
        raise StoreError(f"There are no runs in {runs_folder(store)}.", "Start one: 'catdog run'.")
    if name == "latest":
        return list(runs.values())[-1]
    if name not in runs:
        raise StoreError(
            f"There is no run '{name}'.", f"Newest: {list(runs)[-1]}; see 'catdog runs'."
        )
    return runs[name]
