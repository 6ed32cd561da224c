"""The fast way to train; skip this file and all works the same, only slower.

`accelerate` gives a twin of a Sequential model: it shares the model's layers and random numbers and
computes the same, in an order that costs less. The twin is what one fits; the model is what one
saves. Three things make the difference on processors, each in a module of its own:

- `catdog.fast.augmentation`: flip, rotation and scaling in one pass over the bytes of the photos.
- `catdog.fast.convolution`: bias and rectifier after the pooling, on a quarter of the values.
- `catdog.fast.frozen_base`: a base whose weights never change needs no training framework, nor does
  the lower part of one whose upper layers train (`catdog.fast.division`).

On GPUs Keras itself is fast. In bfloat16, where that is asked for, a twin trains on both:
`catdog.fast.mixed_precision`.
"""

import logging
from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile
from math import prod
from typing import Any

import numpy as np

from catdog.fast.augmentation import Augmentation
from catdog.fast.convolution import PooledConvolution
from catdog.fast.division import divided
from catdog.fast.frozen_base import FrozenBase, none_free
from catdog.fast.mixed_precision import HalfPrecision, mixed_precision

log = logging.getLogger(__name__)

Stage = Any
"""A layer, or what stands for several: called with (batch, training)."""
FLOAT32 = "float32"
FEATURES = "features"
"""A batch of features is a dictionary with this key, so that it is never taken for images."""
FEATURES_BYTES = 2**29
"""Of a model's held-out photos: 14,000 of 160 x 160 where MobileNetV2 trains from block 11 on."""
KEPT_BYTES = 2**26
"""Of features that outlive the training: 14,000 photos through MobileNetV2 and its pooling."""
EXAMPLES = 2
"""Images of noise on which a base is tried: a lost weight would show on the first."""


def accelerate(
    model: Any,
    *,
    threads: int,
    precision: str = FLOAT32,
    free_cores: Callable[[], int] = none_free,
) -> Any:
    """A twin of a Sequential model, compiled like it; any other model, or one without gain, itself.

    The twin takes the same images, also as uint8, and draws the same random numbers. It also
    takes what `without_base` makes of images that are not augmented. Only layers that are trained
    count as its weights, and those are the model's own. With a GPU, the layers are Keras's.
    precision: of training, as the setting. A frozen base on the processor stays float32, as it
    only predicts.
    threads, free_cores: as for a frozen base.
    """
    import keras
    import tensorflow as tf

    if not isinstance(model, keras.Sequential):
        return model
    gpus = tf.config.list_physical_devices("GPU")
    how = {"threads": threads, "free_cores": free_cores}
    stages = model.layers if gpus else _stages(model, how)
    if precision != FLOAT32:
        stages = mixed_precision(stages)
    if all(stage in model.layers for stage in stages):
        return model
    replaced = any(isinstance(stage, FrozenBase) for stage in stages)
    trained = [layer for layer in model.layers if layer.trainable or not replaced]
    twin = _twin_class()(stages, trained, name=model.name)
    twin.build(model.input_shape)
    if model.compiled:
        twin.compile_from_config(model.get_compile_config())
        # One optimizer for both, so that a saved model has the state of its training.
        model.optimizer = twin.optimizer
    return twin


def precision_of(model: Any) -> str:
    """In which what `accelerate` gives computes in training."""
    halves = (isinstance(stage, HalfPrecision) for stage in getattr(model, "stages", ()))
    return "bfloat16" if any(halves) else FLOAT32


def without_base(model: Any, batches: Any, photos: str = "") -> Any:
    """The (images, labels) batches of a tf.data.Dataset as (features, labels), computed now.

    For images that are the same in every epoch. Unchanged for a model that is not a twin, for one
    without a frozen base, and where the features would take more than `FEATURES_BYTES`.
    photos: says which these are. Their features are kept until there are others, so that scoring
    what was trained just now computes none; empty keeps nothing.
    """
    import tensorflow as tf

    if not isinstance(model, _twin_class()) or not model.with_base:
        return batches
    if (needed := model.feature_bytes(batches)) > FEATURES_BYTES:
        log.info(
            "'%s' runs its base on the held-out photos in each epoch: what it makes of them "
            "would take %d MiB",
            model.name,
            needed >> 20,
        )
        return batches
    kept = photos and needed <= KEPT_BYTES
    features = _features(model, batches, photos) if kept else _computed(model, batches)
    labels = [labels for _, labels in batches]
    pairs = {FEATURES: features}, tf.concat(labels, axis=0)
    return tf.data.Dataset.from_tensor_slices(pairs).batch(len(labels[0]))


_kept: dict[tuple[str, str], Any] = {}


def _features(model: Any, batches: Any, photos: str) -> Any:
    key = (photos, model.stages[model.with_base - 1].digest)
    if key not in _kept:
        _kept.clear()
        _kept[key] = _computed(model, batches)
    return _kept[key]


def _computed(model: Any, batches: Any) -> Any:
    import tensorflow as tf

    return tf.concat([model.features(images) for images, _ in batches], axis=0)


def through(stages: list[Stage], values: Any, training: bool) -> Any:
    """What these stages, one after the other, make of a batch."""
    for stage in stages:
        values = stage(values, training=training)
    return values


def _stages(model: Any, how: Mapping[str, Any]) -> list[Stage]:
    shape = (EXAMPLES, *model.input_shape[1:])
    values = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    stages: list[Stage] = []
    done = 0
    while rest := model.layers[done:]:
        try:
            found, layers = _next_stages(rest, values, how)
        except Exception as error:  # noqa: BLE001 - whatever it is, Keras can do the same, slower
            log.warning(
                "'%s' trains the slow way: its base cannot be converted (%s)", model.name, error
            )
            found, layers = rest[:1], 1
        values = through(found, values, training=False)
        stages += found
        done += layers
    return stages


def _next_stages(
    layers: list[Any], examples: Any, how: Mapping[str, Any]
) -> tuple[list[Stage], int]:
    """The fastest way through the first of these layers; it stands for so many of them."""
    if augmentation := Augmentation.of(layers):
        return [augmentation], augmentation.layers
    if convolution := PooledConvolution.of(layers):
        return [convolution], 2
    if whole := _frozen(layers):
        return [FrozenBase(whole, examples=examples, **how)], len(whole.layers)
    if parts := divided(layers[0]):
        lower, upper = parts
        return [FrozenBase(lower, examples=examples, **how), upper], 1
    return layers[:1], 1


def _frozen(layers: list[Any]) -> Any:
    """A frozen base with the layers after it that have neither weights nor random numbers."""
    import keras

    base = layers[0]
    if not isinstance(base, keras.Model) or base.trainable_weights:
        return None
    pooling = takewhile(lambda after: not after.variables, layers[1:])
    return keras.Sequential([keras.Input(base.input_shape[1:]), base, *pooling])


@cache
def _twin_class() -> Any:
    import keras
    import tensorflow as tf

    class Twin(keras.Model):  # type: ignore[misc]
        def __init__(self, stages: list[Stage], trained: list[Any], name: str) -> None:
            super().__init__(name=name)
            self.trained = trained  # Keras finds weights in layers only
            self.stages = stages
            bases = (i + 1 for i, stage in enumerate(stages) if isinstance(stage, FrozenBase))
            self.with_base = next(bases, 0)
            """So many stages turn images into features; 0 without a frozen base."""

        def call(self, inputs: Any, training: bool = False) -> Any:
            if isinstance(inputs, dict):
                return through(self.stages[self.with_base :], inputs[FEATURES], training)
            if not isinstance(self.stages[0], Augmentation):
                inputs = tf.cast(inputs, tf.float32)
            return through(self.stages, inputs, training)

        def features(self, images: Any) -> Any:
            return through(self.stages[: self.with_base], images, training=False)

        def feature_bytes(self, batches: Any) -> int:
            """What the features of all images in these batches take, at most."""
            first, _ = next(iter(batches))
            images = len(batches) * len(first)
            shape: tuple[int, ...] = self.stages[self.with_base - 1].output_shape
            return images * prod(shape) * np.dtype(np.float32).itemsize

    return Twin
