"""What is kept after an epoch: the newest state whole, the best weights, all of the history."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.training.checkpoints import Checkpoints, Row, best_row, out_of_patience


def row(epoch: int, val_accuracy: float, val_loss: float = 1.0, phase: int = 1) -> Row:
    return {
        "epoch": epoch,
        "phase": phase,
        "loss": 1.0,
        "accuracy": 0.5,
        "val_loss": val_loss,
        "val_accuracy": val_accuracy,
        "seconds": 0.1,
    }


class FakeModel:
    """Weights that are one number, in a file."""

    def __init__(self, weight: float = 0.0) -> None:
        self.weight = weight
        self.optimizer = self
        self.trainable_variables = ()

    def build(self, variables: Any) -> None:
        """As an optimizer does."""

    def save_weights(self, path: Path) -> None:
        path.write_text(str(self.weight))

    def load_weights(self, path: Path) -> None:
        self.weight = float(path.read_text())


def trained(folder: Path, accuracies: list[float]) -> Checkpoints:
    """The model's weight after epoch n is n."""
    checkpoints = Checkpoints(folder)
    for epoch, accuracy in enumerate(accuracies, start=1):
        checkpoints.save(FakeModel(epoch), row(epoch, accuracy))
    return checkpoints


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_has_no_history(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    model = FakeModel(5)
    checkpoints.restore(model)
    assert checkpoints.history == []
    assert model.weight == 5


@pytest.mark.parametrize(
    ("accuracies", "best"), [([0.5, 0.9, 0.7], 2), ([0.9, 0.5, 0.7], 1), ([0.1, 0.2, 0.3], 3)]
)
def test_a_later_try_finds_the_newest_state_and_the_best_weights(
    tmp_path: Path, accuracies: list[float], best: int
) -> None:
    trained(tmp_path, accuracies)
    later, model = Checkpoints(tmp_path), FakeModel()
    later.restore(model)
    assert model.weight == 3
    later.load_best(model)
    assert model.weight == best
    assert later.history == [row(epoch, a) for epoch, a in enumerate(accuracies, start=1)]


def test_only_the_newest_epoch_takes_space(tmp_path: Path) -> None:
    trained(tmp_path, [0.5, 0.6, 0.4])
    assert names(tmp_path) == ["epoch-00003"]


def test_what_a_kill_left_unfinished_does_not_count(tmp_path: Path) -> None:
    trained(tmp_path, [0.5, 0.6])
    making = tmp_path / "making-00003"
    making.mkdir()
    (making / "state.weights.h5").write_text("half")
    later = Checkpoints(tmp_path)
    assert len(later.history) == 2
    later.save(FakeModel(3), row(3, 0.7))
    assert names(tmp_path) == ["epoch-00003"]


def test_a_kill_between_the_new_epoch_and_the_removal_of_the_old_loses_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = trained(tmp_path, [0.5])
    with monkeypatch.context() as patch:
        patch.setattr("catdog.training.checkpoints.discard", lambda path: None)
        checkpoints.save(FakeModel(2), row(2, 0.4))
    assert names(tmp_path) == ["epoch-00001", "epoch-00002"]
    later, model = Checkpoints(tmp_path), FakeModel()
    later.restore(model)
    assert model.weight == 2
    later.load_best(model)
    assert model.weight == 1


@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.7]), st.sampled_from([0.1, 0.2])), min_size=1)
)
def test_the_best_epoch_is_the_most_accurate_then_the_surest_then_the_first(
    scores: list[tuple[float, float]],
) -> None:
    history = [row(epoch, *score) for epoch, score in enumerate(scores, start=1)]
    best = best_row(history)
    for other in history:
        better = (-other["val_accuracy"], other["val_loss"], other["epoch"])
        assert better >= (-best["val_accuracy"], best["val_loss"], best["epoch"])


@pytest.mark.parametrize(
    ("scores", "phases", "patience", "ended"),
    [
        ([0.9, 0.8, 0.7], [1, 1, 1], 2, True),
        ([0.9, 0.8, 0.7], [1, 1, 1], 3, False),
        ([0.9, 0.8, 0.7], [1, 1, 1], 0, False),
        ([0.7, 0.8, 0.9], [1, 1, 1], 1, False),
        ([0.9, 0.9], [1, 1], 1, True),
        ([0.9, 0.5, 0.6], [1, 2, 2], 1, False),
        ([0.9, 0.5, 0.4], [1, 2, 2], 1, True),
        ([], [], 1, False),
    ],
)
def test_patience_counts_the_epochs_since_the_best_of_the_phase(
    scores: list[float], phases: list[int], patience: int, ended: bool
) -> None:
    rows = zip(scores, phases, strict=True)
    history = [row(epoch, score, phase=phase) for epoch, (score, phase) in enumerate(rows, 1)]
    assert out_of_patience(history, patience) is ended


def test_an_epoch_that_is_only_surer_is_better_too() -> None:
    history = [row(1, 0.9, val_loss=0.5), row(2, 0.9, val_loss=0.4)]
    assert not out_of_patience(history, 1)


def test_a_real_model_goes_on_with_its_weights_and_its_optimizer(tmp_path: Path) -> None:
    from catdog.models import build_model

    photos = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    labels = np.array([0, 1, 0, 1])
    first, second = (build_model("baseline", classes=2, image_size=32) for _ in range(2))
    first.train_on_batch(photos, labels)
    Checkpoints(tmp_path).save(first, row(1, 0.5))
    Checkpoints(tmp_path).restore(second)
    for mine, restored in zip(first.optimizer.variables, second.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), restored.numpy())
    for mine, restored in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, restored)
