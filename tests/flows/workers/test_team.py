"""What becomes of trainings that fail or are stopped."""

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import task

from catdog.errors import TrainingError
from catdog.machine import shared_cores
from catdog.settings import Training
from catdog.store.artifacts import Arrays
from catdog.store.store import Store
from flows.workers.process import ProcessWorkers
from flows.workers.team import ATTEMPTS, Job, Plan, describe, train_and_evaluate

LONG = 30
"""Seconds, far more than any of this takes: a hanging test fails instead."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "MemoryError"),
        (KeyError("x"), "KeyError: 'x'"),
        (TrainingError("The loss is not a number.", "Try another seed."), "The loss is not a"),
    ],
)
def test_no_failure_is_without_a_reason(error: Exception, words: str) -> None:
    assert describe(error).startswith(words)


class SlowToStart:
    """Its first job is interrupted while the process of its second is only about to start."""

    places = 2
    crashes = (BrokenProcessPool,)

    def __init__(self) -> None:
        self.about_to_start = threading.Event()
        self.stopped_once = threading.Event()
        self.stopped_again = threading.Event()
        self.late = True

    @contextmanager
    def runner(self, job: Job) -> Iterator[Any]:
        if job.name == "augmented":
            self.about_to_start.wait(LONG)
            raise KeyboardInterrupt
        self.about_to_start.set()
        self.stopped_once.wait(LONG)
        self.late = not self.stopped_again.wait(LONG)
        raise BrokenProcessPool
        yield

    def stop(self) -> None:
        (self.stopped_again if self.stopped_once.is_set() else self.stopped_once).set()

    def close(self) -> None:
        pass


def test_an_interruption_also_ends_a_process_that_starts_at_that_moment(tmp_path: Path) -> None:
    arrays = Arrays.model_construct(content="photos", classes=("cats", "dogs"))
    jobs = [
        Job(name, arrays, Training(epochs=1, seed=1), None) for name in ("augmented", "baseline")
    ]
    workers = SlowToStart()
    with pytest.raises(KeyboardInterrupt):
        train_and_evaluate(jobs, workers, store=Store(tmp_path), progress_folder=tmp_path)  # type: ignore[arg-type]
    assert not workers.late


class DiesAtItsStart:
    """A process that is dead before Prefect knows of its task run."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.submitted += 1
        return self

    task_run_id = uuid4()

    def result(self) -> Any:
        raise BrokenProcessPool


class DeadWorkers:
    places = 1
    crashes = (BrokenProcessPool,)

    def __init__(self, runner: Any) -> None:
        self.runner = lambda job: nullcontext(runner)

    def stop(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise ImportError('no such library')", "code 70 (ImportError: no such library)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV;"),
    ],
)
def test_a_process_that_cannot_start_is_told_as_what_it_is_and_both_its_logs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    # The first thing that a training process imports: in place of the real ones.
    (tmp_path / "path" / "keras").mkdir(parents=True)
    (tmp_path / "path" / "keras" / "__init__.py").write_text(fault)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'path'}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "path"), *sys.path])  # spawn passes it on
    store = Store(tmp_path / "home")
    arrays = Arrays.model_construct(content="photos", classes=("cats", "dogs"))
    jobs = [Job("baseline", arrays, Training(), None)]
    workers = ProcessWorkers(Plan(1, 1), store)
    (result,) = train_and_evaluate(jobs, workers, store=store, progress_folder=tmp_path)
    assert words in str(result.error)
    logs = store.home / "work" / "logs"
    assert sorted(log.name for log in logs.iterdir()) == ["baseline-42.log", "baseline-42.log.1"]


@pytest.mark.usefixtures("server")
def test_the_cores_of_an_ended_training_go_to_those_that_still_run(tmp_path: Path) -> None:
    arrays = Arrays.model_construct(content="photos", classes=("cats", "dogs"))
    jobs = [Job(name, arrays, Training(), None) for name in ("transfer", "baseline")]
    workers = ProcessWorkers(Plan(2, 1), Store(tmp_path))
    with ExitStack() as other, workers.runner(jobs[0]) as running:
        other.enter_context(workers.runner(jobs[1]))
        found = [running.submit(task(shared_cores), {}).result()]
        other.close()
        found.append(running.submit(task(shared_cores), {}).result())
    assert found == [1, 2]


@pytest.mark.usefixtures("server")
def test_a_process_that_dies_before_it_has_a_task_run_is_tried_again(tmp_path: Path) -> None:
    process = DiesAtItsStart()
    arrays = Arrays.model_construct(content="photos", classes=("cats", "dogs"))
    jobs = [Job("baseline", arrays, Training(), None)]
    workers: Any = DeadWorkers(process)
    (result,) = train_and_evaluate(jobs, workers, store=Store(tmp_path), progress_folder=tmp_path)
    assert process.submitted == ATTEMPTS
    assert "died 2 times" in str(result.error)
