"""What a user watches while models train: a table in a terminal, plain lines elsewhere."""

import io
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from catdog.training.progress import Progress, write_progress, write_stage
from catdog.wording import clock
from flows.cli.live import live_view, progress_table

STATE = Progress(
    name="transfer",
    seed=1,
    epoch=3,
    epochs=20,
    step=31,
    steps=63,
    loss=0.12345,
    accuracy=0.9512,
    epoch_loss=0.2468,
    epoch_accuracy=0.914,
    val_accuracy=0.9714,
    seconds_left=3_725.4,
    finished_epochs=2,
)


def replace(state: Progress, **changes: object) -> Progress:
    return state.model_copy(update=changes)


def shown(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def keyed(*states: Progress) -> dict[tuple[str, int], Progress]:
    return {(state.name, state.seed): state for state in states}


def test_a_line_tells_epoch_loss_accuracy_and_time_left() -> None:
    (line,) = [line for line in shown(progress_table(keyed(STATE))).splitlines() if "tran" in line]
    for text in ("transfer", "3/20", "0.1235", "95.1 %", "97.1 %", "1:02:05"):
        assert text in line
    assert "seed" not in line


def test_a_model_in_its_first_epoch_has_no_validation_yet() -> None:
    first = replace(
        STATE, epoch=1, epoch_loss=None, epoch_accuracy=None, val_accuracy=None, finished_epochs=0
    )
    text = shown(progress_table(keyed(first)))
    assert "1/20" in text
    assert "97.1 %" not in text


def test_a_finished_model_is_done() -> None:
    text = shown(progress_table(keyed(replace(STATE, epoch=20, step=63, finished_epochs=20))))
    assert "done" in text
    assert "1:02:05" not in text


def test_several_seeds_are_told_apart() -> None:
    text = shown(progress_table(keyed(STATE, replace(STATE, seed=2))))
    assert "transfer seed 1" in text
    assert "transfer seed 2" in text
    folds = shown(progress_table(keyed(replace(STATE, fold=1), replace(STATE, seed=2, fold=2))))
    assert "transfer fold 2" in folds


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0, "0:00:00"), (59.6, "0:01:00"), (3_725.4, "1:02:05")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def test_without_a_terminal_there_is_a_line_a_stage_and_a_line_an_epoch(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=140)
    write_stage(tmp_path, "Training")
    with live_view(tmp_path, console):
        write_progress(tmp_path, STATE)
        write_stage(tmp_path, "Writing the report")
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert "Writing the report" in lines
    (epoch,) = [line for line in lines if line.startswith("transfer")]
    for text in (
        "epoch 2/20",
        "loss 0.2468",
        "accuracy 91.4 %",
        "validation 97.1 %",
        "left 1:02:05",
    ):
        assert text in epoch


def test_a_growing_download_is_one_line(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=140)
    write_stage(tmp_path, "Downloading: 1.0 of 68.6 MB")
    with live_view(tmp_path, console):
        write_stage(tmp_path, "Downloading: 2.0 of 68.6 MB")
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert printed.count("Downloading") == 1


def test_a_terminal_shows_the_table_and_cleans_up(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=140, force_terminal=True)
    write_stage(tmp_path, "Training")
    write_progress(tmp_path, STATE)
    with live_view(tmp_path, console):
        pass
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Training" in printed
    assert "transfer" in printed
