"""What a Dask worker does for a run: it starts a process of its own for each training."""

import multiprocessing
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import Worker, WorkerPlugin
from tornado.ioloop import PeriodicCallback

from catdog.addresses import without_secrets
from catdog.errors import SettingsError
from catdog.machine import tensorflow_environment
from catdog.models import model_spec
from catdog.references import absolute
from catdog.settings import Settings
from catdog.store.digest import make_key, value_digest
from catdog.store.remote import Remote, RemoteError
from catdog.store.rights import require_rights
from catdog.store.store import Store
from catdog.training.progress import claim_progress, progress_folder
from flows.processes import start_training_process
from flows.server.client import deliver, healthy
from flows.workers.dask_apart import tell_progress

PLACE = "training"
"""The resource of which each worker has one: trainings of several runs do not share its cores."""


class TrainingPlugin(WorkerPlugin):
    """Gives each worker of a cluster, also one that joins later, what the trainings of a run need.

    A training has as many threads as its worker. When the run takes the plugin away, what still
    runs for it ends.
    """

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        """environment: without CATDOG_HOME, each worker has a home of its own."""
        self.name = name
        self.environment = environment
        self._progress: dict[str, PeriodicCallback] = {}

    async def setup(self, worker: Worker) -> None:
        """Offer the place, and an executor under the name of the run."""
        multiprocessing.current_process().daemon = False  # a daemon must not have children
        shared = self.environment.get("CATDOG_HOME")
        store = Store(Path(shared) if shared else Settings.load().home)
        worker.executors[self.name] = OwnProcesses(
            tensorflow_environment(worker.state.nthreads) | dict(self.environment),
            store.work("logs") / f"{socket.gethostname()}-{os.getpid()}.log",
        )
        if not shared:
            folder = progress_folder(store.home, self.name)
            claim_progress(folder)
            self._progress[worker.address] = tell_progress(worker, self.name, folder)
        await worker.set_resources(**{PLACE: 1})

    def teardown(self, worker: Worker) -> None:
        """End what still runs for the run."""
        worker.executors.pop(self.name).shutdown()
        if telling := self._progress.pop(worker.address, None):
            telling.stop()


class OwnProcesses(Executor):
    """Runs each call in a new process: seeds, threads and peak memory are those of one process."""

    def __init__(self, environment: Mapping[str, str], native_log: Path) -> None:
        self.environment = environment
        self.native_log = native_log
        self.newest: list[Any] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start a process that ends after this call."""
        pool = ProcessPoolExecutor(
            max_workers=1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_training_process,
            initargs=(os.getpid(), self.environment, self.native_log),
        )
        others = multiprocessing.active_children()
        future = pool.submit(_call, cloudpickle.dumps((call, args, kwargs)))
        self.newest = [child for child in multiprocessing.active_children() if child not in others]
        pool.shutdown(wait=False)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the process that still runs."""
        for child in self.newest:
            child.kill()  # what is stored is whole at any moment


def _call(pickled: bytes) -> Any:
    call, args, kwargs = cloudpickle.loads(pickled)
    try:
        return call(*args, **kwargs)
    finally:
        deliver()


def code_key() -> str:
    """The same on machines that make the same artifacts from the same input."""
    return make_key(
        code=("catdog.training.train", "catdog.training.evaluate"),
        libraries=("tensorflow", "keras", "numpy", "pandas", "prefect"),
    )


def own_models(models: Iterable[str]) -> dict[str, str]:
    """The models among these that are not ours, with a digest of the code of each.

    Raises SettingsError where this machine has not the code.
    """
    found = {absolute(model): model_spec(model).code for model in models}
    return {model: value_digest(code.meaning) for model, code in found.items() if code}


def obstacle(
    code: str, place: Path | str, server: str, own: Mapping[str, str] = {}
) -> tuple[str, str] | None:
    """What keeps this worker from taking part in a run, and the remedy.

    code: the `code_key` of the run. place: a folder that this run has made below its home, or the
    bucket that is its remote. own: the `own_models` of the run.
    """
    if out_of_reach := _out_of_reach(place):
        return out_of_reach
    if code != code_key():
        return (
            "has other versions of Python, catdog or its libraries than this run",
            "Install the same ones, or use the same image, on every machine.",
        )
    if differing := _differing(own):
        return (
            f"has not the code of '{differing}' as this run has it",
            "Keep the file at the same path on every machine, or install its package there.",
        )
    if not healthy(server):
        return (
            f"does not reach the Prefect server at {without_secrets(server)}",
            "Set PREFECT_API_URL to a server that every machine reaches.",
        )
    return None


def _out_of_reach(place: Path | str) -> tuple[str, str] | None:
    if isinstance(place, Path):
        remedy = "Every machine needs the shared CATDOG_HOME at the same path, or --remote."
        return None if place.is_dir() else (f"does not see {place}", remedy)
    try:
        require_rights(Remote(place))
    except RemoteError as error:
        return f"cannot use the bucket: {error.problem.rstrip('.')}", error.remedy
    return None


def _differing(own: Mapping[str, str]) -> str | None:
    for model, digest in own.items():
        try:
            if own_models([model])[model] == digest:
                continue
        except SettingsError:
            pass
        return model
    return None
