"""The table of predictions: one row a photo, from which every number of the report follows."""

from pathlib import Path

import numpy as np
import pytest

from catdog.errors import TrainingError
from catdog.store.artifacts import Arrays, Predictions, TrainedModel
from catdog.store.store import Store
from catdog.training.evaluate import load_model, recipe


def test_there_is_a_row_for_each_held_out_photo_in_stored_order(
    predictions: Predictions, arrays: Arrays
) -> None:
    table = predictions.table()
    columns = ["model", "seed", "split", "path", "label", "predicted", "p_cats", "p_dogs"]
    assert list(table.columns) == columns
    assert table["split"].tolist() == ["validation"] * 24 + ["test"] * 12
    paths = arrays.paths("validation") + arrays.paths("test")
    assert table["path"].tolist() == paths
    labels = np.concatenate([arrays.labels(split) for split in ("validation", "test")])
    assert table["label"].tolist() == [arrays.classes[label] for label in labels]
    assert set(table["model"]) == {"baseline"}
    assert set(table["seed"]) == {1}


def test_the_probabilities_sum_to_one_and_the_largest_is_the_prediction(
    predictions: Predictions,
) -> None:
    table = predictions.table()
    probabilities = table[["p_cats", "p_dogs"]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    largest = np.array(["cats", "dogs"])[probabilities.argmax(axis=1)]
    assert table["predicted"].tolist() == largest.tolist()


def test_the_probabilities_are_the_models_own(
    predictions: Predictions, trained: TrainedModel, arrays: Arrays
) -> None:
    table = predictions.table()
    shown = table[table["split"] == "test"][["p_cats", "p_dogs"]].to_numpy()
    network = load_model(trained.file("model.keras"))
    own = network.predict_on_batch(arrays.images("test").astype(np.float32))
    np.testing.assert_allclose(shown, own, atol=1e-5)


def test_accuracy_is_the_share_of_right_predictions(predictions: Predictions) -> None:
    table = predictions.table()
    for split, count in (("validation", 24), ("test", 12)):
        part = table[table["split"] == split]
        right = sum(p == q for p, q in zip(part["predicted"], part["label"], strict=True))
        assert predictions.accuracy(split) == pytest.approx(right / count)


def test_the_worst_test_errors_have_maps_of_attention(
    predictions: Predictions,
) -> None:
    table = predictions.table()
    test = table[table["split"] == "test"]
    wrong = test[test["predicted"] != test["label"]]
    assert len(wrong), "a model that makes no error has no maps: make the tiny photos harder"
    with np.load(predictions.file("attention.npz")) as attention:
        assert set(attention["paths"]) <= set(wrong["path"])
        assert len(attention["maps"]) == len(attention["paths"]) == min(12, len(wrong))


def test_the_record_names_the_model_and_its_speed(
    predictions: Predictions, trained: TrainedModel, arrays: Arrays
) -> None:
    assert predictions.model_key == trained.key
    assert predictions.key == recipe(trained, arrays).key
    assert predictions.seconds_per_1000 > 0


def test_a_damaged_model_file_is_one_clear_error(trained: TrainedModel, tmp_path: Path) -> None:
    damaged = tmp_path / "model.keras"
    for content in (b"", b"no model", trained.file("model.keras").read_bytes()[:2_000]):
        damaged.write_bytes(content)
        with pytest.raises(TrainingError, match="cannot be loaded as a Keras model") as caught:
            load_model(damaged)
        assert "\n" not in str(caught.value)
        assert str(damaged) in str(caught.value)


def test_a_missing_model_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be loaded as a Keras model"):
        load_model(tmp_path / "model.keras")


def test_what_failed_is_not_stored(
    trained: TrainedModel, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)

    def refuse(path: Path) -> None:
        raise TrainingError(f"{path} cannot be loaded.")

    monkeypatch.setattr("catdog.training.evaluate.load_model", refuse)
    with pytest.raises(TrainingError):
        store.obtain(recipe(trained, arrays))
    assert store.find(Predictions, recipe(trained, arrays).key) is None
