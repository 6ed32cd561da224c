"""What a run shows in the terminal while it works: a live table, or plain lines without one."""

from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Column, Table

from catdog.training.progress import Progress, in_turns, read_progress, read_stage
from catdog.wording import clock, percent

POLL_SECONDS = 0.5


def live_view(folder: Path, console: Console) -> AbstractContextManager[object]:
    """Show the progress that is published in a folder while the body runs."""
    if not console.is_terminal:
        return in_turns(_Lines(folder, console).print_news, POLL_SECONDS)
    spinner = Spinner("dots")

    def render() -> Group:
        spinner.update(text=read_stage(folder) or "Starting")
        progress = read_progress(folder)
        return Group(spinner, progress_table(progress)) if progress else Group(spinner)

    return Live(get_renderable=render, console=console, transient=True)


def progress_table(progress: dict[tuple[str, int], Progress]) -> Table:
    """One line a model: epoch, loss, accuracy, time left."""
    headings = ("epoch", "", "loss", "accuracy", "validation", "left")
    numbers = (Column(heading, justify="right") for heading in headings)
    table = Table("model", *numbers, box=None, pad_edge=False)
    several = len({seed for _, seed in progress}) > 1
    for (name, _), state in progress.items():
        within = state.step / state.steps if state.finished_epochs < state.epoch else 0
        table.add_row(
            f"{name} {state.which}" if several else name,
            f"{state.epoch}/{state.epochs}",
            ProgressBar(total=state.epochs, completed=state.finished_epochs + within, width=20),
            f"{state.loss:.4f}",
            percent(state.accuracy),
            "" if state.val_accuracy is None else percent(state.val_accuracy),
            "done" if state.done else clock(state.seconds_left),
        )
    return table


class _Lines:
    def __init__(self, folder: Path, console: Console) -> None:
        self.folder = folder
        self.console = console
        self.stage = ""
        self.epochs: dict[tuple[str, int], int] = {}

    def print_news(self, _: bool) -> None:
        stage = read_stage(self.folder)
        if stage.split(":")[0] != self.stage.split(":")[0]:
            self.console.print(stage, highlight=False, soft_wrap=True)
        self.stage = stage
        for model, state in read_progress(self.folder).items():
            if state.finished_epochs > self.epochs.get(model, 0):
                self.epochs[model] = state.finished_epochs
                self.console.print(_line(state), highlight=False, soft_wrap=True)


def _line(state: Progress) -> str:
    return (
        f"{state.name:<14} {state.which}  epoch {state.finished_epochs}/{state.epochs}  "
        f"loss {state.epoch_loss or 0:.4f}  accuracy {percent(state.epoch_accuracy or 0)}  "
        f"validation {percent(state.val_accuracy or 0)}  left {clock(state.seconds_left)}"
    )
