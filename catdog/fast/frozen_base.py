"""A frozen base as inference alone: XNNPACK runs it twice as fast as Keras does.

A base whose weights never change needs no training framework: LiteRT folds its batch
normalisations into its convolutions, and its XNNPACK runs what is left.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np

from catdog.inference.litert import Floats, Network, convert

CHUNK = 4
"""Images run at a time: so few fit the processor's caches, and a batch may have any size."""
TOLERANCE = 1e-3
"""Between Keras and XNNPACK, relative to outputs above 1. Rounding explains up to 5e-4; more means
a wrong conversion."""


def none_free() -> int:
    """Where nobody else leaves cores."""
    return 0


class FrozenBase:
    """A Keras model as inference alone, on the processor, in float32.

    base: takes (n, height, width, channels). Its weights are copied: later changes do not count.
    examples: images as it will get them, on which it is compared with Keras.
    threads: for each call; the numbers that come out are the same for any.
    free_cores: asked before each call: so many threads are used instead, where that is more.
    Raises ValueError when what comes out is not what Keras gives, and TensorFlow's own errors when
    the base cannot be converted.
    """

    def __init__(
        self, base: Any, *, examples: Any, threads: int, free_cores: Callable[[], int] = none_free
    ) -> None:
        self._shape = tuple(base.input_shape[1:])
        self.digest, self._flatbuffer = _converted(base, (CHUNK, *self._shape))
        self._least = self._threads = threads
        self._free_cores = free_cores
        self._network = Network(self._flatbuffer, threads=threads)
        self.output_shape = self._network.output_shape[1:]
        self._check(base, examples)

    def __call__(self, images: Any, training: bool = False) -> Any:
        """The same as `run`, for tensors and within a graph; a frozen base is never in training."""
        import tensorflow as tf

        features = tf.numpy_function(self.run, [images], tf.float32, stateful=False)
        return tf.ensure_shape(features, (None, *self.output_shape))

    def run(self, images: Floats) -> Floats:
        """The base's output, one row an image, for float32 images of the base's input shape.

        An image's output does not depend on the others in its batch.
        """
        self._take_free_cores()
        result = np.empty((len(images), *self.output_shape), np.float32)
        padded = np.zeros((CHUNK, *self._shape), np.float32)
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            padded[: len(chunk)] = chunk
            result[start : start + CHUNK] = self._network(padded)[: len(chunk)]
        return result

    def _take_free_cores(self) -> None:
        wanted = max(self._least, self._free_cores())
        if wanted != self._threads:
            self._network = Network(self._flatbuffer, threads=wanted)
            self._threads = wanted

    def _check(self, base: Any, examples: Any) -> None:
        expected = np.asarray(base(examples, training=False))
        apart = np.abs(self.run(np.asarray(examples)) - expected).max()
        difference = float(apart / max(1.0, np.abs(expected).max()))
        if not difference <= TOLERANCE:
            raise ValueError(f"it differs from Keras by {difference:.1e}")


_last: dict[str, bytes] = {}


def _converted(base: Any, shape: tuple[int, ...]) -> tuple[str, bytes]:
    """What a base is, and what it is converted to: once where it trains a model, then scores it."""
    parts = [part.get_config() for part in base.layers]  # its own name differs each time
    described = json.dumps([shape, parts], default=str)
    frozen = described.replace('"trainable": true', '"trainable": false')
    digest = sha256(frozen.encode())
    for weight in base.weights:
        digest.update(np.asarray(weight).tobytes())
    key = digest.hexdigest()
    if key not in _last:
        _last.clear()
        _last[key] = convert(base, shape)
    return key, _last[key]
