"""Training in bfloat16, where it is asked for; weights and predictions stay float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from catdog.machine import computer

BFLOAT16_SINCE = (8, 0)
"""Compute capability: NVIDIA's tensor cores take bfloat16 since Ampere (CUDA C++ Programming Guide,
"Compute Capabilities")."""
POLICY = "mixed_bfloat16"
"""Unlike float16 it has the range of float32, so that losses need no scaling and a checkpoint is
the same with and without it."""


def slow_in_bfloat16() -> str:
    """Why bfloat16 is slow on this machine; empty where the hardware has it."""
    import tensorflow as tf

    details = tf.config.experimental.get_device_details
    gpus = [details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    if any(gpu.get("compute_capability", (0, 0)) < BFLOAT16_SINCE for gpu in gpus):
        return "bfloat16 is slow here: a GPU is older than Ampere"
    if gpus or "bf16" in computer()["vector_units"]:
        return ""
    return "bfloat16 is slow here: this processor has neither AMX nor AVX512-BF16"


def mixed_precision(layers: list[Any]) -> list[Any]:
    """These stages of a Sequential model, those that cost time as `HalfPrecision`.

    What comes before the first weights handles pixels, and the last layer gives probabilities:
    both need the digits of float32. Dropout would draw other random numbers.
    """
    weights = (index for index, layer in enumerate(layers) if getattr(layer, "weights", ()))
    first = next(weights, len(layers))
    return [
        HalfPrecision(layer)
        if first <= index < len(layers) - 1 and not hasattr(layer, "seed_generator")
        else layer
        for index, layer in enumerate(layers)
    ]


class HalfPrecision:
    """A layer that computes in bfloat16 in training and in float32 otherwise.

    Predictions are those of the layer itself, whatever the machine; in training its output differs
    from float32's in the third digit.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def __call__(self, values: Any, training: bool = False) -> Any:
        if not training:
            return self.layer(values, training=False)
        with _computing_in(self.layer, POLICY):
            return self.layer(values, training=True)


@contextmanager
def _computing_in(layer: Any, policy: str) -> Iterator[None]:
    """Only what is traced meanwhile computes so: a saved model knows nothing of it."""
    kept = {part: part.dtype_policy for part in _parts(layer) if hasattr(part, "dtype_policy")}
    for part in kept:
        part.dtype_policy = policy
    try:
        yield
    finally:
        for part, before in kept.items():
            part.dtype_policy = before


def _parts(layer: Any) -> Iterator[Any]:
    yield layer
    for part in getattr(layer, "layers", ()):
        yield from _parts(part)
