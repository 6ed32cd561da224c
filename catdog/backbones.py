"""The pretrained networks that `transfer` and `finetuned` can stand on.

Nothing here imports TensorFlow until a network is built.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Backbone:
    """What is known of a network before it is built."""

    name: str
    """As a user gives it."""
    application: str
    """Its function in `keras.applications`."""
    upper: str
    """The layer with which its upper part begins, the one that fine-tuning trains."""
    scaled: bool
    """Whether it takes photos scaled to -1..1; the others scale 0..255 themselves."""


class Base(NamedTuple):
    """A backbone that was built: a Keras model from photos to feature maps."""

    backbone: Backbone
    network: Any

    def train(self, *, upper: bool) -> None:
        """Freeze the network, but for its upper part where that is to train.

        Batch normalisation stays frozen there too, and so works with its ImageNet statistics:
        `fit` runs all layers with training=True, whatever the call of a model says, and a frozen
        one alone keeps from following the batches (keras #20285).
        """
        import keras

        self.network.trainable = upper
        if not upper:
            return
        names = [layer.name for layer in self.network.layers]
        for layer in self.network.layers[: names.index(self.backbone.upper)]:
            layer.trainable = False
        for layer in every_layer(self.network):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


BACKBONES = {
    backbone.name: backbone
    for backbone in (Backbone("mobilenetv2", "MobileNetV2", "block_11_expand", scaled=True),)
}


def every_layer(network: Any) -> Iterator[Any]:
    """The layers of a Keras model and of the models within it."""
    for layer in network.layers:
        yield from every_layer(layer) if hasattr(layer, "layers") else (layer,)


def new_base(backbone: str, image_size: int) -> Base:
    """A backbone without its top, frozen, with random weights: n x size x size x 3 to maps."""
    import keras

    found = BACKBONES[backbone]
    build = getattr(keras.applications, found.application)
    network = build(input_shape=(image_size, image_size, 3), include_top=False, weights=None)
    base = Base(found, network)
    base.train(upper=False)
    return base
