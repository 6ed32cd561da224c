"""Which regions support the predicted class: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.fast.twin import through

Halfway = Callable[[Any], tuple[Any, Any]]
"""From images to the last feature maps, and to what the last layer makes of them."""


def grad_cam(model: Any, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
    """Maps of what spoke for the predicted class, for images (n, size, size, 3) in 0..255.

    Returns (n, h, w) in 0..1 at the resolution of the last feature maps, or None for a model in
    which such maps or the logits are not found. The gradient is that of the class's logit, so a
    saturated softmax still tells.
    """
    import keras
    import tensorflow as tf

    halfway = (_in_stack if isinstance(model, keras.Sequential) else _in_graph)(model)
    logits = _logits(model.layers[-1])
    if not (halfway and logits):
        return None
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)  # so that the maps count, too, where no weight is trainable
        maps, hidden = halfway(pixels)
        chosen = tf.reduce_max(logits(hidden), axis=1)
    weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    peak = heat.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(heat, peak, out=np.zeros_like(heat), where=peak > 0))


def _in_stack(model: Any) -> Halfway | None:
    spatial = [layer for layer in model.layers if len(layer.output.shape) == 4]
    if not spatial:
        return None
    depth = model.layers.index(spatial[-1]) + 1

    def halfway(pixels: Any) -> tuple[Any, Any]:
        maps = through(model.layers[:depth], pixels, training=False)
        return maps, through(model.layers[depth:-1], maps, training=False)

    return halfway


def _in_graph(model: Any) -> Halfway | None:
    """The maps are what the last layer takes that takes any: the one that pools or flattens them.

    None where that is a model itself: what is within it is not joined to the images.
    """
    import keras

    layers = (layer for layer in reversed(model.layers) if _takes_maps(layer))
    last = next(layers, None)
    if last is None or isinstance(last, keras.Model):
        return None
    parts = keras.Model(model.inputs, (last.input, model.layers[-1].input))
    return lambda pixels: parts(pixels, training=False)


def _takes_maps(layer: Any) -> bool:
    shape = getattr(getattr(layer, "input", None), "shape", ())
    return len(shape) == 4


def _logits(last: Any) -> Callable[[Any], Any] | None:
    """What the last layer takes the softmax of; None where that is not known."""
    import keras
    import tensorflow as tf

    match last:
        case keras.layers.Dense(use_bias=True):
            return lambda hidden: tf.matmul(hidden, last.kernel) + last.bias
        case keras.layers.Softmax() | keras.layers.Activation():
            return lambda hidden: hidden
    return None
