"""The command, and homes to call it on."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import tenacity
from cli_command import SOURCE, Answer, Command
from rich.console import Console

from catdog.history.runs import Run, Score, runs_folder, save_run
from catdog.photos import prefetch, split
from catdog.settings import Cut, Decoding, Settings
from catdog.sources import download
from catdog.store.artifacts import Flatbuffer, Predictions, TrainedModel
from catdog.store.store import Store
from flows.cli import run as launch
from flows.cli.app import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("CATDOG_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "160")
    return folder


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `catdog WORD...` in this process."""

    def run(*words: str | Path) -> Answer:
        with pytest.raises(SystemExit) as ended, patch.dict(os.environ):
            main([str(word) for word in words])
        printed = capsys.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), *printed)

    return run


@pytest.fixture
def data_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`catdog run` does what comes before the training, in this process, without Prefect."""

    def run_flow(settings: Settings, console: Console) -> None:
        store = Store(settings.home)
        photos = store.obtain(download.recipe(settings.source, store=store))
        parts = store.obtain(split.recipe(photos, settings.group(Cut)))
        made = store.obtain(prefetch.recipe(photos, parts, settings.group(Decoding)))
        console.print(f"{sum(made.counts.values())} good, {parts.rejected} bad")

    monkeypatch.setattr(launch, "run_flow", run_flow)
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=lambda seconds: None))


@pytest.fixture
def used_home(
    home: Path, trained: TrainedModel, flatbuffer: Flatbuffer, predictions: Predictions
) -> Path:
    """A home with one run of `baseline`."""
    for artifact in (trained, flatbuffer, predictions):
        shutil.copytree(artifact.path, Store(home).folder(artifact.kind, artifact.key))
    began = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    scores = (
        Score(
            name="baseline",
            seed=1,
            validation_accuracy=predictions.accuracy("validation"),
            test_accuracy=predictions.accuracy("test"),
            seconds=1.0,
        ),
        Score(name="transfer", seed=1, error="It was killed."),
    )
    store = Store(home)
    run = Run(
        id="20260504-123000-tiny-1",
        began=began,
        ended=began,
        settings={"source": SOURCE, "epochs": 2, "models": ["baseline", "transfer"]},
        scores=scores,
        artifacts={"model baseline 1": trained.key, "predictions baseline 1": predictions.key},
        contents={
            "model baseline 1": trained.content,
            "predictions baseline 1": predictions.content,
        },
        folder=runs_folder(store) / "20260504-123000-tiny-1",
    )
    save_run(run, None, store)
    return home
