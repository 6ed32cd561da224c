"""Event files that TensorFlow itself reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catdog.store.artifacts import Trial
from catdog.store.store import Store
from catdog.tracking.follow import Followed, Tracking

Points = dict[str, list[tuple[int, float]]]


def points(folder: Path) -> Points:
    """The values by tag, each with its step, of all event files in a folder."""
    from tensorflow.python.summary.summary_iterator import summary_iterator

    found: Points = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in summary_iterator(str(file)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


@pytest.fixture
def written(fake_run: Callable[..., Any]) -> Callable[..., tuple[Path, Any]]:
    """Writes the event files of a run and gives their folder, and the run's study."""
    from catdog.tracking.tensorboard import TensorBoard

    def write(**options: Any) -> tuple[Path, Any]:
        made = fake_run(**options)
        study = made.study()
        followed = [
            Followed(Trial(**result.identity()), result.model.key, {}) for result in study.results
        ]
        store: Store = made.store
        tracking = Tracking([TensorBoard(store, "one", followed)], followed, store)
        tracking.finish(study, None)
        (note,) = tracking.notes
        assert note == f"TensorBoard: tensorboard --logdir {store.home / 'tensorboard'}"
        return store.home / "tensorboard" / "one", study

    return write


def test_a_model_has_its_curves_and_results_with_their_intervals(
    written: Callable[..., tuple[Path, Any]],
) -> None:
    folder, study = written()
    model, predictions = study.scored[1]
    history = model.history()
    for part, prefix in (("train", ""), ("validation", "val_")):
        found = points(folder / "transfer" / part)
        assert set(found) == {"epoch_loss", "epoch_accuracy"}
        for name in ("loss", "accuracy"):
            expected = list(zip(history["epoch"], history[f"{prefix}{name}"], strict=True))
            assert found[f"epoch_{name}"] == [(n, pytest.approx(v, rel=1e-6)) for n, v in expected]
    results = points(folder / "transfer" / "test")
    ((step, accuracy),) = results["results/test_accuracy"]
    assert step == model.best_epoch
    assert accuracy == pytest.approx(predictions.accuracy("test"))
    assert (
        results["results/test_accuracy_low"][0][1]
        < accuracy
        < results["results/test_accuracy_high"][0][1]
    )


def test_several_trainings_of_a_model_have_a_folder_each(
    written: Callable[..., tuple[Path, Any]],
) -> None:
    folder, _ = written(repeats=2)
    assert {path.name for path in folder.iterdir()} == {
        f"{name}-seed-{seed}" for name in ("baseline", "transfer") for seed in (1, 2)
    }
