"""Show in the Prefect UI how far the training is: one table that is kept up to date."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from catdog.progress import Progress, read_progress
from catdog.wording import duration, percent

log = logging.getLogger("catdog.run")

REFRESH_SECONDS = 5
HEAD = (
    "| Model | Seed | Epoch | Loss | Accuracy | Validation | Left |\n"
    "|---|--:|--:|--:|--:|--:|--:|\n"
)


@contextmanager
def live_table(folder: Path) -> Iterator[None]:
    """Keep the artifact `training` up to date with a folder of progress while the body runs."""
    created = create_markdown_artifact(
        HEAD, key="training", description="How far each model is; reload the page for news."
    )
    artifact = cast("UUID", created)  # a coroutine in async code only
    ended = threading.Event()

    def refresh() -> None:
        shown = HEAD
        while not ended.wait(REFRESH_SECONDS):
            shown = _update(artifact, shown, folder)
        _update(artifact, shown, folder)

    thread = threading.Thread(target=refresh, daemon=True, name="live-table")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def training_table(progress: Mapping[tuple[str, int], Progress]) -> str:
    """A row a model, in Markdown; models that were reused have none.

    Losses and accuracies are those of the last finished epoch; in the first epoch, of its steps.
    """
    return HEAD + "".join(_row(p) for p in progress.values())


def _row(progress: Progress) -> str:
    loss, accuracy = progress.epoch_loss, progress.epoch_accuracy
    if loss is None or accuracy is None:
        loss, accuracy = progress.loss, progress.accuracy
    validation = "" if progress.val_accuracy is None else percent(progress.val_accuracy)
    return (
        f"| {progress.name} | {progress.seed} | {progress.finished_epochs} of {progress.epochs} "
        f"| {loss:.4f} | {percent(accuracy)} | {validation} | {_left(progress)} |\n"
    )


def _left(progress: Progress) -> str:
    if progress.done:
        return "done"
    return "" if progress.seconds_left is None else duration(progress.seconds_left)


def _update(artifact: UUID, shown: str, folder: Path) -> str:
    """Write the table when it has news; a server that does not answer must not end the run."""
    text = training_table(read_progress(folder))
    if text != shown:
        try:
            with get_client(sync_client=True) as client:
                client.update_artifact(artifact, ArtifactUpdate(data=text))
        except httpx.HTTPError as error:
            log.warning("The training table could not be brought up to date: %s", error)
    return text
