"""The runner `process`: each training in a child process of the flow, on this machine."""

import multiprocessing
import os
from collections.abc import Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Lock
from typing import Any

from prefect.task_runners import ProcessPoolTaskRunner

from catdog.machine import tensorflow_environment
from catdog.store.store import Store
from flows.processes import start_training_process, why_it_died
from flows.workers.team import Job, Plan

EXIT_SECONDS = 5
"""For a process that is known to have died: its exit code comes at once."""


class _PoolOfOne(ProcessPoolTaskRunner):
    """Prefect's pool, whose process keeps the environment that it was started with.

    Prefect copies the parent's environment over it before each task: what the user has exported
    would decide the threads, and let every process see every GPU.
    """

    environment: Mapping[str, str]
    process: BaseProcess | None = None
    _one_at_a_time = Lock()

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a task while the parent has the environment of the process."""
        with self._one_at_a_time:
            before = dict(os.environ)
            os.environ.update(self.environment)
            try:
                return super().submit(*args, **kwargs)
            finally:
                for name in self.environment:
                    os.environ.pop(name)
                os.environ.update(before)

    def _resolve_futures_and_submit(self, *args: Any, **kwargs: Any) -> Any:
        """Note the process that the first task starts, in order to tell how it ended.

        This method is Prefect's own, and `_executor._processes` is Python's. There is no other way
        to the process (Prefect 3.9.1): a thread starts it some time after `submit`, and once it has
        died, nothing can tell its exit code that did not hold it before.
        """
        future = super()._resolve_futures_and_submit(*args, **kwargs)
        running = self._executor._processes if self._executor else None
        self.process = next(iter((running or {}).values()), self.process)
        return future


class ProcessWorkers:
    """Child processes, each with its share of the cores, and with a GPU of its own if any."""

    crashes: tuple[type[Exception], ...] = (BrokenProcessPool,)

    def __init__(self, plan: Plan, store: Store) -> None:
        self.places = plan.processes
        self._threads = plan.threads
        self._cores = plan.processes * plan.threads
        self._share = multiprocessing.get_context("spawn").RawValue("i", plan.threads)
        self._running = 0
        self._counting = Lock()
        self._store = store
        self._free: SimpleQueue[dict[str, str]] = SimpleQueue()
        for environment in plan.environments():
            self._free.put(environment)

    def stop(self) -> None:
        """End all training processes now; what they finished is kept."""
        for process in multiprocessing.active_children():
            process.terminate()

    def close(self) -> None:
        """Nothing is left: each process ends with its job."""

    @contextmanager
    def runner(self, job: Job) -> Iterator[ProcessPoolTaskRunner]:
        """A pool of one process, so that a crash does not reach other models."""
        log = self._store.work("logs") / f"{job.name}-{job.training.seed}.log"
        with self._environment() as environment:
            pool = _PoolOfOne(
                max_workers=1,
                initializer=start_training_process,
                initargs=(os.getpid(), environment, log, self._share),
            )
            pool.environment = environment
            with pool:
                try:
                    yield pool
                except BrokenProcessPool as error:
                    raise BrokenProcessPool(why_it_died(_exit_code(pool.process), log)) from error

    @contextmanager
    def _environment(self) -> Iterator[dict[str, str]]:
        """What the next process finds in its environment: threads, and a GPU that is free."""
        own = self._free.get()
        self._share_cores(+1)
        try:
            yield tensorflow_environment(self._threads) | own
        finally:
            self._share_cores(-1)
            self._free.put(own)

    def _share_cores(self, more: int) -> None:
        """Leave the cores of a process that has ended to those that still run."""
        with self._counting:
            self._running += more
            self._share.value = self._cores // max(1, self._running)


def _exit_code(process: BaseProcess | None) -> int | None:
    if process is None:
        return None
    process.join(EXIT_SECONDS)
    return process.exitcode
