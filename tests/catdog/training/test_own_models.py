"""A model of the user's own is trained, goes on, is scored, explained and exported like ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog.errors import TrainingError
from catdog.export import flatbuffer
from catdog.settings import Training
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.store import Store
from catdog.training import evaluate
from catdog.training.evaluate import load_model
from catdog.training.progress import Progress
from catdog.training.train import recipe

EXAMPLE = f"{Path(__file__).parents[3] / 'examples' / 'my_models.py'}:small_resnet"
TINY = """\
import keras
from keras import layers


def tiny(classes, size):
    photos = keras.Input((size, size, 3))
    maps = keras.Sequential([layers.RandomRotation(0.1), layers.RandomContrast(0.2)])(photos)
    maps = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(maps))
    hidden = layers.Dropout(0.3)(layers.GlobalMaxPooling2D()(maps))
    return keras.Model(photos, layers.Dense(classes, activation="softmax")(hidden))
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "models.py").write_text(TINY, encoding="utf-8")
    return f"{tmp_path}/models.py:tiny"


def train(
    reference: str,
    arrays: Arrays,
    training: Training,
    store: Store,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> TrainedModel:
    how = recipe(reference, arrays, training, None, store=store, on_progress=on_progress)
    return store.obtain(how)


def weights_of(model: TrainedModel) -> list[np.ndarray]:
    found: list[np.ndarray] = load_model(model.file("model.keras")).get_weights()
    return found


def test_an_interrupted_training_ends_as_if_it_never_was(
    tiny: str, arrays: Arrays, training: Training, tmp_path: Path
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.finished_epochs == 1:
            raise KeyboardInterrupt

    whole = train(tiny, arrays, training, Store(tmp_path / "whole"))
    resumed = Store(tmp_path / "resumed")
    with pytest.raises(KeyboardInterrupt):
        train(tiny, arrays, training, resumed, interrupt)
    last = train(tiny, arrays, training, resumed)
    assert last.name == "tiny"
    assert last.facts()["defined_in"] == "models.py:tiny"
    for mine, same in zip(weights_of(last), weights_of(whole), strict=True):
        np.testing.assert_array_equal(mine, same)


def test_its_key_is_that_of_its_code(
    tiny: str, arrays: Arrays, training: Training, store: Store, tmp_path: Path
) -> None:
    def key(text: str) -> str:
        (tmp_path / "models.py").write_text(text, encoding="utf-8")
        return recipe(tiny, arrays, training, None, store=store).key

    first = key(TINY)
    assert key(TINY + "# a comment\n") == first
    assert key(TINY.replace("Conv2D(4", "Conv2D(5")) != first
    assert key(TINY) == first


ASKED = {"learning_rate": 0.1, "label_smoothing": 0.2, "schedule": "cosine"}


@pytest.mark.parametrize(
    ("compiled", "unused"),
    [(False, ("augmentation", "precision")), (True, ("augmentation", "precision", *ASKED))],
)
def test_what_its_own_code_decides_is_not_set_and_that_is_told(
    arrays: Arrays,
    training: Training,
    store: Store,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    compiled: bool,
    unused: tuple[str, ...],
) -> None:
    text = TINY.replace("return keras.Model(", "model = keras.Model(") + (
        "    model.compile('adam', 'sparse_categorical_crossentropy')\n" if compiled else ""
    )
    (tmp_path / "models.py").write_text(f"{text}    return model\n", encoding="utf-8")
    own = f"{tmp_path}/models.py:tiny"
    in_layers = {"augmentation": "stronger", "precision": "bfloat16"}
    usual, changed = (
        train(own, arrays, training.model_copy(update=changes), store)
        for changes in ({}, ASKED | in_layers)
    )
    (note,) = changed.facts()["notes"]
    assert set(note.partition("decides ")[2].split(", ")) == set(unused)
    assert note in caplog.text
    assert usual.facts()["notes"] == []
    assert changed.facts()["precision"] == "float32"
    same = all((a == b).all() for a, b in zip(*map(weights_of, (usual, changed)), strict=True))
    assert same == compiled
    layers = training.model_copy(update=in_layers)
    again = recipe(own, arrays, layers, None, store=store)
    assert again.key == usual.key, "what no function heeds trains nothing again"


@pytest.mark.parametrize(
    ("optimizer", "loss", "part"),
    [
        ("keras.optimizers.SGD(float('inf'))", "sparse_categorical_crossentropy", "not a number"),
        ("'adam'", "categorical_crossentropy", "models.py"),
    ],
)
def test_a_training_that_fails_is_one_line(
    arrays: Arrays,
    training: Training,
    store: Store,
    tmp_path: Path,
    optimizer: str,
    loss: str,
    part: str,
) -> None:
    body = TINY.replace("return keras.Model(", "model = keras.Model(")
    (tmp_path / "models.py").write_text(
        f"{body}    model.compile({optimizer}, {loss!r})\n    return model\n", encoding="utf-8"
    )
    with pytest.raises(TrainingError) as caught:
        train(f"{tmp_path}/models.py:tiny", arrays, training, store)
    message = str(caught.value)
    assert "\n" not in message
    assert "'tiny'" in message
    assert part in message
    assert store.folders(TrainedModel) == []


def test_the_example_is_trained_scored_explained_and_made_ready_for_use(
    arrays: Arrays, training: Training, store: Store
) -> None:
    model = train(EXAMPLE, arrays, training, store)
    assert (model.name, model.epochs) == ("small_resnet", 2)
    assert model.augmented() is not None
    predictions = store.obtain(evaluate.recipe(model, arrays))
    assert set(predictions.table()["model"]) == {"small_resnet"}
    maps: dict[str, Any] = predictions.attention()
    assert maps
    assert all(0 <= seen.min() <= seen.max() <= 1 for seen in maps.values())
    assert store.obtain(flatbuffer.recipe(model)).difference < 1e-3
