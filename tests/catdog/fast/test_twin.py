"""The fast way must be the slow way's equal: same numbers, same random draws, same training."""

import io
import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from keras import layers
from PIL import Image

from catdog.backbones import Backbone, Base, new_base
from catdog.fast import frozen_base
from catdog.fast import twin as twin_module
from catdog.fast.augmentation import Augmentation
from catdog.fast.convolution import PooledConvolution
from catdog.fast.frozen_base import FrozenBase
from catdog.fast.twin import accelerate, without_base
from catdog.models import MODELS, Phase, begin_phase, build_model
from catdog.training.pipeline import balanced_weights, softened
from catdog.training.seeding import seed_epoch
from catdog.training.weights import fill_base, find_weights

SIZE = 32
IMAGES = np.random.default_rng(1).integers(0, 256, (11, SIZE, SIZE, 3), dtype=np.uint8)
FLOATS = IMAGES.astype(np.float32)
LABELS = np.arange(11, dtype=np.int32) % 3


UPPER = Phase(upper=True)


def built(name: str, base: Base | None, phase: Phase | None = None, **varied: Any) -> Any:
    keras.utils.set_random_seed(4)
    spec = MODELS[name].varied(**varied)
    model = build_model(spec, classes=3, image_size=SIZE, base=base)
    if phase:
        begin_phase(model, phase, base)
    return model


def batches(images: np.ndarray = IMAGES) -> Any:
    return tf.data.Dataset.from_tensor_slices((images, LABELS)).batch(4)


def drawn(model: Any, seeded: Any, images: np.ndarray) -> Any:
    """What a model gives in training, with random numbers fixed through `seeded`."""
    seed_epoch(seeded, seed=5, epoch=6)
    return model(images, training=True)


@pytest.mark.parametrize("name", MODELS)
def test_a_twin_predicts_and_augments_as_its_model_does(name: str, base: Base) -> None:
    model = built(name, base)
    twin = accelerate(model, threads=1)
    assert twin is not model
    np.testing.assert_allclose(
        twin.predict(IMAGES, verbose=0), model.predict(FLOATS, verbose=0), atol=1e-5
    )
    np.testing.assert_allclose(drawn(twin, model, IMAGES), drawn(model, model, FLOATS), atol=2e-5)


@pytest.mark.parametrize("name", MODELS)
def test_training_the_twin_trains_the_model(name: str, base: Base) -> None:
    slow, model = built(name, base), built(name, base)
    before = base.network.get_weights()
    twin = accelerate(model, threads=1)
    for trained, seeded in ((slow, slow), (twin, model)):
        for epoch in range(2):
            seed_epoch(seeded, seed=1, epoch=epoch)
            trained.fit(batches(), shuffle=False, verbose=0)
    moved = [
        np.abs(w - first).max()
        for w, first in zip(model.get_weights(), built(name, base).get_weights(), strict=True)
    ]
    for ours, theirs in zip(model.trainable_weights, slow.trainable_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)
    assert max(moved) > 1e-3
    assert int(model.optimizer.iterations) == int(slow.optimizer.iterations) == 6
    for now, then in zip(base.network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("augmentation", ["none", "standard", "stronger"])
@pytest.mark.parametrize("name", ["baseline", "preprocessed", "transfer"])
def test_a_twin_trains_as_keras_with_each_setting(name: str, augmentation: str, base: Base) -> None:
    """Other augmentation, a longer step, smoothed labels and weighted classes, all at once."""
    varied = {"augmentation": augmentation, "learning_rate": 0.002, "soft_labels": True}
    slow, model = built(name, base, **varied), built(name, base, **varied)
    twin = accelerate(model, threads=1)
    weights = balanced_weights(LABELS, 3)
    losses = []
    for trained, seeded in ((slow, slow), (twin, model)):
        seed_epoch(seeded, seed=1, epoch=0)
        data = softened(batches(), 3, 0.2)
        fitted = trained.fit(data, shuffle=False, class_weight=weights, verbose=0)
        losses.append(fitted.history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for ours, theirs in zip(model.trainable_weights, slow.trainable_weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=5e-4)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("shape", [(5, 32, 32, 3), (3, 20, 31, 1)])
def test_augmentation_in_one_pass_is_that_of_the_layers(
    scaled: bool, shape: tuple[int, ...]
) -> None:
    images = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    slow = [
        *([layers.Rescaling(1 / 127.5, offset=-1)] if scaled else []),
        layers.RandomFlip("horizontal", seed=1),
        layers.RandomRotation(1.0, seed=2),
    ]
    fast = Augmentation.of([*slow, layers.Flatten()])
    assert fast is not None
    assert fast.layers == len(slow)
    model = keras.Sequential([keras.Input(shape[1:]), *slow])
    for epoch in range(3):
        seed_epoch(model, seed=0, epoch=epoch)
        ours = fast(images, training=True)
        seed_epoch(model, seed=0, epoch=epoch)
        theirs = images.astype(np.float32)
        for layer in slow:
            theirs = layer(theirs, training=True)
        np.testing.assert_allclose(ours, theirs, atol=0.05 / (127.5 if scaled else 1))
        assert np.abs(ours - fast(images)).max() > 0.1


@pytest.mark.parametrize(
    "other",
    [
        [layers.RandomFlip("vertical"), layers.RandomRotation(0.2)],
        [layers.RandomFlip("horizontal"), layers.RandomRotation(0.2, fill_mode="nearest")],
        [layers.RandomFlip("horizontal"), layers.RandomRotation(0.2, interpolation="nearest")],
        [layers.RandomFlip("horizontal"), layers.Flatten()],
        [layers.Rescaling(2.0), layers.Flatten()],
    ],
)
def test_other_augmentation_is_left_to_keras(other: list[Any]) -> None:
    assert Augmentation.of(other) is None


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_pooling_first_gives_the_same_numbers_and_gradients(padding: str) -> None:
    keras.utils.set_random_seed(1)
    convolution = layers.Conv2D(4, 3, activation="relu", padding=padding, bias_initializer="normal")
    pool = layers.MaxPooling2D(2)
    convolution.build((None, 9, 9, 3))
    images = tf.random.stateless_normal((5, 9, 9, 3), seed=(1, 2))
    weights = [convolution.kernel.value, convolution.bias.value]
    found = []
    for way in (
        PooledConvolution.of([convolution, pool]),
        lambda x, training: pool(convolution(x)),
    ):
        with tf.GradientTape() as tape:
            values = way(images, training=True)
            loss = tf.reduce_sum(values**2)
        found.append([values, *tape.gradient(loss, weights)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "convolution",
    [
        layers.Conv2D(4, 3, activation="tanh"),
        layers.Conv2D(4, 3, activation="relu", use_bias=False),
        layers.DepthwiseConv2D(3, activation="relu"),
    ],
)
def test_other_convolutions_are_left_to_keras(convolution: Any) -> None:
    assert PooledConvolution.of([convolution, layers.MaxPooling2D(2)]) is None


def test_held_out_photos_need_the_base_once(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    model = built("transfer", base)
    twin = accelerate(model, threads=1)
    features = without_base(twin, batches())
    monkeypatch.setattr(FrozenBase, "run", lambda *_: pytest.fail("the base ran again"))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in features]), LABELS)
    np.testing.assert_allclose(
        twin.evaluate(features, verbose=0), model.evaluate(batches(), verbose=0), atol=1e-5
    )


def test_scoring_what_was_just_trained_runs_the_base_on_no_validation_photo_again(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = built("transfer", base)
    known = without_base(accelerate(model, threads=1), batches(), "these")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    loaded.trainable = False
    twin = accelerate(loaded, threads=1)
    with monkeypatch.context() as patch:
        patch.setattr(FrozenBase, "run", lambda *_: pytest.fail("the base ran again"))
        again = without_base(twin, batches(), "these")
    np.testing.assert_array_equal(
        twin.predict(again, verbose=0),
        accelerate(model, threads=1).predict(known, verbose=0),
    )
    others = without_base(twin, batches(IMAGES[::-1]), "others")
    np.testing.assert_array_equal(
        twin.predict(others, verbose=0), twin.predict(again, verbose=0)[::-1]
    )


def test_a_base_is_split_where_training_begins(base: Base, make_base: Callable[..., Base]) -> None:
    """The lower part is inference, the upper part trains as Keras would train it."""
    other = make_base()
    slow, model = built("finetuned", other, UPPER), built("finetuned", base, UPPER)
    twin = accelerate(model, threads=1)
    (lower,) = (stage for stage in twin.stages if isinstance(stage, FrozenBase))
    assert lower.output_shape == base.network.get_layer("depthwise").input.shape[1:]
    np.testing.assert_allclose(
        twin.predict(IMAGES, verbose=0), slow.predict(FLOATS, verbose=0), atol=1e-5
    )
    for trained, seeded in ((slow, slow), (twin, model)):
        seed_epoch(seeded, seed=1, epoch=0)
        trained.fit(batches(), shuffle=False, verbose=0)
    same = [id(weight) for weight in model.trainable_weights]
    assert [id(weight) for weight in twin.trainable_weights] == same
    for ours, theirs in zip(model.get_weights(), slow.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)


def test_held_out_photos_need_the_lower_part_once(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = built("finetuned", base, UPPER)
    twin = accelerate(model, threads=1)
    features = without_base(twin, batches())
    monkeypatch.setattr(FrozenBase, "run", lambda *_: pytest.fail("the lower part ran again"))
    np.testing.assert_allclose(
        twin.evaluate(features, verbose=0), model.evaluate(batches(), verbose=0), atol=1e-5
    )


def test_features_that_would_fill_the_memory_are_not_kept(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin, data = accelerate(built("finetuned", base, UPPER), threads=1), batches()
    needed = 12 * 16 * 16 * 8 * 4  # three batches of four, 16 x 16 x 8 floats an image
    monkeypatch.setattr(twin_module, "FEATURES_BYTES", needed)
    assert without_base(twin, data) is not data
    monkeypatch.setattr(twin_module, "FEATURES_BYTES", needed - 1)
    assert without_base(twin, data) is data


def test_a_base_without_one_seam_trains_as_keras_has_it(caplog: pytest.LogCaptureFixture) -> None:
    photos = keras.Input((SIZE, SIZE, 3))
    trained = layers.Conv2D(4, 3, name="upper")(layers.Conv2D(4, 3)(photos))
    network = keras.Model(photos, layers.Add()([trained, layers.Conv2D(4, 5)(photos)]))
    for layer in network.layers:
        layer.trainable = layer.name == "upper"
    base = Base(Backbone("odd", "Odd", "upper", "", "", scaled=True), network)
    model = MODELS["finetuned"].build(3, SIZE, base)
    twin = accelerate(model, threads=1)
    assert "is not connected" in caplog.text
    np.testing.assert_allclose(
        twin.predict(IMAGES, verbose=0), model.predict(FLOATS, verbose=0), atol=1e-5
    )


def test_without_a_frozen_base_held_out_photos_stay_photos() -> None:
    data = batches()
    assert without_base(accelerate(built("preprocessed", None), threads=1), data) is data


def test_the_optimizers_state_is_saved_with_the_model(base: Base, tmp_path: Any) -> None:
    model = built("transfer", base)
    accelerate(model, threads=1).fit(batches(), shuffle=False, verbose=0)
    model.save_weights(tmp_path / "state.weights.h5")
    other = built("transfer", base)
    accelerate(other, threads=1)
    other.optimizer.build(other.trainable_variables)
    other.load_weights(tmp_path / "state.weights.h5")
    np.testing.assert_array_equal(
        other.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )
    assert int(other.optimizer.iterations) == 3


def test_a_model_that_is_no_stack_of_layers_stays_as_it_is() -> None:
    photos = keras.Input((SIZE, SIZE, 3))
    pairs = [layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu")(photos)) for _ in "ab"]
    model = keras.Model(photos, layers.Add()(pairs))
    assert accelerate(model, threads=1) is model


def test_a_model_with_nothing_to_gain_stays_as_it_is() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    assert accelerate(model, threads=1) is model
    data = batches()
    assert without_base(model, data) is data


def test_a_failed_conversion_is_said_and_keras_runs_the_base(
    base: Base, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> bytes:
        raise RuntimeError("refused")

    monkeypatch.setattr(frozen_base, "convert", refuse)
    model = built("transfer", base)
    with caplog.at_level(logging.WARNING):
        twin = accelerate(model, threads=1)
    assert len(caplog.records) == 1
    np.testing.assert_allclose(
        twin.predict(IMAGES, verbose=0), model.predict(FLOATS, verbose=0), atol=1e-5
    )
    assert {id(w) for w in twin.trainable_weights} == {id(w) for w in model.trainable_weights}


@pytest.mark.slow
@pytest.mark.skipif("REAL_PHOTOS" not in os.environ, reason="REAL_PHOTOS names no archive")
def test_real_photos_are_predicted_alike(tmp_path: Any) -> None:
    keras.utils.set_random_seed(1)
    base = fill_base(new_base("mobilenetv2", 160), find_weights("embedded", home=tmp_path))
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
