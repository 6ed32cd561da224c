"""What a model sees in a photo, and how far that is from the photos that it knows."""

from typing import Any

import numpy as np
import pytest

from catdog.inference.features import WIDEST, distance, narrowed, strange_from, with_features
from catdog.inference.litert import Network, convert


def dense_model(**last: Any) -> Any:
    import keras

    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((8, 8, 3)),
        keras.layers.Flatten(),
        keras.layers.Dense(5, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(2, **last),
    ]
    return keras.Sequential(layers)


def test_features_are_what_the_last_layer_gets_and_probabilities_stay_the_same() -> None:
    import keras

    model = dense_model(activation="softmax")
    plain = convert(model, (1, 8, 8, 3))
    photo = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    seeing, before = Network(with_features(plain)), Network(plain)
    assert (seeing(photo) == before(photo)).all()
    hidden = keras.Sequential(model.layers[:-1])
    expected = np.asarray(hidden(photo, training=False))
    np.testing.assert_allclose(seeing.output(1), expected, rtol=1e-4, atol=1e-4)


def test_a_model_that_ends_otherwise_has_none() -> None:
    with pytest.raises(ValueError, match="dense layer with softmax"):
        with_features(convert(dense_model(activation="sigmoid"), (1, 8, 8, 3)))


def test_wide_features_keep_their_likeness() -> None:
    rng = np.random.default_rng(0)
    one = rng.random((1, 3 * WIDEST + 5)).astype(np.float32)
    near = one + 0.05 * rng.random(one.shape).astype(np.float32)
    far = np.roll(one, 7, axis=1) * (rng.random(one.shape) < 0.1)
    shown = narrowed(np.concatenate([one, near, far.astype(np.float32)]))
    assert shown.shape == (3, WIDEST)
    known = shown[:1].astype(np.float16)
    assert distance(shown[0], known) == pytest.approx(0, abs=1e-3)
    assert distance(shown[1], known) < 0.05 < distance(shown[2], known)


def test_a_photo_without_any_feature_is_as_far_as_can_be() -> None:
    (nothing,) = narrowed(np.zeros((1, 4), np.float32))
    assert distance(nothing, np.eye(4, dtype=np.float16)) == 1


def test_at_most_the_share_that_was_asked_for_is_strange() -> None:
    distances = np.arange(999) / 1000
    farthest = strange_from(distances, 0.01)
    assert (distances >= farthest).sum() == 10
    assert strange_from(distances[:50], 0.01) == float("inf")
