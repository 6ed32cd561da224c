"""Input pipelines: photos from memory-mapped arrays to batches, in an order fixed by the seed.

The shuffle is a permutation of row numbers, so memory does not grow with the number of photos;
each epoch's permutation depends on the seed and the epoch alone, so every model sees the same
order, and a training that resumes sees the order that it would have seen.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.store.artifacts import Images

Labels = npt.NDArray[np.int32]
Order = npt.NDArray[np.int64]
"""The row numbers of photos, one after the other."""

READ_AHEAD = 2
"""Batches: one is made while another is trained on; more only cost memory."""


def steps_per_epoch(photos: int, batch_size: int) -> int:
    """Batches an epoch; the last may be smaller, none is dropped."""
    return -(-photos // batch_size)


def epoch_order(photos: int, *, seed: int, epoch: int) -> Order:
    """The row numbers 0 to photos - 1 in the order of this epoch (from 0)."""
    return np.random.default_rng([seed, epoch]).permutation(photos)


def training_batches(
    images: Images, labels: Labels, *, batch_size: int, seed: int, epochs: range
) -> Any:
    """All batches of these epochs, one after the other, as one tf.data.Dataset.

    Each element is (uint8 batch x size x size x 3 in 0..255, int32 batch): Keras makes floats of
    bytes where it needs them, and bytes are a quarter to carry.
    """

    def order(epoch: int) -> Order:
        return epoch_order(len(labels), seed=seed, epoch=epoch)

    return _batches(images, labels, batch_size, epochs, order)


def ordered_batches(images: Images, labels: Labels, *, batch_size: int) -> Any:
    """The photos in their stored order, as a tf.data.Dataset of batches."""
    return _batches(images, labels, batch_size, range(1), lambda _: np.arange(len(labels)))


def softened(batches: Any, classes: int, smoothing: float = 0.0) -> Any:
    """The same batches with a share for each class as labels: float32 batch x classes.

    smoothing: the share of a label that is spread evenly over all classes, its own included
    (Szegedy et al. 2016, arXiv:1512.00567).
    """
    import tensorflow as tf

    def soften(images: Any, labels: Any) -> Any:
        return images, (1 - smoothing) * tf.one_hot(labels, classes) + smoothing / classes

    return batches.map(soften)


def balanced_weights(labels: Labels, classes: int) -> dict[int, float]:
    """A weight for each class with which all weigh the same, on average 1 a photo.

    As `class_weight="balanced"` of scikit-learn: n / (classes * n of the class).
    """
    counts = np.bincount(labels, minlength=classes)
    return {k: len(labels) / (classes * int(count)) for k, count in enumerate(counts) if count}


def _batches(
    images: Images, labels: Labels, batch_size: int, epochs: range, order: Callable[[int], Order]
) -> Any:
    import tensorflow as tf

    def read() -> Iterator[tuple[npt.NDArray[np.uint8], Labels]]:
        for epoch in epochs:
            rows = order(epoch)
            for start in range(0, len(rows), batch_size):
                chosen = rows[start : start + batch_size]
                yield images[chosen], labels[chosen]

    steps = len(epochs) * steps_per_epoch(len(labels), batch_size)
    signature = (
        tf.TensorSpec((None, *images.shape[1:]), tf.uint8),
        tf.TensorSpec((None,), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(read, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(READ_AHEAD)
    options = tf.data.Options()
    # There is nothing to tune, and who lets go of an iterator waits, for up to a minute, until
    # the tuner wakes up.
    options.autotune.enabled = False
    return dataset.with_options(options)
