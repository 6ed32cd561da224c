"""Random numbers that depend on the seed, the layer and the epoch alone.

A resumed training draws the same ones as one that was never interrupted, and one model's training
the same whatever else its process does: no global generator has a part in them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from threading import Lock
from typing import Any

import numpy as np

STATE = "seed_generator_state"
"""What Keras calls the variable that a random layer draws from."""

_SEEDED = Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let the first weights of what is built meanwhile be those of a seed.

    They are those that `keras.utils.set_random_seed(seed)` would give, were Keras alone in its
    process: it takes a seed for each random part of each layer from Python's global generator, from
    which every thread and every library may draw as well. Weights that are loaded stay as they are.
    """
    from keras.src.random import seed_generator as drawing  # no public name leads there

    with _SEEDED:
        shared = drawing.python_random
        drawing.python_random = Random(seed)  # noqa: S311  not for secrets
        try:
            yield
        finally:
            drawing.python_random = shared


def seed_epoch(model: Any, *, seed: int, epoch: int) -> None:
    """Fix what the model's random layers (dropout, augmentation) draw in this epoch (from 0)."""
    variables = (variable for layer in _layers(model) for variable in layer.variables)
    for index, drawn in enumerate(each for each in variables if each.name == STATE):
        state = np.random.SeedSequence([seed, epoch, index]).generate_state(2)
        drawn.assign(state.astype(drawn.dtype))


def _layers(model: Any) -> Iterator[Any]:
    """All layers in the order in which they were made: those of a base before the others."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
    plain = (layer for layer in model.layers if not hasattr(layer, "layers"))
    yield from (layer for layer in plain if hasattr(layer, "variables"))  # an operation has none
