"""Each backbone is what Keras publishes, takes photos as they are, and goes all the way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog.backbones import BACKBONES, DEFAULT_BACKBONE, new_base
from catdog.export.flatbuffer import recipe as flatbuffer_recipe
from catdog.fast.division import divided
from catdog.models import build_model
from catdog.settings import Training
from catdog.store.artifacts import Arrays
from catdog.store.store import Store
from catdog.training.evaluate import load_model
from catdog.training.evaluate import recipe as evaluate_recipe
from catdog.training.train import recipe
from catdog.training.weights import Weights

OTHERS = [name for name in BACKBONES if name != DEFAULT_BACKBONE]


class DownloadError(Exception):
    """Stands for a download that is not made."""


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
@pytest.mark.parametrize("name", BACKBONES)
def test_weights_are_those_that_keras_would_download(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    asked: dict[str, Any] = {}

    def get_file(_: str, origin: str, file_hash: str = "", **__: Any) -> str:
        asked.update(url=origin, checksum=file_hash)
        raise DownloadError

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    backbone = BACKBONES[name]
    build = getattr(keras.applications, backbone.application)
    with pytest.raises(DownloadError):
        build(input_shape=(160, 160, 3), include_top=False)
    assert asked == {"url": backbone.url, "checksum": backbone.checksum}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_upper_part_of_each_can_train_alone(name: str) -> None:
    base = new_base(name, 32)
    assert base.network.trainable_weights == []
    base.train(upper=True)
    parts = divided(base.network)
    assert parts is not None
    lower, upper = parts
    assert lower.trainable_weights == []
    trained = {id(weight) for weight in base.network.trainable_weights}
    assert {id(weight) for weight in upper.trainable_weights} == trained
    assert 0.4 < sum(map(size, upper.trainable_weights)) / base.network.count_params() < 0.9


def size(weight: Any) -> int:
    return int(np.prod(weight.shape))


@pytest.mark.parametrize("name", BACKBONES)
def test_photos_reach_it_in_the_range_that_it_was_trained_on(name: str) -> None:
    """As `preprocess_input` of its module has it, on which Keras documents the range."""
    import keras

    backbone = BACKBONES[name]
    where = getattr(keras.applications, backbone.application).__module__.rpartition(".")[2]
    preprocess = getattr(keras.applications, where).preprocess_input
    photos = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    model = build_model("transfer", classes=2, image_size=32, base=new_base(name, 32))
    values = photos
    for layer in model.layers[: [hasattr(layer, "layers") for layer in model.layers].index(True)]:
        values = layer(values, training=False)
    np.testing.assert_allclose(values, preprocess(photos.copy()), atol=1e-5)


def test_no_branch_is_dropped_in_training() -> None:
    """A frozen EfficientNet would be another network with each batch."""
    base = new_base("efficientnetv2b0", 32)
    photos = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    ways = [base.network(photos, training=training) for training in (False, True)]
    np.testing.assert_array_equal(*ways)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_each_goes_all_the_way(
    name: str, arrays: Arrays, training: Training, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Trained in both phases, scored, explained, and converted as for an export."""
    store, weights = Store(tmp_path), Weights("random", None, "", "", name)
    model = store.obtain(recipe("finetuned", arrays, training, weights, store=store))
    assert model.facts()["weights"]["backbone"] == name
    assert "slow way" not in caplog.text
    predictions = store.obtain(evaluate_recipe(model, arrays))
    assert len(predictions.table()) == arrays.counts["validation"] + arrays.counts["test"]
    assert all(heat.ndim == 2 and heat.max() <= 1 for heat in predictions.attention().values())
    flatbuffer = store.obtain(flatbuffer_recipe(model))
    assert flatbuffer.difference < 1e-3
    assert load_model(model.file("model.keras")).count_params() == model.parameters
