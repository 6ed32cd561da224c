"""Random numbers that depend on the seed and the epoch alone.

A resumed training draws the same ones as one that was never interrupted.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np


def seed_weights(seed: int) -> None:
    """Fix the first weights of the models that are built next."""
    import keras

    keras.utils.set_random_seed(seed)


def seed_epoch(model: Any, *, seed: int, epoch: int) -> None:
    """Fix what the model's random layers (dropout, augmentation) draw in this epoch (from 0)."""
    for index, generator in enumerate(_seed_generators(model)):
        state = np.random.SeedSequence([seed, epoch, index]).generate_state(2)
        generator.state.assign(state.astype(generator.state.dtype))


def _seed_generators(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _seed_generators(layer)
        elif hasattr(layer, "seed_generator"):
            yield layer.seed_generator
        elif hasattr(layer, "generator"):
            yield layer.generator
