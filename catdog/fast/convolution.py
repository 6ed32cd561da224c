"""A convolution with its pooling, the bias and the rectifier moved behind the pooling."""

from typing import Any, Self


class PooledConvolution:
    """`pool(relu(convolution + bias))` as `relu(pool(convolution) + bias)`.

    The same numbers: adding a constant and cutting at zero never change which of four values is
    the largest. But it handles a quarter of the values, and so does the way back.
    """

    def __init__(self, convolution: Any, pool: Any) -> None:
        self.convolution, self.pool = convolution, pool
        self.layers, self.weights = (convolution, pool), convolution.weights

    @classmethod
    def of(cls, layers: list[Any]) -> Self | None:
        """The first two of these layers as one, where they are such a pair."""
        import keras

        match layers:
            case [keras.layers.Conv2D() as convolution, keras.layers.MaxPooling2D() as pool, *_]:
                fits = (
                    convolution.use_bias
                    and convolution.activation is keras.activations.relu
                    and convolution.data_format == pool.data_format == "channels_last"
                )
                return cls(convolution, pool) if fits else None
        return None

    def __call__(self, values: Any, training: bool = False) -> Any:
        import keras
        import tensorflow as tf

        layer = self.convolution
        if not training:  # there is no way back, and oneDNN fuses the three as they stand
            return self.pool(layer(values))
        values, kernel, bias = (
            keras.ops.cast(each, layer.compute_dtype) for each in (values, layer.kernel, layer.bias)
        )
        return tf.nn.relu(tf.nn.bias_add(self.pool(layer.convolution_op(values, kernel)), bias))
