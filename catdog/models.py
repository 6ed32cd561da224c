"""The models that catdog trains. A new one is one builder and one line in `MODELS`.

Layers, sizes and order are those of the notebook that catdog replaces; all are compiled alike.
Nothing here imports TensorFlow until a model is built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from catdog.errors import TrainingError

Base = Any
"""A Keras model that turns photos scaled to -1..1 into feature maps."""
Builder = Callable[[int, Base | None], list[Any]]
"""Gives the layers for so many classes."""


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it is built."""

    name: str
    title: str
    layers: Builder
    parameters: int
    """For two classes at 160 x 160, as `trainable_parameters`; a test builds and counts."""
    trainable_parameters: int
    cost: float
    """CPU seconds an epoch relative to `baseline`, on one core: the longest starts first."""
    pretrained: bool = False


def model_spec(name: str) -> ModelSpec:
    """The model of this name. Raises TrainingError that names the choices."""
    if name not in MODELS:
        raise TrainingError(f"There is no model '{name}'.", f"Choose from {', '.join(MODELS)}.")
    return MODELS[name]


def build_model(name: str, *, classes: int, image_size: int, base: Base | None = None) -> Any:
    """Build and compile a Keras model: (n, size, size, 3) float32 in 0..255 to (n, classes).

    base: the feature extractor of a pretrained model. Its weights stay as they are.
    """
    import keras

    spec = model_spec(name)
    layers = [keras.Input((image_size, image_size, 3)), *spec.layers(classes, base)]
    model = keras.Sequential(layers, name=name)
    model.compile(
        optimizer=keras.optimizers.Adam(),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def _augmentation(*, scaled: bool = True) -> list[Any]:
    from keras import layers

    scaling = [layers.Rescaling(1 / 127.5, offset=-1)] if scaled else []
    return [*scaling, layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)]


def _convolutions(filters: int) -> list[Any]:
    from keras import layers

    return [
        layers.Conv2D(filters, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(filters, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
    ]


def _head(classes: int, dense: int | None = None) -> list[Any]:
    from keras import layers

    hidden = [layers.Dense(dense, activation="relu")] if dense else []
    return [*hidden, layers.Dropout(0.2), layers.Dense(classes, activation="softmax")]


def _baseline(classes: int, base: Base | None) -> list[Any]:
    return [*_convolutions(16), *_head(classes, dense=32)]


def _augmented(classes: int, base: Base | None) -> list[Any]:
    return [*_augmentation(scaled=False), *_convolutions(32), *_head(classes, dense=64)]


def _preprocessed(classes: int, base: Base | None) -> list[Any]:
    return [*_augmentation(), *_convolutions(32), *_head(classes)]


def _transfer(classes: int, base: Base | None) -> list[Any]:
    from keras import layers

    if base is None:
        raise TrainingError(
            "'transfer' needs a base model.", "See catdog.training.weights.fill_base."
        )
    base.trainable = False
    return [*_augmentation(), base, layers.GlobalMaxPooling2D(), *_head(classes)]


MODELS = {
    spec.name: spec
    for spec in (
        ModelSpec("baseline", "small CNN", _baseline, 742_194, 742_194, cost=1.0),
        ModelSpec("augmented", "CNN + augmentation", _augmented, 2_967_650, 2_967_650, cost=2.9),
        ModelSpec(
            "preprocessed",
            "CNN + augmentation + scaling",
            _preprocessed,
            102_562,
            102_562,
            cost=2.8,
        ),
        ModelSpec(
            "transfer", "frozen MobileNetV2", _transfer, 2_260_546, 2_562, cost=1.8, pretrained=True
        ),
    )
}
