"""What passes between a run and Dask workers that share no folder with it, only a bucket."""

from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Worker
from prefect.futures import PrefectFuture
from prefect.tasks import Task
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture
from tornado.ioloop import PeriodicCallback

from catdog.store.store import Artifact, Store
from catdog.training.progress import Progress, read_progress, write_progress

R = TypeVar("R")

LOOK_SECONDS = 1
"""Between two looks of a worker at what its trainings tell: as often as a terminal shows it."""
CACHED = "Cached"
"""The state of a task run that found what it would have made."""


class ApartRunner(DaskTaskRunner):
    """Sends artifacts by way of the bucket, both ways: Dask itself carries their records only."""

    def __init__(self, store: Store, name: str, **cluster: Any) -> None:
        """name: under which the trainings of this run tell how far they are."""
        super().__init__(**cluster)
        self._store, self._name = store, name

    def submit(  # type: ignore[override]
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        wait_for: Any = None,
        dependencies: Any = None,
    ) -> PrefectFuture[Any]:
        """Submit a task with what it is given as another home can use it."""
        sent = {name: self._sent(value) for name, value in parameters.items()}
        future = super().submit(task, sent, wait_for, dependencies)
        return _Brought(future.wrapped_future, future.task_run_id, self._store)

    def _sent(self, value: Any) -> Any:
        if isinstance(value, Artifact):
            self._store.share(value.kind, value.key)
            return value.sent()
        return Path(self._name) if isinstance(value, Path) else value


class _Brought(PrefectDaskFuture[R]):
    """Gives what a worker has made as this home has it."""

    def __init__(self, wrapped: Any, task_run_id: Any, store: Store) -> None:
        super().__init__(wrapped_future=wrapped, task_run_id=task_run_id)
        self._store = store

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> Any:
        """Bring it here first."""
        found = super().result(timeout, raise_on_failure)
        if not isinstance(found, Artifact):
            return found
        return self._store.bring(found, made=self.state.name != CACHED)


def tell_progress(worker: Worker, name: str, folder: Path) -> PeriodicCallback:
    """Have a worker tell of the trainings that publish their progress in a folder of its own."""
    told: dict[tuple[str, int], Progress] = {}

    def look() -> None:
        for training, progress in read_progress(folder).items():
            if told.get(training) != progress:
                told[training] = progress
                worker.log_event(name, progress.model_dump_json())

    telling = PeriodicCallback(look, LOOK_SECONDS * 1000)
    telling.start()
    return telling


def hear_progress(client: Client, name: str, folder: Path) -> None:
    """Publish in this folder what the workers tell."""

    def note(event: tuple[float, str]) -> None:
        write_progress(folder, Progress.model_validate_json(event[1]))

    client.subscribe_topic(name, note)  # type: ignore[no-untyped-call]
