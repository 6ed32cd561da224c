"""Train one model."""

import logging
from pathlib import Path

from prefect import task

from catdog.progress import Progress, write_progress
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.training import train as training
from catdog.training.weights import Weights
from tasks.caching import obtained

log = logging.getLogger("catdog.train")


@task(name="train", task_run_name="train-{name}", persist_result=False)
def train(
    name: str,
    arrays: Arrays,
    *,
    epochs: int,
    seed: int,
    batch_size: int,
    weights: Weights | None,
    progress_folder: Path,
) -> TrainedModel:
    """Train one model, or go on where an interrupted try ended; progress goes to a folder."""

    def publish(progress: Progress) -> None:
        write_progress(progress_folder, progress)
        if progress.finished_epochs == progress.epoch:
            log.info(
                "%s epoch %d/%d: loss %.4f, accuracy %.4f, validation %.4f, %.0f s left",
                name,
                progress.epoch,
                epochs,
                progress.loss,
                progress.accuracy,
                progress.val_accuracy or 0.0,
                progress.seconds_left or 0.0,
            )

    return obtained(
        lambda store: training.train(
            name,
            arrays,
            epochs=epochs,
            seed=seed,
            batch_size=batch_size,
            weights=weights,
            store=store,
            on_progress=publish,
        )
    )
