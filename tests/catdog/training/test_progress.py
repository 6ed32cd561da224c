from pathlib import Path

from catdog.training.progress import (
    Progress,
    claim_progress,
    progress_folder,
    read_progress,
    read_stage,
    write_progress,
    write_stage,
)

STATE = Progress(
    name="baseline",
    seed=1,
    epoch=2,
    epochs=3,
    step=5,
    steps=63,
    loss=0.69,
    accuracy=0.5,
    epoch_loss=None,
    epoch_accuracy=None,
    val_accuracy=None,
    seconds_left=12.5,
    finished_epochs=1,
)


def replace(state: Progress, **changes: object) -> Progress:
    return state.model_copy(update=changes)


def test_nothing_is_known_before_the_run_begins(tmp_path: Path) -> None:
    folder = progress_folder(tmp_path)
    assert read_stage(folder) == ""
    assert read_progress(folder) == {}


def test_what_a_killed_process_of_the_same_number_left_is_gone(tmp_path: Path) -> None:
    folder = progress_folder(tmp_path)
    claim_progress(folder)
    write_progress(folder, STATE)
    claim_progress(folder)
    assert read_progress(folder) == {}


def test_the_newest_stage_is_read(tmp_path: Path) -> None:
    folder = progress_folder(tmp_path)
    write_stage(folder, "Looking at the source")
    write_stage(folder, "Training")
    assert read_stage(folder) == "Training"


def test_what_is_written_is_read_for_each_model_and_seed(tmp_path: Path) -> None:
    states = [STATE, replace(STATE, seed=2), replace(STATE, name="transfer", val_accuracy=0.97)]
    for state in states:
        write_progress(tmp_path, replace(state, step=1))
        write_progress(tmp_path, state)
    assert read_progress(tmp_path) == {(state.name, state.seed): state for state in states}


def test_done_means_that_the_last_epoch_has_ended() -> None:
    assert not replace(STATE, epoch=3, finished_epochs=2).done
    assert replace(STATE, epoch=3, finished_epochs=3).done
