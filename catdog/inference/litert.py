"""LiteRT: a Keras model as inference alone, which needs no TensorFlow to run.

Its batch normalisations fold into its convolutions, what only trains is gone (dropout, random
flips), and XNNPACK runs what is left, on the processor and in float32.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.machine import native_stderr_in

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]

_DIVERTING = Lock()


def convert(model: Any, shape: tuple[int, ...]) -> bytes:
    """A Keras model as a LiteRT flatbuffer for inputs of this shape, in float32.

    The caller compares what it gives with Keras. Raises TensorFlow's own errors when the model
    cannot be converted.
    """
    import tensorflow as tf

    function = tf.function(lambda images: model(images, training=False), autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    # The way through a SavedModel, which Keras's own export takes, gives the same numbers in five
    # times the time.
    converter.experimental_lower_to_saved_model = False
    with _stderr_in_log():
        converted: bytes = converter.convert()
    return converted


class Network:
    """A LiteRT model, for one thread at a time.

    threads: for each call; the numbers that come out are the same for any.
    Raises ValueError when the flatbuffer is damaged or of a version that cannot be run.
    """

    def __init__(self, flatbuffer: bytes, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _stderr_in_log():
            self._interpreter = Interpreter(model_content=flatbuffer, num_threads=threads)
            self._interpreter.allocate_tensors()
        inputs = self._interpreter.get_input_details()[0]
        self._outputs = [output["index"] for output in self._interpreter.get_output_details()]
        outputs = self._interpreter.get_output_details()[0]
        self._input = inputs["index"]
        self.input_shape = tuple(int(side) for side in inputs["shape"])
        self.output_shape = tuple(int(side) for side in outputs["shape"])

    def __call__(self, batch: Floats) -> Floats:
        """The output for a batch of exactly `input_shape`."""
        self._interpreter.set_tensor(self._input, batch)
        self._interpreter.invoke()
        return self.output(0)

    def output(self, number: int) -> Floats:
        """One of the outputs for the batch before."""
        output: Floats = self._interpreter.get_tensor(self._outputs[number])
        return output


@contextmanager
def _stderr_in_log() -> Iterator[None]:
    """LiteRT writes to the process's standard error and cannot be told not to."""
    with _DIVERTING, tempfile.TemporaryFile() as file:
        try:
            with native_stderr_in(file):
                yield
        finally:
            file.seek(0)
            for line in file.read().decode(errors="replace").splitlines():
                log.debug("LiteRT: %s", line)
