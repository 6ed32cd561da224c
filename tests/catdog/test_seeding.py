"""What a model draws depends on the seed and the epoch, not on what was drawn before."""

from typing import Any

import numpy as np
import pytest

from catdog.models import build_model
from catdog.seeding import seed_epoch, seed_weights

SIZE = 32
PHOTOS = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)


def built(seed: int) -> Any:
    seed_weights(seed)
    return build_model("preprocessed", classes=2, image_size=SIZE)


@pytest.fixture(scope="module")
def model() -> Any:
    return built(1)


def drawn(model: Any, *, seed: int, epoch: int) -> np.ndarray:
    seed_epoch(model, seed=seed, epoch=epoch)
    return np.asarray(model(PHOTOS, training=True))


def test_the_first_weights_are_those_of_the_seed(model: Any) -> None:
    again, other = built(1), built(2)
    for mine, same in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, same)
    assert (model.get_weights()[0] != other.get_weights()[0]).any()


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
