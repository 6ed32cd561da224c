"""The fast way to train on a frozen base; skip this file and all works the same, only slower.

A base whose weights never change needs no training framework: its batch normalisations fold into
its convolutions, and XNNPACK, which TensorFlow carries, runs what is left. `accelerate` gives a
twin of such a model, which shares its layers and random numbers but has the base run this way.
The twin is what one fits; the model is what one saves.
"""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

CHUNK = 4
"""Images run at a time: so few fit the processor's caches, and a batch may have any size."""
TOLERANCE = 1e-3
"""Between Keras and XNNPACK. Rounding explains up to 5e-4; more means a wrong conversion."""


class FrozenBase:
    """A Keras model as inference alone, on the processor, in float32.

    base: takes (n, height, width, channels). Its weights are copied: later changes do not count.
    threads: for each call; the numbers that come out are the same for any.
    """

    def __init__(self, base: Any, *, threads: int) -> None:
        import tensorflow as tf

        self._shape = tuple(base.input_shape[1:])
        with warnings.catch_warnings(), _stderr_in_log():
            warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite", category=UserWarning)
            self._interpreter = tf.lite.Interpreter(
                model_content=_convert(base, (CHUNK, *self._shape)), num_threads=threads
            )
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        details = self._interpreter.get_output_details()[0]
        self._output, self.output_shape = details["index"], tuple(details["shape"][1:])

    def __call__(self, images: Floats) -> Floats:
        """The base's output, one row an image, for float32 images of the base's input shape.

        An image's output does not depend on the others in its batch.
        """
        result = np.empty((len(images), *self.output_shape), np.float32)
        padded = np.zeros((CHUNK, *self._shape), np.float32)
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            padded[: len(chunk)] = chunk
            self._interpreter.set_tensor(self._input, padded)
            self._interpreter.invoke()
            result[start : start + CHUNK] = self._interpreter.get_tensor(self._output)[: len(chunk)]
        return result


def accelerate(model: Any, *, threads: int) -> Any:
    """A twin of a Sequential model with a frozen base, compiled like it; else the model itself.

    The twin takes the same images and draws the same random numbers. It also takes what
    `without_base` makes of images that are not augmented. Only its head counts as its weights,
    and those are the model's own. A machine with a GPU has no need of it.
    """
    import tensorflow as tf

    stages = _split(model)
    if stages is None or tf.config.list_physical_devices("GPU"):
        return model
    before, frozen, head = stages
    try:
        base = FrozenBase(frozen, threads=threads)
        _check(base, frozen)
    except Exception as error:  # noqa: BLE001 - whatever it is, Keras can do the same, slower
        log.warning(
            "'%s' trains the slow way: its base cannot be converted (%s)", model.name, error
        )
        return model
    twin = _twin_class()(before, base, head, name=model.name)
    twin.build(model.input_shape)
    if model.compiled:
        twin.compile_from_config(model.get_compile_config())
        # One optimizer for both, so that a saved model has the state of its training.
        model.optimizer = twin.optimizer
    return twin


def without_base(model: Any, batches: Any) -> Any:
    """The (images, labels) batches of a tf.data.Dataset as (features, labels), computed now.

    For images that are the same in every epoch. Unchanged for a model that is not a twin.
    """
    import tensorflow as tf

    if not isinstance(model, _twin_class()):
        return batches
    pairs = [(model.features(images), labels) for images, labels in batches]
    features, labels = (tf.concat(parts, axis=0) for parts in zip(*pairs, strict=True))
    return tf.data.Dataset.from_tensor_slices((features, labels)).batch(len(pairs[0][1]))


def _split(model: Any) -> tuple[Any, Any, Any] | None:
    """What comes before a frozen base, the base with its pooling, and what comes after."""
    import keras

    layers = model.layers
    for place, layer in enumerate(layers):
        if isinstance(layer, keras.Model) and not layer.trainable:
            # Dropout is no part of it: its random state is a variable.
            pooling = takewhile(lambda after: not after.variables, layers[place + 1 :])
            frozen = keras.Sequential([keras.Input(layer.input_shape[1:]), layer, *pooling])
            before, after = layers[:place], layers[place + len(frozen.layers) :]
            return (
                keras.Sequential([keras.Input(model.input_shape[1:]), *before]),
                frozen,
                keras.Sequential([keras.Input(frozen.output_shape[1:]), *after]),
            )
    return None


@cache
def _twin_class() -> Any:
    import keras
    import tensorflow as tf

    class Twin(keras.Model):  # type: ignore[misc]
        def __init__(self, before: Any, base: FrozenBase, head: Any, name: str) -> None:
            super().__init__(name=name)
            self.before, self.base, self.head = before, base, head

        def call(self, inputs: Any, training: bool = False) -> Any:
            images = len(inputs.shape) > 2
            features = self.features(inputs, training=training) if images else inputs
            return self.head(features, training=training)

        def features(self, images: Any, training: bool = False) -> Any:
            scaled = self.before(images, training=training)
            features = tf.numpy_function(self.base, [scaled], tf.float32, stateful=False)
            return tf.ensure_shape(features, (None, *self.base.output_shape))

    return Twin


def _convert(base: Any, shape: tuple[int, ...]) -> bytes:
    import tensorflow as tf

    function = tf.function(lambda images: base(images, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], base)
    # The way through a SavedModel takes five times as long and loses Keras 3's variables.
    converter.experimental_lower_to_saved_model = False
    converted: bytes = converter.convert()
    return converted


def _check(fast: FrozenBase, base: Any) -> None:
    shape = (2, *base.input_shape[1:])
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    difference = float(np.abs(fast(images) - np.asarray(base(images, training=False))).max())
    if not difference <= TOLERANCE:
        raise ValueError(f"it differs from Keras by {difference:.1e}")


@contextmanager
def _stderr_in_log() -> Iterator[None]:
    """TensorFlow Lite writes to the process's standard error and cannot be told not to."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines():
                log.debug("TensorFlow Lite: %s", line)
