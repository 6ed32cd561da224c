"""Which regions support the predicted class: Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391)."""

from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.fast.twin import through


def grad_cam(model: Any, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
    """Maps of what spoke for the predicted class, for images (n, size, size, 3) in 0..255.

    Returns (n, h, w) in 0..1 at the resolution of the last feature maps, or None for a model that
    is no plain stack of layers with such maps. The gradient is that of the class's logit, so a
    saturated softmax still tells.
    """
    import keras
    import tensorflow as tf

    spatial = [layer for layer in model.layers if len(layer.output.shape) == 4]
    if not isinstance(model, keras.Sequential) or not spatial:
        return None
    depth = model.layers.index(spatial[-1]) + 1
    maps = through(model.layers[:depth], tf.constant(images), training=False)
    dense = model.layers[-1]
    with tf.GradientTape() as tape:
        tape.watch(maps)
        hidden = through(model.layers[depth:-1], maps, training=False)
        logits = tf.matmul(hidden, dense.kernel) + dense.bias
        chosen = tf.reduce_max(logits, axis=1)
    weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    peak = heat.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(heat, peak, out=np.zeros_like(heat), where=peak > 0))
