"""The runner `dask`: each training on a worker of a Dask cluster, of this or of many machines."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

from dask.base import annotate
from distributed import Client, Future, KilledWorker, Nanny, Scheduler, SpecCluster
from prefect.settings import get_current_settings
from prefect.utilities.importtools import from_qualified_name
from prefect_dask.task_runners import DaskTaskRunner

from catdog.errors import CatdogError
from catdog.store.store import Store
from flows.server.client import configured_url
from flows.workers.dask_apart import ApartRunner, hear_progress
from flows.workers.dask_plugin import PLACE, TrainingPlugin, code_key, obstacle
from flows.workers.team import Job, Plan

log = logging.getLogger("catdog.train")

CONNECT_SECONDS = 5
START_SECONDS = 900
"""For the first worker of a cluster that is made for a run: a queue, or a node that is rented."""
DEAF = "from signal import SIG_IGN, SIGINT, signal; signal(SIGINT, SIG_IGN)"
"""What the workers of this machine load first: Ctrl-C is the flow's to handle."""


class DaskError(CatdogError):
    """A Dask cluster cannot be used."""


class DaskWorkers:
    """The workers of a cluster.

    Dask gives the task of a worker that died to another one, where the training goes on from its
    last finished epoch; Prefect sees one task run that starts again.
    """

    crashes: tuple[type[Exception], ...] = (BrokenProcessPool, KilledWorker, CancelledError)

    def __init__(
        self,
        places: int,
        cluster: dict[str, Any],
        store: Store,
        *,
        progress: Path | None = None,
        check: Callable[[Client], Any] | None = None,
    ) -> None:
        """cluster: the options of `DaskTaskRunner` that find or make it, when it is needed.

        progress: where that of workers goes that share only a bucket with this home.
        check: raises DaskError for a new cluster whose workers cannot take part.
        """
        self.places = places
        self._cluster = cluster
        self._store = store
        self._progress = progress
        self._check = check
        self._name = f"catdog-{uuid4()}"
        self._stack = ExitStack()
        self._lock = Lock()
        self._started: DaskTaskRunner | DaskError | None = None

    def stop(self) -> None:
        """Wait for no training any more; what they finished is kept."""
        with self._lock:
            if isinstance(self._started, DaskTaskRunner):
                client = self._started.client
                waiting: list[Future[Any]] = [Future(key, client) for key in client.futures]
                client.cancel(waiting)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """End what still runs for this run on the cluster, or the cluster itself."""
        self._stack.close()

    @contextmanager
    def runner(self, job: Job) -> Iterator[DaskTaskRunner]:
        """The one runner for all jobs."""
        with self._lock:
            if self._started is None:
                self._started = self._start()
        if isinstance(self._started, DaskError):
            raise self._started
        with annotate(executor=self._name, resources={PLACE: 1}):
            yield self._started

    def _start(self) -> DaskTaskRunner | DaskError:
        runner = self._made()
        self._stack.enter_context(runner)
        client = runner.client
        try:
            if self._check:
                self._check(client)
        except DaskError as error:
            return error
        client.register_plugin(TrainingPlugin(self._name, self._environment()))
        _watch(client)
        self._stack.callback(client.unsubscribe_topic, "all")
        if self._progress:
            hear_progress(client, self._name, self._progress)
            self._stack.callback(client.unsubscribe_topic, self._name)
        self._stack.callback(client.unregister_worker_plugin, self._name)
        return runner

    def _made(self) -> DaskTaskRunner:
        if self._progress:
            return ApartRunner(self._store, self._name, **self._cluster)
        return DaskTaskRunner(**self._cluster)

    def _environment(self) -> dict[str, str]:
        """What the trainings find: a home of their own has no place in it."""
        prefect = get_current_settings().to_environment_variables(exclude_unset=True)
        if self._progress and self._store.remote:
            return prefect | {"CATDOG_REMOTE": self._store.remote.url}
        return prefect | {"CATDOG_HOME": str(self._store.home)}


def _watch(client: Client) -> None:
    """Say in the log of this flow run when a worker is lost."""
    context = copy_context()

    def tell(event: tuple[float, Mapping[str, Any]]) -> None:
        _, news = event
        if news.get("action") == "remove-worker" and not news["expected"]:
            text = "The Dask worker %s is lost: what it did goes on at another one"
            context.run(log.warning, text, news["worker"])

    client.subscribe_topic("all", tell)  # type: ignore[no-untyped-call]


def workers_at(
    address: str,
    *,
    most: int,
    store: Store,
    progress_folder: Path,
    own: Mapping[str, str] = {},
) -> DaskWorkers:
    """The workers of a cluster that runs already: all of them, or so many at most.

    Where the store has a remote, they need not share its home. own: the models that are not ours,
    as `own_models` gives them.
    Raises DaskError when the scheduler does not answer, has no workers, or one of them cannot take
    part in the run that has made this progress folder.
    """
    with _client(address) as client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise DaskError(
                f"The Dask scheduler at {address} has no workers.",
                f"Start one on each machine: 'dask worker {address}'.",
            ) from error
        able = _require_able(client, store, progress_folder, own)
    apart = progress_folder if store.remote else None
    return DaskWorkers(min(most, able), {"address": address}, store, progress=apart)


def workers_of(
    kind: str, *, most: int, store: Store, progress_folder: Path, own: Mapping[str, str] = {}
) -> DaskWorkers:
    """So many workers of a cluster that is made when they are needed, and ends with the run.

    kind: its class, which takes `n_workers`, and the rest from Dask's own configuration.
    Raises DaskError where there is no such class.
    """
    try:
        from_qualified_name(kind)
    except (ImportError, AttributeError) as error:
        raise DaskError(
            f"dask_cluster: {kind} cannot be imported ({error}).", "Install its package."
        ) from error

    def check(client: Client) -> None:
        try:
            client.wait_for_workers(1, timeout=START_SECONDS)
        except TimeoutError as error:
            raise DaskError(
                f"{kind} has started no worker within {START_SECONDS} s.",
                "Look at its own log, and at Dask's configuration of it.",
            ) from error
        _require_able(client, store, progress_folder, own)

    cluster = {
        "cluster_class": kind,
        "cluster_kwargs": {"n_workers": most},
        "adapt_kwargs": {"minimum": most, "maximum": most},
    }
    apart = progress_folder if store.remote else None
    return DaskWorkers(most, cluster, store, progress=apart, check=check)


def _require_able(client: Client, store: Store, folder: Path, own: Mapping[str, str]) -> int:
    """How many workers there are; all must be able to take part. Raises DaskError."""
    place = store.remote.url if store.remote else folder
    found = client.run(obstacle, code_key(), place, configured_url() or "", dict(own))
    for worker, problem in found.items():
        if problem:
            raise DaskError(f"The Dask worker {worker} {problem[0]}.", problem[1])
    return len(found)


def _client(address: str) -> Client:
    try:
        return Client(  # type: ignore[no-untyped-call]
            address, timeout=CONNECT_SECONDS, set_as_default=False
        )
    except (OSError, TimeoutError) as error:
        raise DaskError(
            f"No Dask scheduler answers at {address}.",
            "Start it ('dask scheduler'), or correct --dask-address.",
        ) from error


def local_workers(plan: Plan, store: Store) -> DaskWorkers:
    """Workers of this machine that share its cores, or have a GPU each, and end with the run."""
    loopback = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    quiet = {"silence_logs": logging.CRITICAL, "preload": [DEAF]}
    worker = {"nthreads": plan.threads, "memory_limit": 0} | loopback | quiet
    nannies = [{"cls": Nanny, "options": worker | {"env": own}} for own in plan.environments()]
    cluster = {
        "scheduler": {"cls": Scheduler, "options": loopback | {"port": 0}},
        "workers": dict(enumerate(nannies)),
        "silence_logs": logging.CRITICAL,
    }
    return DaskWorkers(
        plan.processes, {"cluster_class": SpecCluster, "cluster_kwargs": cluster}, store
    )
