"""No run reads or writes a result of Prefect's: such a file brings code of its own."""

import base64
import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from prefect.settings import (
    PREFECT_RESULTS_PERSIST_BY_DEFAULT,
    PREFECT_TASKS_DEFAULT_PERSIST_RESULT,
    temporary_settings,
)

from catdog.history.runs import Run

STORAGE = Path(os.environ["PREFECT_HOME"]) / "storage"
MAKERS = {
    "photos": "download",
    "manifest": "split",
    "arrays": "prefetch",
    "model": "train",
    "predictions": "evaluate",
}
"""The task that makes an artifact, by the artifact's kind."""


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return Path.touch, (self.marker,)


def pickled(marker: Path) -> str:
    return base64.encodebytes(cloudpickle.dumps(Touch(marker))).decode()


def called(marker: Path) -> str:
    command = f"touch {shlex.quote(str(marker))}"
    return json.dumps({"__class__": "subprocess.getoutput", "data": {"cmd": command}})


@pytest.fixture
def places(flow_home: Path) -> Iterator[tuple[Path, ...]]:
    """Where Prefect has kept results, or would; what a test puts there goes with it."""
    folders = (flow_home / "results", STORAGE)
    before = files(*folders)
    yield folders
    for file in files(*folders) - before:
        file.unlink()


def files(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


def result_keys(run: Run) -> list[str]:
    return [f"{MAKERS[label.split()[0]]}-{key}" for label, key in run.artifacts.items()]


@pytest.mark.parametrize(("serializer", "payload"), [("pickle", pickled), ("json", called)])
def test_a_planted_result_is_not_read(
    serializer: str,
    payload: Callable[[Path], str],
    places: tuple[Path, ...],
    second: Any,
    run_tiny: Callable[..., Any],
    tmp_path: Path,
) -> None:
    for place in places:
        place.mkdir(exist_ok=True)
        for key in result_keys(second.run):
            planted = {
                "metadata": {"storage_key": str(place / key), "serializer": {"type": serializer}},
                "result": payload(tmp_path / key),
            }
            (place / key).write_text(json.dumps(planted), encoding="utf-8")
    outcome = run_tiny()
    assert list(tmp_path.iterdir()) == []
    assert outcome.error is None
    assert outcome.run.artifacts == second.run.artifacts
    assert outcome.tasks["train-baseline"] == ["Cached"]


def test_a_run_leaves_no_results_even_where_the_user_asks_for_them(
    second: Any, places: tuple[Path, ...], run_tiny: Callable[..., Any]
) -> None:
    before = files(*places)
    asked = {PREFECT_RESULTS_PERSIST_BY_DEFAULT: True, PREFECT_TASKS_DEFAULT_PERSIST_RESULT: True}
    with temporary_settings(asked):
        outcome = run_tiny(models=("baseline",), epochs=2)
    assert outcome.error is None
    assert outcome.tasks["train-baseline"] == ["Completed"]
    assert files(*places) == before


def test_all_that_prefect_keeps_of_a_failed_run_is_its_message_as_text(
    server: str, places: tuple[Path, ...], run_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    before = files(*places)
    outcome = run_tiny(source=str(tmp_path))
    assert outcome.flow_run.state_name == "Failed"
    (kept,) = files(*places) - before
    expected = {"__exc_type__": "catdog.errors.SourceError", "message": str(outcome.error)}
    assert json.loads(kept.read_text(encoding="utf-8")) == expected
