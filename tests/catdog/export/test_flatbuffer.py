"""A model is converted once, and only kept when it gives what Keras gives."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catdog.backbones import Base
from catdog.errors import TrainingError
from catdog.export import flatbuffer as making
from catdog.export.flatbuffer import flatbuffer_of, recipe
from catdog.inference.litert import Network, convert
from catdog.models import MODELS, build_model
from catdog.store.artifacts import Flatbuffer, TrainedModel
from catdog.store.store import Store

SIZE = 32


@pytest.mark.parametrize("name", MODELS)
def test_each_model_gives_what_keras_gives(name: str, base: Base) -> None:
    needed = base if MODELS[name].pretrained else None
    model = build_model(name, classes=3, image_size=SIZE, base=needed)
    network = Network(convert(model, (1, SIZE, SIZE, 3)))
    images = making._pictures(SIZE)
    found = np.concatenate([network(image[None]) for image in images])
    assert making._apart(found, np.asarray(model(images, training=False))) < 1e-4


def test_a_model_of_an_older_version_is_converted_when_first_used(
    trained: TrainedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    with caplog.at_level(logging.WARNING):
        first = flatbuffer_of(trained, store)
        assert [record.getMessage() for record in caplog.records] == [
            "baseline is converted for fast predictions; this is done once."
        ]
        assert flatbuffer_of(trained, store) == first
    assert len(caplog.records) == 1


def test_a_conversion_that_lost_weights_is_refused(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(model: Any, shape: tuple[int, ...]) -> bytes:
        model.layers[-1].set_weights([weight * 0.99 for weight in model.layers[-1].get_weights()])
        flatbuffer = convert(model, shape)
        model.layers[-1].set_weights([weight / 0.99 for weight in model.layers[-1].get_weights()])
        return flatbuffer

    monkeypatch.setattr(making, "convert", forgetful)
    store = Store(tmp_path)
    with pytest.raises(TrainingError, match="not what it is in Keras"):
        store.obtain(recipe(trained))
    assert store.folders(Flatbuffer) == []
