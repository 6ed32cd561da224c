"""The pretrained networks that `transfer` and `finetuned` can stand on.

Nothing here imports TensorFlow until a network is built.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

WEIGHTS = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Backbone:
    """What is known of a network before it is built."""

    name: str
    """As a user gives it."""
    application: str
    """Its function in `keras.applications`."""
    upper: str
    """The layer with which its upper part begins, the one that fine-tuning trains: its last stage,
    of MobileNetV2 the last six blocks."""
    file: str
    """Its ImageNet weights without top, below `WEIGHTS`."""
    checksum: str
    """The MD5 or SHA-256 of that file as `keras.applications` has it; empty where it has none."""
    scaled: bool = False
    """Whether it takes photos scaled to -1..1; the others scale 0..255 themselves."""

    @property
    def url(self) -> str:
        """Where Keras publishes its weights."""
        return WEIGHTS + self.file


BACKBONES = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            "mobilenetv2",
            "MobileNetV2",
            "block_11_expand",
            "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5",
            "",
            scaled=True,
        ),
        Backbone(
            "mobilenetv3_large",
            "MobileNetV3Large",
            "expanded_conv_12_expand",
            "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
            "07fb09a5933dd0c8eaafa16978110389",
        ),
        Backbone(
            "efficientnetv2b0",
            "EfficientNetV2B0",
            "block6a_expand_conv",
            "efficientnet_v2/efficientnetv2-b0_notop.h5",
            "893217f2bb855e2983157299931e43ff",
        ),
        Backbone(
            "resnet50v2",
            "ResNet50V2",
            "conv5_block1_preact_bn",
            "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "fac2f116257151a9d068a22e544a4917",
            scaled=True,
        ),
        Backbone(
            "convnext_tiny",
            "ConvNeXtTiny",
            "convnext_tiny_stage_3_block_0_depthwise_conv",
            "convnext/convnext_tiny_notop.h5",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
    )
}
DEFAULT_BACKBONE = "mobilenetv2"
"""That of the notebook, and the only one whose weights are embedded."""


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
        for layer in _every_layer(self.network):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def new_base(backbone: str, image_size: int) -> Base:
    """A backbone without its top, frozen, with random weights: n x size x size x 3 to maps."""
    import keras

    found = BACKBONES[backbone]
    build = getattr(keras.applications, found.application)
    network = build(input_shape=(image_size, image_size, 3), include_top=False, weights=None)
    base = Base(found, _without_dropout(network))
    base.train(upper=False)
    return base


def _without_dropout(network: Any) -> Any:
    """EfficientNet drops whole branches in training, also where it is frozen: as `fit` calls it."""
    import keras

    def still(layer: Any) -> Any:
        off = {"rate": 0} if isinstance(layer, keras.layers.Dropout) else {}
        return type(layer).from_config(layer.get_config() | off)

    if not any(isinstance(layer, keras.layers.Dropout) for layer in _every_layer(network)):
        return network
    return keras.models.clone_model(network, clone_function=still)


def _every_layer(network: Any) -> Iterator[Any]:
    """The layers of a Keras model and of the models within it."""
    for layer in network.layers:
        yield from _every_layer(layer) if hasattr(layer, "layers") else (layer,)
