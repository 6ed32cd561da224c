"""A frozen base must give what Keras gives, whatever the batch and the threads."""

import os
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from catdog.backbones import Base
from catdog.fast.frozen_base import FrozenBase

SIZE = 32
IMAGES = np.random.default_rng(1).uniform(-1, 1, (11, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def fast_base(base: Base) -> FrozenBase:
    return FrozenBase(base.network, examples=IMAGES, threads=1)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])
def test_any_number_of_images_gives_what_keras_gives(
    base: Base, fast_base: FrozenBase, count: int
) -> None:
    features = fast_base.run(IMAGES[:count])
    assert features.dtype == np.float32
    assert features.shape == (count, *base.network.output_shape[1:])
    if count:
        np.testing.assert_allclose(features, base.network(IMAGES[:count]), atol=1e-5)


def test_features_depend_on_neither_neighbours_nor_threads(
    base: Base, fast_base: FrozenBase
) -> None:
    alone = np.concatenate([fast_base.run(IMAGES[i : i + 1]) for i in range(len(IMAGES))])
    np.testing.assert_array_equal(alone, fast_base.run(IMAGES))
    free = iter([0, 2, 2, 1])
    other = FrozenBase(base.network, examples=IMAGES, threads=1, free_cores=lambda: next(free))
    for _ in range(3):
        np.testing.assert_array_equal(alone, other.run(IMAGES))
    with pytest.raises(StopIteration):
        other.run(IMAGES)


def test_it_runs_within_a_graph_and_keeps_its_shape(fast_base: FrozenBase) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)])
    def through(images: Any) -> Any:
        features = fast_base(images, training=True)
        assert features.shape == (None, *fast_base.output_shape)
        return features

    np.testing.assert_array_equal(through(IMAGES), fast_base.run(IMAGES))


def test_conversion_leaves_the_terminal_alone(
    base: Base, capfd: pytest.CaptureFixture[str]
) -> None:
    FrozenBase(base.network, examples=IMAGES, threads=1)
    assert "XNNPACK" not in capfd.readouterr().err


def test_a_conversion_that_computes_something_else_is_refused(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrozenBase, "run", lambda self, _: np.array(np.nan))
    with pytest.raises(ValueError, match="differs from Keras"):
        FrozenBase(base.network, examples=IMAGES, threads=1)
