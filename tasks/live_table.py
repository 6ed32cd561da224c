"""Show in the Prefect UI how far the training is: one table that is kept up to date."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from catdog.training.progress import Progress, in_turns, read_progress
from catdog.wording import duration, percent

log = logging.getLogger("catdog.run")

LOOK_SECONDS = 5
EPOCHS_BETWEEN = 5
"""Of a model, between two versions of the table: each is an event, which others watch."""
HEAD = (
    "| Model | Training | Epoch | Loss | Accuracy | Validation | Left |\n"
    "|---|---|--:|--:|--:|--:|--:|\n"
)


@contextmanager
def live_table(folder: Path) -> Iterator[None]:
    """Keep the artifact `training` up to date with a folder of progress while the body runs."""
    created = create_markdown_artifact(
        HEAD,
        key="training",
        description=f"How far each model is, every {EPOCHS_BETWEEN} epochs; the log has each.",
    )
    artifact = cast("UUID", created)  # a coroutine in async code only
    table = Table()

    def refresh(last: bool) -> None:
        if table.has_news(read_progress(folder), last=last):
            _write(artifact, table.text)

    with in_turns(refresh, LOOK_SECONDS):
        yield


class Table:
    """What the table says, and when it is worth saying something else."""

    def __init__(self) -> None:
        self.text = HEAD
        self._reached = 0

    def has_news(self, progress: Mapping[tuple[str, int], Progress], *, last: bool) -> bool:
        """Whether a model has finished some more epochs, or all; at last, any change will do."""
        text = training_table(progress)
        reached = sum(p.finished_epochs // EPOCHS_BETWEEN + p.done for p in progress.values())
        if text == self.text or (reached == self._reached and not last):
            return False
        self.text, self._reached = text, reached
        return True


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
        f"| {progress.name} | {progress.which} | {progress.finished_epochs} of {progress.epochs} "
        f"| {loss:.4f} | {percent(accuracy)} | {validation} | {_left(progress)} |\n"
    )


def _left(progress: Progress) -> str:
    if progress.done:
        return "done"
    return "" if progress.seconds_left is None else duration(progress.seconds_left)


def _write(artifact: UUID, text: str) -> None:
    """Write the table; a server that does not answer must not end the run."""
    try:
        with get_client(sync_client=True) as client:
            client.update_artifact(artifact, ArtifactUpdate(data=text))
    except httpx.HTTPError as error:
        log.warning("The training table could not be brought up to date: %s", error)
