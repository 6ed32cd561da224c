"""A training repeats itself, goes on where it ended, and keeps the best epoch and its history."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog.backbones import Base, new_base
from catdog.errors import SettingsError, TrainingError
from catdog.metric import Metric
from catdog.models import Phase, begin_phase, build_model
from catdog.settings import Training
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.store import Recipe, Store
from catdog.training import checkpoints, evaluate
from catdog.training import train as module
from catdog.training.checkpoints import best_row
from catdog.training.epochs import OnProgress
from catdog.training.evaluate import load_model
from catdog.training.progress import Progress
from catdog.training.train import recipe
from catdog.training.weights import Weights, fill_base, find_weights


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def weights_of(model: TrainedModel) -> list[np.ndarray]:
    found: list[np.ndarray] = load_model(model.file("model.keras")).get_weights()
    return found


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    for mine, same in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(mine, same)
    columns = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert one.history()[columns].equals(other.history()[columns])


def train(
    name: str,
    arrays: Arrays,
    training: Training,
    store: Store,
    *,
    weights: Weights | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> TrainedModel:
    return store.obtain(
        recipe(name, arrays, training, weights, store=store, on_progress=on_progress)
    )


class InterruptionError(Exception):
    """Stands for Ctrl-C or a kill."""


def interrupt_after(epoch: int) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.finished_epochs == epoch:
            raise InterruptionError

    return on_progress


def test_the_same_seed_gives_the_same_weights(
    arrays: Arrays, trained: TrainedModel, training: Training, store: Store
) -> None:
    assert_same(train("baseline", arrays, training, store=store), trained)


def test_another_seed_gives_other_weights(
    arrays: Arrays, trained: TrainedModel, training: Training, store: Store
) -> None:
    other = train("baseline", arrays, training.model_copy(update={"seed": 2}), store=store)
    assert (weights_of(other)[0] != weights_of(trained)[0]).any()


@pytest.mark.parametrize("name", ["preprocessed", pytest.param("transfer", marks=pytest.mark.slow)])
def test_an_interrupted_training_ends_as_if_it_never_was(
    name: str, arrays: Arrays, training: Training, tmp_path: Path
) -> None:
    weights = find_weights("embedded", home=tmp_path) if name == "transfer" else None
    whole = train(name, arrays, training, Store(tmp_path / "whole"), weights=weights)
    resumed = Store(tmp_path / "resumed")
    with pytest.raises(InterruptionError):
        train(name, arrays, training, resumed, weights=weights, on_progress=interrupt_after(1))
    seen: list[Progress] = []
    last = train(name, arrays, training, resumed, weights=weights, on_progress=seen.append)
    assert {progress.finished_epochs for progress in seen} == {1, 2}
    assert_same(last, whole)
    assert last.epochs == last.facts()["last_epoch"] == 2


@pytest.mark.parametrize("twin", [True, False], ids=["fast twin", "plain Keras"])
@pytest.mark.parametrize("metric", ["balanced-accuracy", "macro-f1", "recall:dogs"])
def test_the_metric_of_the_selected_epoch_is_that_of_its_predictions(
    metric: str,
    twin: bool,
    arrays: Arrays,
    training: Training,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not twin:
        monkeypatch.setattr(module, "accelerate", lambda model, **_: model)
    asked = training.model_copy(update={"metric": metric, "epochs": 3})
    model = train("preprocessed", arrays, asked, store)
    history = model.history().set_index("epoch")["val_metric"]
    predicted = store.obtain(evaluate.recipe(model, arrays)).table()
    found = Metric(metric).of_table(predicted[predicted["split"] == "validation"])
    assert history[model.best_epoch] == pytest.approx(found) == history.max()
    assert model.facts()["best"]["val_metric"] == history.max()


def test_a_metric_of_an_unknown_class_is_refused_before_training(
    arrays: Arrays, training: Training, store: Store
) -> None:
    with pytest.raises(SettingsError, match=r"no class 'horse'.*cats and dogs.*recall:cats"):
        train("baseline", arrays, training.model_copy(update={"metric": "recall:horse"}), store)


RANDOM = Weights("random", None, "", "")


def test_a_training_in_phases_goes_on_in_any_of_them(
    arrays: Arrays,
    training: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_base: Callable[..., Base],
) -> None:
    monkeypatch.setattr(module, "new_base", make_base)
    training = training.model_copy(update={"epochs": 4})
    whole = train("finetuned", arrays, training, Store(tmp_path / "whole"), weights=RANDOM)
    assert whole.history()["phase"].tolist() == [1, 1, 2, 2]
    assert whole.trainable_parameters == 8 * 9 + 8 * 2 + 2
    for after in (1, 2, 3):
        resumed, stop = Store(tmp_path / f"after {after}"), interrupt_after(after)
        with pytest.raises(InterruptionError):
            train("finetuned", arrays, training, resumed, weights=RANDOM, on_progress=stop)
        last = train("finetuned", arrays, training, resumed, weights=RANDOM)
        assert_same(last, whole)
        assert last.trainable_parameters == whole.trainable_parameters


@pytest.mark.parametrize(("best", "iterations"), [(1, 3), (4, 6)])
def test_the_best_epoch_may_be_in_any_phase(
    best: int,
    iterations: int,
    arrays: Arrays,
    training: Training,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    make_base: Callable[..., Base],
) -> None:
    """The model is that of the best epoch, with the state of its own optimizer."""
    import keras

    monkeypatch.setattr(module, "new_base", make_base)
    for place in (module, checkpoints):
        monkeypatch.setattr(place, "best_row", lambda history: history[min(best, len(history)) - 1])
    training = training.model_copy(update={"epochs": 4})
    model = train("finetuned", arrays, training, store, weights=RANDOM)
    network = keras.models.load_model(model.file("model.keras"))
    assert model.best_epoch == best
    assert int(network.optimizer.iterations) == iterations
    images = np.load(arrays.file("validation_images.npy")).astype(np.float32)
    loss, _ = network.evaluate(images, np.load(arrays.file("validation_labels.npy")), verbose=0)
    assert loss == pytest.approx(model.history()["val_loss"][best - 1], rel=1e-3)


def test_nothing_of_an_interrupted_training_is_taken_for_a_model(
    arrays: Arrays, training: Training, store: Store
) -> None:
    with pytest.raises(InterruptionError):
        train("baseline", arrays, training, store=store, on_progress=interrupt_after(1))
    assert store.folders(TrainedModel) == []
    train("baseline", arrays, training, store=store)
    assert list((store.home / "work" / "unfinished").iterdir()) == []
    assert list((store.home / "work" / "making").iterdir()) == []


def test_the_second_time_it_is_only_read(
    arrays: Arrays,
    trained: TrainedModel,
    training: Training,
    store_of_tests: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "build_model", None)
    again = train("baseline", arrays, training, store=store_of_tests)
    assert again == trained


CHANGES: list[dict[str, Any]] = [
    {"patience": 1},
    {"learning_rate": 0.002},
    {"schedule": "cosine"},
    {"label_smoothing": 0.1},
    {"class_weights": "balanced"},
    {"augmentation": "standard"},
    {"precision": "bfloat16"},
]


def few_cats(arrays: Arrays, store: Store) -> Arrays:
    """The same photos with three cats among those to train on."""

    def make(folder: Path) -> dict[str, Any]:
        shutil.copytree(arrays.path, folder, dirs_exist_ok=True)
        labels = np.load(folder / "train_labels.npy")
        rows = np.concatenate([np.flatnonzero(labels == 0)[:3], np.flatnonzero(labels == 1)])
        for name in ("labels", "images"):
            file = folder / f"train_{name}.npy"
            np.save(file, np.load(file)[rows])
        counts = arrays.counts | {"train": len(rows)}
        return arrays.model_dump(include={"classes", "image_size"}) | {"counts": counts}

    return store.obtain(Recipe(Arrays, "few", make))


@pytest.mark.parametrize("changes", CHANGES[1:], ids=lambda changes: next(iter(changes)))
def test_each_setting_trains_other_weights_and_is_told(
    changes: dict[str, Any], arrays: Arrays, training: Training, store: Store
) -> None:
    few = few_cats(arrays, store)
    usual = train("baseline", few, training, store)
    model = train("baseline", few, training.model_copy(update=changes), store)
    last = [made.history()["val_loss"].iloc[-1] for made in (model, usual)]
    assert last[0] != last[1], "other weights"
    assert model.facts().items() >= changes.items()
    assert usual.facts()["precision"] == "float32"
    assert usual.facts()["notes"] == []
    images, labels = few.images("validation").astype(np.float32), few.labels("validation")
    network = load_model(model.file("model.keras"))
    network.compile(loss="sparse_categorical_crossentropy")
    loss = network.evaluate(images, labels, verbose=0)
    plain = model.history()["val_loss"][model.best_epoch - 1]
    assert loss == pytest.approx(plain, rel=1e-3), "neither smoothed nor weighted"


def prefer_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (module, checkpoints):
        monkeypatch.setattr(place, "best_row", lambda history: history[0])


def test_patience_ends_each_phase_and_the_next_begins_from_the_best_epoch(
    arrays: Arrays,
    training: Training,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_base: Callable[..., Base],
) -> None:
    begun: list[list[np.ndarray]] = []

    def begin(model: Any, phase: Phase, base: Base | None) -> None:
        begin_phase(model, phase, base)
        if phase.upper:
            begun.append(model.get_weights())

    monkeypatch.setattr(module, "new_base", make_base)
    monkeypatch.setattr(module, "begin_phase", begin)
    prefer_the_first(monkeypatch)
    training = training.model_copy(update={"epochs": 10, "patience": 2})
    seen: list[Progress] = []
    store = Store(tmp_path / "whole")
    whole = train("finetuned", arrays, training, store, weights=RANDOM, on_progress=seen.append)
    assert whole.history()["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert whole.history()["phase"].tolist() == [1, 1, 1, 2, 2, 2]
    assert whole.epochs == whole.facts()["last_epoch"] == 6
    assert seen[-1].done
    assert {p.epochs for p in seen if p.finished_epochs == 3} == {8}, "five are to come"
    for mine, best in zip(begun[0], weights_of(whole), strict=True):
        np.testing.assert_array_equal(mine, best)
    for after in (2, 3, 5):
        resumed, stop = Store(tmp_path / f"after {after}"), interrupt_after(after)
        with pytest.raises(InterruptionError):
            train("finetuned", arrays, training, resumed, weights=RANDOM, on_progress=stop)
        assert_same(train("finetuned", arrays, training, resumed, weights=RANDOM), whole)


def test_without_patience_all_epochs_are_trained(
    arrays: Arrays, training: Training, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefer_the_first(monkeypatch)
    assert train("baseline", arrays, training.model_copy(update={"epochs": 3}), store).epochs == 3


def test_a_base_that_only_predicts_stays_in_float32_and_is_told(
    arrays: Arrays,
    training: Training,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    make_base: Callable[..., Base],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "new_base", make_base)
    changed = training.model_copy(update={"precision": "bfloat16"})
    model = train("transfer", arrays, changed, store, weights=RANDOM)
    assert model.facts()["precision"] == "float32"
    (note,) = model.facts()["notes"]
    assert note in caplog.text


def test_the_key_is_that_of_what_matters(
    arrays: Arrays, training: Training, make_tiny_arrays: Callable[..., Arrays], store: Store
) -> None:
    def key(name: str = "baseline", data: Arrays = arrays, **changes: Any) -> str:
        weights = changes.pop("weights", None)
        changed = training.model_copy(update=changes)
        return recipe(name, data, changed, weights, store=store).key

    embedded = Weights("embedded", Path("a"), "1" * 64, "")
    keys = [
        key(),
        key(name="augmented"),
        key(data=make_tiny_arrays(store, seed=1)),
        key(epochs=3),
        key(seed=2),
        key(batch_size=8),
        *(key(**changes) for changes in CHANGES),
        key("transfer", weights=embedded),
        key("transfer", weights=Weights("random", None, "", "")),
        key("transfer", weights=Weights("random", None, "", "", "resnet50v2")),
    ]
    assert len(set(keys)) == len(keys)
    assert key(weights=embedded) == key()
    assert key(weights=replace(embedded, backbone="resnet50v2")) == key()
    moved = Weights("path", Path("b"), "1" * 64, "elsewhere")
    assert key("transfer", weights=moved) == key("transfer", weights=embedded)


def with_learning_rate(rate: Any) -> Callable[..., Any]:
    def build(*args: Any, **options: Any) -> Any:
        import keras

        model = build_model(*args, **options)
        model.compile(keras.optimizers.Adam(rate), model.loss, metrics=["accuracy"])
        return model

    return build


@pytest.mark.parametrize("batch_size", [16, 64], ids=["within an epoch", "after its last step"])
def test_a_loss_that_is_not_a_number_stops_it_and_says_so(
    arrays: Arrays,
    training: Training,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int,
) -> None:
    monkeypatch.setattr(module, "build_model", with_learning_rate(float("inf")))
    changed = training.model_copy(update={"batch_size": batch_size})
    with pytest.raises(TrainingError, match="loss of 'baseline' is not a number in epoch 1"):
        train("baseline", arrays, changed, store=store)
    assert store.folders(TrainedModel) == []


def test_an_unknown_model_is_named_before_anything_is_made(
    arrays: Arrays, training: Training, store: Store
) -> None:
    with pytest.raises(SettingsError, match="no model 'resnet'"):
        train("resnet", arrays, training, store=store)


def test_the_best_epoch_is_chosen_on_validation_and_its_weights_are_kept(
    arrays: Arrays, training: Training, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras.optimizers.schedules import PiecewiseConstantDecay

    # Three good epochs of three steps, then a rate that wrecks the model.
    wrecking = PiecewiseConstantDecay([9], [0.001, 10.0])
    monkeypatch.setattr(module, "build_model", with_learning_rate(wrecking))
    model = train("baseline", arrays, training.model_copy(update={"epochs": 4}), store=store)
    history = model.history()
    best = best_row(history.to_dict("records"))
    assert model.best_epoch == best["epoch"] < 4
    network = load_model(model.file("model.keras"))
    images = np.load(arrays.file("validation_images.npy")).astype(np.float32)
    labels = np.load(arrays.file("validation_labels.npy"))
    network.compile(loss="sparse_categorical_crossentropy")
    loss = network.evaluate(images, labels, verbose=0)
    assert loss == pytest.approx(best["val_loss"], rel=1e-3)
    assert loss != pytest.approx(history["val_loss"].iloc[-1], rel=1e-3)


def test_the_history_has_a_row_an_epoch(trained: TrainedModel) -> None:
    with trained.file("history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {row["phase"] for row in rows} == {"1"}
    columns = ["epoch", "phase", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert list(rows[0]) == columns
    assert trained.seconds == pytest.approx(sum(float(row["seconds"]) for row in rows))


def test_a_model_from_before_there_were_phases_has_one(
    trained: TrainedModel, tmp_path: Path
) -> None:
    old = trained.history().drop(columns="phase")
    old.to_csv(tmp_path / "history.csv", index=False)
    assert set(trained.model_copy(update={"path": tmp_path}).history()["phase"]) == {1}


def test_the_model_tells_how_it_was_made(trained: TrainedModel, arrays: Arrays) -> None:
    facts = json.loads(trained.file("model.json").read_text(encoding="utf-8"))
    asked = {"name": "baseline", "seed": 1, "epochs": 2, "batch_size": 16, "image_size": 32}
    assert facts.items() >= asked.items()
    assert facts["classes"] == ["cats", "dogs"]
    assert facts["data_digest"] == arrays.content
    assert facts["weights"] is None
    assert facts["last_epoch"] == facts["last"]["epoch"] == 2
    assert facts["best_epoch"] == facts["best"]["epoch"] == trained.best_epoch
    assert set(facts["versions"]) >= {"python", "tensorflow", "keras", "numpy", "catdog"}
    assert facts["machine"]["threads"] == 1
    assert "conv2d" in trained.file("summary.txt").read_text(encoding="utf-8")


def test_the_record_counts_what_the_model_costs(trained: TrainedModel) -> None:
    network = load_model(trained.file("model.keras"))
    assert trained.parameters == trained.trainable_parameters == network.count_params()
    assert trained.file_bytes == trained.file("model.keras").stat().st_size
    assert trained.peak_memory_bytes > 2**26


def test_a_model_that_augments_shows_how(
    arrays: Arrays, training: Training, store: Store, trained: TrainedModel
) -> None:
    model = train("augmented", arrays, training.model_copy(update={"epochs": 1}), store=store)
    shown = np.load(model.file("augmented.npy"))
    originals = np.load(arrays.file("train_images.npy"))[:2]
    assert shown.shape == (2, 6, 32, 32, 3)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown[:, 0], originals)
    assert all((shown[:, n] != originals).any() for n in range(1, 6))
    assert not trained.file("augmented.npy").exists()


def test_pretrained_weights_are_named_and_stay_as_they_are(
    arrays: Arrays, training: Training, store: Store
) -> None:
    weights = find_weights("embedded", home=store.home)
    model = train(
        "transfer", arrays, training.model_copy(update={"epochs": 1}), store, weights=weights
    )
    said = {"backbone": "mobilenetv2", "source": "embedded", "note": weights.note}
    said["sha256"] = weights.sha256
    assert model.facts()["weights"] == said
    assert model.trainable_parameters == 2_562
    (kept,) = [
        layer
        for layer in load_model(model.file("model.keras")).layers
        if layer.count_params() > 10**6
    ]
    for original, after in zip(
        fill_base(new_base("mobilenetv2", arrays.image_size), weights).network.get_weights(),
        kept.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(original, after)


def test_progress_tells_every_epoch_and_what_is_left(
    arrays: Arrays, training: Training, store: Store
) -> None:
    seen: list[Progress] = []
    train("baseline", arrays, training, store=store, on_progress=seen.append)
    ends = [progress for progress in seen if progress.finished_epochs == progress.epoch]
    assert [progress.epoch for progress in ends] == [1, 2]
    assert all(progress.step == progress.steps == 3 for progress in ends)
    assert ends[0].seconds_left is not None
    assert ends[0].seconds_left > 0
    assert ends[1].seconds_left == 0
    assert ends[1].done
    assert ends[1].val_accuracy is not None


@pytest.mark.parametrize("name", ["state.weights.h5", "history.json"])
def test_a_damaged_checkpoint_is_not_the_end(
    arrays: Arrays,
    trained: TrainedModel,
    training: Training,
    store: Store,
    name: str,
) -> None:
    with pytest.raises(InterruptionError):
        train("baseline", arrays, training, store=store, on_progress=interrupt_after(1))
    (file,) = (store.home / "work" / "unfinished").rglob(name)
    file.write_bytes(file.read_bytes()[:100])
    assert_same(train("baseline", arrays, training, store=store), trained)
