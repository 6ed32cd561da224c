"""The task that trains, one model at a time."""

import logging
from functools import partial
from pathlib import Path

from prefect import task
from prefect.runtime import task_run

from catdog.references import name_of
from catdog.settings import Training
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.store import Store
from catdog.training.progress import Progress, write_progress
from catdog.training.progress import progress_folder as folder_of
from catdog.training.train import recipe
from catdog.training.weights import Weights, own_weights
from tasks.caching import obtained

log = logging.getLogger("catdog.train")


def _run_name() -> str:
    return f"train-{name_of(task_run.parameters['model'])}"


@task(name="train", task_run_name=_run_name, persist_result=False)
def train(
    model: str,
    arrays: Arrays,
    training: Training,
    weights: Weights | None,
    *,
    progress_folder: Path,
) -> TrainedModel:
    """Train one model, or go on where an interrupted try ended.

    progress_folder: where progress goes; only a name where another home has sent the arrays.
    """

    def obtain(store: Store) -> TrainedModel:
        publish = partial(_publish, folder_of(store.home, progress_folder))
        here, own = store.own(arrays), own_weights(weights, home=store.home)
        return store.obtain(recipe(model, here, training, own, store=store, on_progress=publish))

    return obtained(obtain, given=arrays)


def _publish(folder: Path, progress: Progress) -> None:
    write_progress(folder, progress)
    if progress.finished_epochs == progress.epoch:
        log.info(
            f"{progress.name} {progress.which} epoch {progress.epoch}/{progress.epochs}: "
            f"loss {progress.loss:.4f}, accuracy {progress.accuracy:.4f}, "
            f"validation {progress.val_accuracy or 0:.4f}, "
            f"{progress.seconds_left or 0:.0f} s left"
        )
