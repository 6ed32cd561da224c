"""Train and evaluate models in parallel: one isolated process a model, at most so many at once.

A process that dies takes down its own model only: its task run is marked Crashed and the model is
tried once more, which goes on from its last finished epoch.
"""

import contextvars
import logging
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from prefect import Task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Crashed
from prefect.task_runners import TaskRunner
from prefect.utilities.engine import collect_task_run_inputs_sync, link_state_to_task_run_result

from catdog.errors import CatdogError, TrainingError
from catdog.machine import visible_gpus
from catdog.models import model_spec
from catdog.references import name_of
from catdog.settings import Training
from catdog.store.artifacts import Arrays, ModelResult, Predictions, TrainedModel
from catdog.store.store import Recipe, Store
from catdog.tracking.follow import Followed
from catdog.training.evaluate import recipe as evaluate_recipe
from catdog.training.train import recipe
from catdog.training.weights import Weights
from flows.processes import end_in
from tasks.evaluate import evaluate
from tasks.train import train

log = logging.getLogger("catdog.train")

ATTEMPTS = 2
"""A crash may be bad luck (memory was short for a moment); twice is a fact."""

STOP_SECONDS = 0.1
"""Between two tries to stop what still runs."""
STOP_LIMIT_SECONDS = 20
NOT_STOPPED = TrainingError(
    f"What still ran did not stop within {STOP_LIMIT_SECONDS} s: it was killed.",
    "The same command goes on from the last finished epoch of each model.",
)


@dataclass(frozen=True)
class Plan:
    """So many models at a time, each with so many threads: their product is at most the cores."""

    processes: int
    threads: int

    def environments(self) -> list[dict[str, str]]:
        """What tells the processes apart: each has a GPU of its own, if there are any."""
        gpus = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in visible_gpus()]
        return (gpus or [{}] * self.processes)[: self.processes]


def plan(jobs: int, *, parallel: int | None, cores: int, gpus: int = 0) -> Plan:
    """Share the cores among the jobs.

    parallel: the most jobs at a time; without it one a core. On GPUs one a GPU at most: two that
    share one take as long as one after the other.
    """
    processes = max(1, min(jobs, parallel or cores, gpus or cores, cores))
    return Plan(processes=processes, threads=max(1, cores // processes))


@dataclass(frozen=True)
class Job:
    """One training of a model."""

    model: str
    """As in the setting `models`, with the whole path of a file."""
    arrays: Arrays
    training: Training
    weights: Weights | None
    """Of a pretrained model."""

    @property
    def name(self) -> str:
        """Of its model."""
        return name_of(self.model)

    def result(self, **found: Any) -> ModelResult:
        """What came of it."""
        return ModelResult(**self.arrays.trial(self.name, self.training.seed).identity(), **found)

    def recipe(self, store: Store) -> Recipe[TrainedModel]:
        """How its model is trained."""
        return recipe(self.model, self.arrays, self.training, self.weights, store=store)

    def followed(self, store: Store) -> Followed:
        """What a tracker must know of it."""
        trial = self.arrays.trial(self.name, self.training.seed)
        weights = {"weights": self.weights.source} if self.weights else {}
        parameters = (
            {"model": trial.name, "fold": trial.fold} | self.training.model_dump() | weights
        )
        return Followed(trial, self.recipe(store).key, parameters)


class Workers(Protocol):
    """Where models are trained, each in a process of its own."""

    places: int
    """So many models can be trained at a time."""
    crashes: tuple[type[Exception], ...]
    """What a task's future raises when the task's process died."""

    def runner(self, job: Job) -> AbstractContextManager[TaskRunner[Any]]:
        """Prefect's task runner for one try of a job."""

    def stop(self) -> None:
        """Let all futures end now; what the trainings finished is kept."""

    def close(self) -> None:
        """End what still runs."""


def train_and_evaluate(
    jobs: Sequence[Job], workers: Workers, *, store: Store, progress_folder: Path
) -> list[ModelResult]:
    """Run all jobs, the longest first; results in the order of the jobs, failures included."""
    team = _Team(workers, store, progress_folder)
    longest_first = sorted(range(len(jobs)), key=lambda i: -model_spec(jobs[i].model).cost)
    futures: dict[int, Future[ModelResult]] = {}
    with closing(workers), ThreadPoolExecutor(workers.places, "model") as threads:
        try:
            for i in longest_first:
                run = contextvars.copy_context().run
                futures[i] = threads.submit(run, team.result, jobs[i])
            return [futures[i].result() for i in range(len(jobs))]
        except BaseException:
            team.stopping = True
            threads.shutdown(wait=False, cancel_futures=True)
            deadline = end_in(STOP_LIMIT_SECONDS, NOT_STOPPED)
            while not all(future.done() for future in futures.values()):
                workers.stop()  # again, for a process that was only about to start
                time.sleep(STOP_SECONDS)
            workers.close()
            deadline.cancel()
            raise


def describe(error: Exception) -> str:
    """Why something failed, in words that are never empty: a bug of ours with its kind."""
    if isinstance(error, CatdogError):
        return str(error)
    return traceback.format_exception_only(error)[-1].strip()


class _Team:
    def __init__(self, workers: Workers, store: Store, progress_folder: Path) -> None:
        self.workers = workers
        self.store = store
        self.progress_folder = progress_folder
        self.stopping = False

    def result(self, job: Job) -> ModelResult:
        """Train and evaluate one model; a failure of its own becomes part of the result."""
        try:
            model, predictions = self._cached(job) or self._try(job)
        except Exception as error:  # one model must not take down the others
            if self.stopping:
                raise
            reason = describe(error)
            log.error("%s failed: %s", job.name, reason)
            return job.result(error=reason)
        return job.result(model=model, predictions=predictions)

    def _cached(self, job: Job) -> tuple[TrainedModel, Predictions] | None:
        """Answer from the store where all is there: starting a process takes seconds."""
        model = self.store.find(TrainedModel, job.recipe(self.store).key)
        if not (model and self.store.find(Predictions, evaluate_recipe(model, job.arrays).key)):
            return None
        model = train(**vars(job), progress_folder=self.progress_folder)
        return model, evaluate(model, job.arrays)

    def _try(self, job: Job) -> tuple[TrainedModel, Predictions]:
        for attempt in range(1, ATTEMPTS + 1):
            if self.stopping:
                raise CancelledError
            try:
                with self.workers.runner(job) as runner:
                    folder = self.progress_folder
                    model = self._run(runner, train, **vars(job), progress_folder=folder)
                    self.store.hold(evaluate_recipe(model, job.arrays).lock)
                    return model, self._run(runner, evaluate, model=model, arrays=job.arrays)
            except self.workers.crashes as error:
                if self.stopping:
                    raise
                reason = str(error) or "The worker with its process was lost."
                log.error("%s: attempt %d of %d: %s", job.name, attempt, ATTEMPTS, reason)
        raise TrainingError(
            f"The process that trained '{job.name}' died {ATTEMPTS} times. {reason}",
            f"The logs are in {self.store.work('logs')}; if memory was short, try a smaller "
            "--parallel.",
        )

    def _run(self, runner: TaskRunner[Any], task: Task[..., Any], **parameters: Any) -> Any:
        """Run a task in a process of the runner, as part of the graph of this flow run.

        Prefect knows results by their identity, which they lose between processes: whose results
        the task is given is collected here, and what it returns is made known as its result.
        """
        inputs: dict[str, Any] = {
            name: collect_task_run_inputs_sync(given) for name, given in parameters.items()
        }
        future = runner.submit(task, parameters, dependencies=inputs)
        try:
            result = future.result()
        except self.workers.crashes:
            if not self.stopping:
                _mark_crashed(future)
            raise
        link_state_to_task_run_result(future.state, result)
        return result


def _mark_crashed(future: PrefectFuture[Any]) -> None:
    state: State[Any] = Crashed(message="The training process died; the log of the run tells how.")
    # A process that dies at its start has no task run yet.
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        client.set_task_run_state(future.task_run_id, state, force=True)
