"""A frozen base as inference alone: XNNPACK runs it twice as fast as Keras does.

A base whose weights never change needs no training framework: its batch normalisations fold into
its convolutions, and XNNPACK, which TensorFlow carries, runs what is left.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.machine import native_stderr_in

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
    Raises ValueError when what comes out is not what Keras gives, and TensorFlow's own errors when
    the base cannot be converted.
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
        self._check(base)

    def __call__(self, images: Any, training: bool = False) -> Any:
        """The same as `run`, for tensors and within a graph; a frozen base is never in training."""
        import tensorflow as tf

        features = tf.numpy_function(self.run, [images], tf.float32, stateful=False)
        return tf.ensure_shape(features, (None, *self.output_shape))

    def run(self, images: Floats) -> Floats:
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

    def _check(self, base: Any) -> None:
        shape = (2, *self._shape)
        images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        difference = float(
            np.abs(self.run(images) - np.asarray(base(images, training=False))).max()
        )
        if not difference <= TOLERANCE:
            raise ValueError(f"it differs from Keras by {difference:.1e}")


def _convert(base: Any, shape: tuple[int, ...]) -> bytes:
    import tensorflow as tf

    function = tf.function(lambda images: base(images, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], base)
    # The way through a SavedModel takes five times as long and loses Keras 3's variables.
    converter.experimental_lower_to_saved_model = False
    converted: bytes = converter.convert()
    return converted


@contextmanager
def _stderr_in_log() -> Iterator[None]:
    """TensorFlow Lite writes to the process's standard error and cannot be told not to."""
    with tempfile.TemporaryFile() as file:
        try:
            with native_stderr_in(file):
                yield
        finally:
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines():
                log.debug("TensorFlow Lite: %s", line)
