"""The fast way must be the slow way's equal: same numbers, same random draws, same training."""

import io
import logging
import os
import zipfile
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from keras import layers
from PIL import Image

from catdog import frozen_base
from catdog.frozen_base import FrozenBase, accelerate, without_base
from catdog.models import build_model
from catdog.seeding import seed_epoch
from catdog.weights import find_weights, load_base

SIZE = 32
IMAGES = np.random.default_rng(1).uniform(0, 255, (11, SIZE, SIZE, 3)).astype(np.float32)
LABELS = np.arange(11, dtype=np.int32) % 3


def small_base() -> Any:
    """What MobileNetV2 is made of, with statistics as after training."""
    base = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.ZeroPadding2D(((0, 1), (0, 1))),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6),
        ]
    )
    rng = np.random.default_rng(2)
    for layer in base.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, 8) for _ in range(4)])
    base.trainable = False
    return base


@pytest.fixture(scope="module")
def base() -> Any:
    keras.utils.set_random_seed(3)
    return small_base()


@pytest.fixture(scope="module")
def fast_base(base: Any) -> FrozenBase:
    return FrozenBase(base, threads=1)


def transfer(base: Any, name: str = "transfer") -> Any:
    keras.utils.set_random_seed(4)
    return build_model(name, classes=3, image_size=SIZE, base=base)


def batches() -> Any:
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_any_number_of_images_gives_what_keras_gives(
    base: Any, fast_base: FrozenBase, count: int
) -> None:
    images = IMAGES[:count] / 127.5 - 1
    features = fast_base(images)
    assert features.dtype == np.float32
    assert features.shape == (count, *base.output_shape[1:])
    if count:
        np.testing.assert_allclose(features, base(images), atol=1e-5)


def test_features_depend_on_neither_neighbours_nor_threads(
    base: Any, fast_base: FrozenBase
) -> None:
    images = IMAGES / 127.5 - 1
    alone = np.concatenate([fast_base(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_array_equal(alone, fast_base(images))
    np.testing.assert_array_equal(alone, FrozenBase(base, threads=2)(images))


def test_conversion_leaves_the_terminal_alone(base: Any, capfd: pytest.CaptureFixture[str]) -> None:
    FrozenBase(base, threads=1)
    assert "XNNPACK" not in capfd.readouterr().err


def test_twin_predicts_and_augments_as_the_model_does(base: Any) -> None:
    model = transfer(base)
    twin = accelerate(model, threads=1)
    assert twin is not model
    np.testing.assert_allclose(
        twin.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0), atol=1e-5
    )
    drawn = []
    for either in (twin, model):
        seed_epoch(either, seed=5, epoch=6)
        drawn.append(either(IMAGES, training=True))
    np.testing.assert_allclose(*drawn, atol=1e-5)


def test_training_the_twin_trains_the_model(base: Any) -> None:
    slow, model = transfer(base), transfer(base)
    before = base.get_weights()
    twin = accelerate(model, threads=1)
    for trained in (slow, twin):
        for epoch in range(2):
            seed_epoch(trained, seed=1, epoch=epoch)
            trained.fit(batches(), shuffle=False, verbose=0)
    for ours, theirs in zip(model.get_weights(), slow.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert int(model.optimizer.iterations) == int(slow.optimizer.iterations)
    for now, then in zip(base.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_held_out_photos_need_the_base_once(base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = transfer(base)
    twin = accelerate(model, threads=1)
    features = without_base(twin, batches())
    monkeypatch.setattr(FrozenBase, "__call__", lambda *_: pytest.fail("the base ran again"))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in features]), LABELS)
    np.testing.assert_allclose(
        twin.evaluate(features, verbose=0), model.evaluate(batches(), verbose=0), atol=1e-5
    )


def test_weights_of_a_twin_come_back(base: Any, tmp_path: Any) -> None:
    twin = accelerate(transfer(base), threads=1)
    twin.fit(batches(), shuffle=False, verbose=0)
    twin.save_weights(tmp_path / "state.weights.h5")
    model = transfer(base)
    accelerate(model, threads=1).load_weights(tmp_path / "state.weights.h5")
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), twin.predict(IMAGES, verbose=0), atol=1e-5
    )


def test_a_model_without_a_frozen_base_stays_as_it_is() -> None:
    model = transfer(None, "preprocessed")
    assert accelerate(model, threads=1) is model
    data = batches()
    assert without_base(model, data) is data


@pytest.mark.parametrize("reason", ["refused", "wrong"])
def test_a_failed_conversion_is_said_and_the_model_stays(
    base: Any, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> bytes:
        raise RuntimeError("refused")

    if reason == "refused":
        monkeypatch.setattr(frozen_base, "_convert", refuse)
    else:
        monkeypatch.setattr(FrozenBase, "__call__", lambda self, _: np.array(np.nan))
    model = transfer(base)
    with caplog.at_level(logging.WARNING):
        assert accelerate(model, threads=1) is model
    assert len(caplog.records) == 1


@pytest.mark.slow
@pytest.mark.skipif("REAL_PHOTOS" not in os.environ, reason="REAL_PHOTOS names no archive")
def test_real_photos_are_predicted_alike(tmp_path: Any) -> None:
    keras.utils.set_random_seed(1)
    base = load_base(find_weights("embedded", home=tmp_path), 160)
    model = build_model("transfer", classes=2, image_size=160, base=base)
    twin = accelerate(model, threads=2)
    assert twin is not model
    differences = []
    with zipfile.ZipFile(os.environ["REAL_PHOTOS"]) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for start in range(0, len(names), 64):
            images = np.stack([read(archive, name) for name in names[start : start + 64]])
            differences.append(twin.predict_on_batch(images) - model.predict_on_batch(images))
    assert np.abs(np.concatenate(differences)).max() < 1e-4


def read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with Image.open(io.BytesIO(archive.read(name))) as photo:
        return np.asarray(photo.convert("RGB").resize((160, 160)), np.float32)
