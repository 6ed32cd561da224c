"""Random flip, random rotation and scaling in one compiled pass over the bytes of the photos."""

from functools import cache
from typing import Any, Self


class Augmentation:
    """Stands for a horizontal RandomFlip and a RandomRotation, with a Rescaling before them or not.

    It draws the layers' own random numbers. Scaling before or after makes no difference: each
    pixel is a mean of pixels. Flipping a photo and then rotating it is reading it once, at mirrored
    places.
    """

    def __init__(self, scaling: Any, flip: Any, rotation: Any) -> None:
        self.scaling, self.flip, self.rotation = scaling, flip, rotation
        self.layers = 2 if scaling is None else 3

    @classmethod
    def of(cls, layers: list[Any]) -> Self | None:
        """The first of these layers as one, where they augment as said."""
        import keras

        scaling = layers[0] if isinstance(layers[0], keras.layers.Rescaling) else None
        match layers[1:] if scaling else layers:
            case [
                keras.layers.RandomFlip(mode="horizontal") as flip,
                keras.layers.RandomRotation(
                    fill_mode="reflect", interpolation="bilinear", data_format="channels_last"
                ) as rotation,
                *_,
            ]:
                return cls(scaling, flip, rotation)
        return None

    def __call__(self, images: Any, training: bool = False) -> Any:
        import tensorflow as tf

        if training:
            flips = self.flip.get_random_transformation(images)["flips"]
            matrices = self.rotation.get_random_transformation(images)["rotation_matrix"]
            images = _sampler()(images, matrices, tf.reshape(flips, (-1, 1, 1)))
        images = tf.cast(images, tf.float32)
        return images if self.scaling is None else self.scaling(images)


@cache
def _sampler() -> Any:
    """The compiled function that reads photos at transformed places."""
    import tensorflow as tf

    def reflected(place: Any, size: Any) -> Any:
        """A place along an axis, mirrored at the edges until it lies within the photo."""
        folded = tf.math.floormod(place + 0.5, 2 * size)
        return tf.clip_by_value(tf.minimum(folded, 2 * size - folded) - 0.5, 0.0, size - 1)

    def sample(images: Any, matrices: Any, flips: Any) -> Any:
        """Photos (n, h, w, c) at the places of affine maps (n, 8), bilinear, as float32.

        The maps are those of tf.raw_ops.ImageProjectiveTransformV3, from output to input.
        """
        n, height, width, channels = tf.unstack(tf.shape(images))
        a, b, left, c, d, top = (matrices[:, i, None, None] for i in range(6))
        x = tf.cast(tf.range(width), tf.float32)[None, None, :]
        y = tf.cast(tf.range(height), tf.float32)[None, :, None]
        w, h = tf.cast(width, tf.float32), tf.cast(height, tf.float32)
        across, down = reflected(a * x + b * y + left, w), reflected(c * x + d * y + top, h)
        across = tf.where(flips, w - 1 - across, across)
        column, row = tf.floor(across), tf.floor(down)
        rest_across, rest_down = (across - column)[..., None], (down - row)[..., None]
        column, row = tf.cast(column, tf.int32), tf.cast(row, tf.int32)
        next_column, next_row = tf.minimum(column + 1, width - 1), tf.minimum(row + 1, height - 1)
        pixels = tf.reshape(images, (-1, channels))
        first = tf.range(n)[:, None, None] * (height * width)

        def line(row: Any) -> Any:
            start = first + row * width
            one = tf.cast(tf.gather(pixels, start + column), tf.float32)
            other = tf.cast(tf.gather(pixels, start + next_column), tf.float32)
            return one + (other - one) * rest_across

        upper = line(row)
        return upper + (line(next_row) - upper) * rest_down

    return tf.function(sample, jit_compile=True)
