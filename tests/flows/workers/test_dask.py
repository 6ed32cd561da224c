"""The runner `dask`: on workers that somebody started, and on a cluster of its own."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from buckets import Bucket
from distributed import Client, LocalCluster

from catdog.machine import available_cores, tensorflow_environment
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store
from catdog.training.progress import progress_folder, read_progress, write_stage
from flows.server.private import free_port
from flows.workers.dask import DaskError, workers_at, workers_of
from flows.workers.dask_plugin import code_key, obstacle
from flows.workers.team import plan

BOTH = ("baseline", "transfer")
SEED = 5
"""Of this file alone: other tests look at the models of the seed that all have."""
EPOCHS = 60
"""So many that a training is still far from its end when another one has begun."""


@pytest.fixture
def idle_scheduler() -> Iterator[LocalCluster]:
    """A scheduler in this process, so far without workers."""
    with LocalCluster(
        n_workers=0, processes=False, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.workers.dask.CONNECT_SECONDS", 1)


def connect(address: str, store: Store, folder: Path) -> Any:
    return workers_at(address, most=4, store=store, progress_folder=folder)


def test_a_scheduler_that_does_not_answer_is_named(flow_store: Store, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(DaskError) as caught:
        connect(address, flow_store, tmp_path)
    assert address in caught.value.problem
    assert "dask scheduler" in caught.value.remedy


def test_a_scheduler_without_workers_is_named(
    idle_scheduler: LocalCluster, flow_store: Store, tmp_path: Path
) -> None:
    address = idle_scheduler.scheduler_address
    with pytest.raises(DaskError) as caught:
        connect(address, flow_store, tmp_path)
    assert "no workers" in caught.value.problem
    assert f"dask worker {address}" in caught.value.remedy


def test_a_worker_that_does_not_share_the_home_is_named(
    server: str, idle_scheduler: LocalCluster, flow_store: Store, tmp_path: Path
) -> None:
    idle_scheduler.scale(1)
    folder = tmp_path / "not mounted there"
    with pytest.raises(DaskError, match="not mounted there") as caught:
        connect(idle_scheduler.scheduler_address, flow_store, folder)
    assert "CATDOG_HOME" in caught.value.remedy
    write_stage(folder, "Training")
    assert connect(idle_scheduler.scheduler_address, flow_store, folder).places == 1


def test_a_worker_with_other_code_or_no_way_to_the_server_cannot_take_part(
    server: str, tmp_path: Path
) -> None:
    assert obstacle(code_key(), tmp_path, server) is None
    other = obstacle("another key", tmp_path, server)
    away = obstacle(code_key(), tmp_path, f"http://127.0.0.1:{free_port()}/api")
    assert other
    assert "versions" in other[0]
    assert away
    assert "PREFECT_API_URL" in away[1]


def test_a_worker_that_may_not_use_the_bucket_cannot_take_part(server: str, bucket: Bucket) -> None:
    assert obstacle(code_key(), bucket.url, server) is None
    assert bucket.line
    bucket.line.forbidden = ("PUT",)
    forbidden = obstacle(code_key(), bucket.url, server)
    assert forbidden
    assert "may not be written" in forbidden[0]
    assert "s3:PutObject" in forbidden[1]


def test_a_class_of_cluster_that_is_none_is_named(flow_store: Store, tmp_path: Path) -> None:
    for kind in ("no_such_package.Cluster", "distributed.NoSuchCluster"):
        with pytest.raises(DaskError, match=f"{kind} cannot be imported"):
            workers_of(kind, most=1, store=flow_store, progress_folder=tmp_path)


def test_without_the_extra_the_error_names_the_package(
    run_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "flows.workers.dask")
    for name in ("prefect_dask", "prefect_dask.task_runners"):
        monkeypatch.setitem(sys.modules, name, None)
    outcome = run_tiny(runner="dask")
    assert "prefect_dask" in outcome.error.problem
    assert "pip install prefect-dask" in outcome.error.remedy


def test_without_the_runner_nothing_of_dask_is_imported() -> None:
    script = (
        "import sys, flows.catdog\n"
        "print(sorted({'dask', 'distributed', 'prefect_dask'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "[]\n"


@pytest.fixture
def cluster() -> Iterator[Client]:
    """A client of a scheduler and two workers, each a process started by hand."""
    with started({}) as client:
        yield client


@contextmanager
def started(environment: dict[str, str]) -> Iterator[Client]:
    """The same, with this in the workers' environment."""
    address = f"tcp://127.0.0.1:{free_port()}"
    commands = [
        ["dask_scheduler", "--host", address, "--no-dashboard"],
        *[["dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]] * 2,
    ]
    processes = [
        subprocess.Popen(  # noqa: S603  Dask's own commands
            [sys.executable, "-m", f"distributed.cli.{name}", *options],
            stderr=subprocess.DEVNULL,
            env=os.environ | environment,
        )
        for name, *options in commands
    ]
    try:
        with Client(address, timeout=120, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            yield client
    finally:
        for process in processes:
            process.kill()
            process.wait(timeout=60)


class Killer(threading.Thread):
    """Kills a worker that trains, once each model has a finished epoch and none is done."""

    def __init__(self, client: Client, work: Path, models: int) -> None:
        super().__init__()
        self.client = client
        self.work = work
        self.models = models
        self.over = threading.Event()
        self.kept: dict[str, list[dict[str, float]]] = {}
        """What the checkpoints held just before, by the key of the model."""

    def run(self) -> None:
        pids = self.client.run(os.getpid)
        while not self.over.wait(0.05):
            kept = self._checkpoints()
            busy = [address for address, keys in self.client.processing().items() if keys]
            if len(kept) == self.models and len(busy) == self.models:
                self.kept = kept
                os.kill(pids[busy[0]], signal.SIGKILL)
                return

    def _checkpoints(self) -> dict[str, list[dict[str, float]]]:
        found = {}
        for path in self.work.glob("*/epoch-*/history.json"):
            try:
                key = path.parent.parent.name.removeprefix("model-")
                found[key] = json.loads(path.read_text())
            except FileNotFoundError:
                return {}  # the next epoch has just replaced it
        return found


@pytest.mark.slow
@pytest.mark.usefixtures("first")
def test_the_trainings_of_a_killed_worker_go_on_at_another_one(
    cluster: Client, run_tiny: Callable[..., Any], flow_store: Store
) -> None:
    assert cluster.scheduler
    names = ("augmented", "preprocessed")  # equally slow
    killer = Killer(cluster, flow_store.home / "work" / "unfinished", models=2)
    killer.start()
    try:
        address = cluster.scheduler.address
        outcome = run_tiny(runner="dask", dask_address=address, models=names, epochs=EPOCHS)
    finally:
        killer.over.set()
        killer.join()
    assert outcome.error is None
    assert len(cluster.nthreads()) == 1
    for name in names:
        assert outcome.tasks[f"train-{name}"] == ["Completed"]
        model = flow_store.find(TrainedModel, outcome.run.artifacts[f"model {name} 42"])
        assert model is not None
        with model.file("history.csv").open(encoding="utf-8", newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        before = [row["seconds"] for row in killer.kept[model.key]]
        assert 1 <= len(before) < len(seconds) == EPOCHS
        assert seconds[: len(before)] == before


@pytest.mark.slow
def test_workers_with_homes_of_their_own_take_and_give_through_a_bucket(
    run_tiny: Callable[..., Any], flow_store: Store, bucket: Bucket, tmp_path: Path
) -> None:
    store, names = Store(flow_store.home), [f"model {name} {SEED + 1}" for name in BOTH]

    def predictions(run: Any) -> list[bytes]:
        keys = [run.artifacts[name.replace("model", "predictions")] for name in names]
        folders = [store.folder("predictions", key) for key in keys]
        return [(folder / "predictions.csv").read_bytes() for folder in folders]

    other = Store(tmp_path / "worker")
    with started({"CATDOG_HOME": str(other.home), "CATDOG_REMOTE": ""}) as client:
        assert client.scheduler
        address = client.scheduler.address
        outcome = run_tiny(runner="dask", dask_address=address, seed=SEED + 1)
    assert outcome.error is None
    assert outcome.run
    told = read_progress(progress_folder(store.home))
    for name, title in zip(BOTH, names, strict=True):
        assert told[name, SEED + 1].done
        assert outcome.tasks[f"train-{name}"] == ["Completed"]
        assert set(pairwise(("prefetch", f"train-{name}", f"evaluate-{name}", "report"))) <= set(
            outcome.lines
        )
        for home in (store.home, other.home):
            assert (home / "store" / "model" / outcome.run.artifacts[title]).is_dir()
        assert title not in outcome.run.reused
    assert not (other.home / "runs").exists()
    again = run_tiny(seed=SEED + 1, force=True)
    assert predictions(again.run) == predictions(outcome.run)


@pytest.mark.slow
def test_a_cluster_that_is_made_for_a_run_ends_with_it(
    run_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_DASK_CLUSTER", "distributed.LocalCluster")
    outcome = run_tiny(runner="dask", models=("baseline",), seed=SEED + 2)
    assert outcome.error is None
    assert outcome.tasks["train-baseline"] == ["Completed"]
    left = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    assert not [words for words in left if "spawn_main" in " ".join(words)]


BUSY = """
import random, threading, time

def draw():
    while True:
        random.random()
        time.sleep(0.0005)

threading.Thread(target=draw, daemon=True).start()
"""
"""As `sitecustomize`, it runs in each Python process before all else."""

TRAINED_BY_THE_LIBRARY = """
import sys
from pathlib import Path
import catdog

photos = catdog.download(sys.argv[1])
arrays = catdog.prefetch(photos, catdog.split(photos), image_size=64)
for name in sys.argv[2:]:
    model = catdog.train(name, arrays, epochs=1, weights="embedded")
    print(catdog.evaluate(model, arrays).file("predictions.csv"))
"""


@pytest.fixture
def busy_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each process that starts from now on, a thread draws from the global generators."""
    (tmp_path / "sitecustomize.py").write_text(BUSY, encoding="utf-8")
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), before])))


@pytest.mark.slow
def test_all_ways_to_train_give_the_same_bits_whatever_other_threads_draw(
    run_tiny: Callable[..., Any],
    flow_store: Store,
    tiny_source: Path,
    busy_processes: None,
    tmp_path: Path,
) -> None:
    def predictions(outcome: Any) -> list[bytes]:
        keys = [outcome.run.artifacts[f"predictions {name} {SEED}"] for name in BOTH]
        folders = [flow_store.folder("predictions", key) for key in keys]
        return [(folder / "predictions.csv").read_bytes() for folder in folders]

    found = []
    for runner in ("process", "dask"):
        outcome = run_tiny(runner=runner, seed=SEED, force=True)
        assert outcome.error is None
        assert {outcome.tasks[f"train-{name}"][0] for name in BOTH} == {"Completed"}
        for name in BOTH:
            joined = ("prefetch", f"train-{name}", f"evaluate-{name}", "report")
            assert set(pairwise(joined)) <= set(outcome.lines)
        found.append(predictions(outcome))
    threads = plan(len(BOTH), parallel=2, cores=available_cores()).threads
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", TRAINED_BY_THE_LIBRARY, str(tiny_source), *BOTH],
        env=os.environ
        | tensorflow_environment(threads)
        | {"CATDOG_HOME": str(tmp_path / "home"), "CATDOG_SEED": str(SEED)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    files = [Path(line) for line in done.stdout.splitlines() if line.endswith(".csv")]
    found.append([file.read_bytes() for file in files])
    assert found[0] == found[1] == found[2]
