"""What a model draws depends on the seed and the epoch, not on what was drawn before."""

import random
from typing import Any

import numpy as np
import pytest

from catdog.backbones import new_base
from catdog.models import MODELS, build_model, model_spec
from catdog.training.seeding import seed_epoch, seeded

SIZE = 32
PHOTOS = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)


def unseeded(name: str) -> Any:
    base = new_base("mobilenetv2", SIZE) if model_spec(name).pretrained else None
    return build_model(name, classes=2, image_size=SIZE, base=base)


def built(seed: int) -> Any:
    with seeded(seed):
        return unseeded("preprocessed")


@pytest.fixture(scope="module")
def model() -> Any:
    return built(1)


def drawn(model: Any, *, seed: int, epoch: int) -> np.ndarray:
    seed_epoch(model, seed=seed, epoch=epoch)
    return np.asarray(model(PHOTOS, training=True))


def first_weights_are_those_of_keras(name: str) -> bool:
    import keras

    keras.utils.set_random_seed(7)
    expected = unseeded(name)
    random.seed(8)
    before = random.getstate()
    with seeded(7):
        model = unseeded(name)
    return random.getstate() == before and all(
        np.array_equal(mine, theirs)
        for mine, theirs in zip(model.weights, expected.weights, strict=True)
        if "seed_generator_state" not in mine.path  # that one `seed_epoch` sets
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_first_weights_are_those_of_keras_whatever_else_drew_meanwhile(name: str) -> None:
    # What Keras gives alone is only seen while no other thread of the tests draws, too.
    assert any(first_weights_are_those_of_keras(name) for _ in range(3))


def test_another_seed_gives_other_first_weights(model: Any) -> None:
    assert (model.get_weights()[0] != built(2).get_weights()[0]).any()


def test_every_kind_of_layer_gets_its_first_weights_from_the_seed() -> None:
    def build() -> Any:
        from keras import Input, Sequential, layers

        def attention(values: Any) -> Any:
            return layers.MultiHeadAttention(2, 4, dropout=0.5)(values, values)

        photos = Input((8, 8, 3))
        maps = layers.SeparableConv2D(4, 3)(layers.DepthwiseConv2D(3)(photos))
        rows = layers.Reshape((4, 16))(maps)
        last = layers.Bidirectional(layers.GRU(3, dropout=0.5))(attention(rows))
        return keras.Model(photos, Sequential([layers.PReLU(), layers.Dense(2)])(last))

    import keras

    found = []
    for _ in range(2):
        with seeded(7):
            found.append(build().get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_random_layers_within_layers_draw_by_the_epoch() -> None:
    import keras

    photos = keras.Input((4, 6))
    seen = keras.layers.MultiHeadAttention(2, 4, dropout=0.5)(photos, photos)
    model = keras.Model(photos, keras.Sequential([keras.layers.Dropout(0.5)])(seen * 2.0))
    batch = np.random.default_rng(0).uniform(size=(2, 4, 6)).astype(np.float32)

    def drawn(epoch: int) -> np.ndarray:
        seed_epoch(model, seed=1, epoch=epoch)
        return np.asarray(model(batch, training=True))

    first, second = drawn(0), drawn(1)
    assert (first != second).any()
    np.testing.assert_array_equal(drawn(0), first)


def test_an_epoch_draws_the_same_whatever_went_before(model: Any) -> None:
    first = drawn(model, seed=1, epoch=3)
    drawn(model, seed=1, epoch=4)
    np.testing.assert_array_equal(drawn(model, seed=1, epoch=3), first)


def test_another_epoch_or_seed_draws_anew(model: Any) -> None:
    first = drawn(model, seed=1, epoch=3)
    assert (drawn(model, seed=1, epoch=4) != first).any()
    assert (drawn(model, seed=2, epoch=3) != first).any()


def test_every_random_layer_gets_numbers_of_its_own(model: Any) -> None:
    seed_epoch(model, seed=1, epoch=0)
    states = [
        tuple(generator.state.numpy())
        for layer in model.layers
        if (
            generator := getattr(layer, "seed_generator", None) or getattr(layer, "generator", None)
        )
    ]
    assert len(states) == len(set(states)) == 3
