"""Grad-CAM shows the place that spoke for the class."""

from typing import Any

import numpy as np
import pytest

from catdog.models import build_model
from catdog.training.attention import grad_cam

SIZE = 32


@pytest.fixture(scope="module")
def bright_spot() -> Any:
    """A model whose second class is the brightness of the brightest spot."""
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(1, 3, padding="same", kernel_initializer="ones", name="spots"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.layers[-1].set_weights([np.array([[-1.0, 1.0]]), np.zeros(2)])
    return model


def spot(row: int, column: int) -> np.ndarray:
    image = np.zeros((SIZE, SIZE, 3), dtype=np.float32)
    image[row - 1 : row + 2, column - 1 : column + 2] = 255
    return image


def test_the_map_is_brightest_where_the_class_comes_from(bright_spot: Any) -> None:
    places = [(5, 8), (20, 27)]
    maps = grad_cam(bright_spot, np.stack([spot(*place) for place in places]))
    assert maps is not None
    for found, place in zip(maps, places, strict=True):
        assert np.unravel_index(found.argmax(), found.shape) == place


def test_maps_are_between_0_and_1_and_have_the_size_of_the_last_feature_maps() -> None:
    model = build_model("baseline", classes=3, image_size=SIZE)
    images = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    maps = grad_cam(model, images)
    assert maps is not None
    assert maps.shape == (4, 6, 6)
    assert maps.min() >= 0
    assert set(maps.max(axis=(1, 2))) <= {0.0, 1.0}


def test_a_picture_that_says_nothing_has_an_empty_map(bright_spot: Any) -> None:
    maps = grad_cam(bright_spot, np.zeros((1, SIZE, SIZE, 3), dtype=np.float32))
    assert maps is not None
    assert np.isfinite(maps).all()


def test_a_model_without_feature_maps_has_none() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="softmax")])
    assert grad_cam(model, np.zeros((1, 4), dtype=np.float32)) is None
