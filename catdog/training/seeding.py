"""Random numbers that depend on the seed, the layer and the epoch alone.

A resumed training draws the same ones as one that was never interrupted, and one model's training
the same whatever else its process does: no global generator has a part in them.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np

LARGEST_SEED = 10**9
"""The largest seed that Keras draws for a layer (keras.random.SeedGenerator, make_default_seed)."""


def seed_weights(model: Any, seed: int) -> None:
    """Give a model that was just built the first weights of a seed.

    They are those that `keras.utils.set_random_seed(seed)` before the building would give, were
    Keras alone in its process: it takes a seed for each random part of each layer from Python's
    global generator, from which every thread and every library may draw as well.

    Raises NotImplementedError for a layer whose random weights are not found.
    """
    import keras

    numbers = Random(seed)  # noqa: S311  not for secrets
    for layer in _layers(model):
        for part in vars(layer).copy().values():
            if isinstance(part, keras.initializers.Initializer) and hasattr(part, "seed"):
                part.seed = numbers.randint(1, LARGEST_SEED)
                variable = _filled_by(part, layer)
                variable.assign(part(variable.shape, variable.dtype))
        if _generator(layer) is not None:
            numbers.randint(1, LARGEST_SEED)  # `seed_epoch` sets it


def seed_epoch(model: Any, *, seed: int, epoch: int) -> None:
    """Fix what the model's random layers (dropout, augmentation) draw in this epoch (from 0)."""
    generators = (_generator(layer) for layer in _layers(model))
    for index, generator in enumerate(found for found in generators if found is not None):
        state = np.random.SeedSequence([seed, epoch, index]).generate_state(2)
        generator.state.assign(state.astype(generator.state.dtype))


def _layers(model: Any) -> Iterator[Any]:
    """All layers in the order in which they were made: those of a base before the others."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _layers(layer)
    yield from (layer for layer in model.layers if not hasattr(layer, "layers"))


def _generator(layer: Any) -> Any:
    return getattr(layer, "seed_generator", None) or getattr(layer, "generator", None)


def _filled_by(initializer: Any, layer: Any) -> Any:
    """The weights that an initializer is for: a layer names both alike."""
    (name,) = (name for name, part in vars(layer).items() if part is initializer)
    for variable in (name.removesuffix("_initializer"), "kernel"):
        if (found := getattr(layer, variable, None)) is not None:
            return found
    raise NotImplementedError(f"{type(layer).__name__}: which weights does {name} fill?")
