"""The models that catdog trains. A new one is one builder and one line in `MODELS`.

What is in no line there is a model of the user's own, or of an installed package's.

Layers, sizes and order of the first four are those of the notebook that catdog replaces.
Nothing here imports TensorFlow until a model is built.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate, count
from typing import Any, Literal, NamedTuple, Protocol

from catdog.backbones import Base
from catdog.errors import SettingsError, TrainingError
from catdog.references import FORMS, Code, find_code, plugins
from catdog.user_code import build_own

Layers = Callable[[int, Base | None], list[Any]]
"""Gives the layers of a Sequential model for so many classes."""
DECLARED = "declared"
"""In place of an augmentation or a schedule: the one that the model declares."""
OWN_TRAINING = "catdog_own_training"
"""The attribute of a Keras model whose user has compiled it."""


class Builder(Protocol):
    """Gives a Keras model: (n, image_size, image_size, 3) float32 in 0..255 to (n, classes)."""

    def __call__(
        self, classes: int, image_size: int, base: Base | None, augmentation: str = DECLARED
    ) -> Any:
        """base: the feature extractor of a pretrained model."""


@dataclass(frozen=True)
class Phase:
    """A part of a training with an optimizer of its own: Adam, as Keras has it but for this."""

    epochs: int = 20
    """Of those that are asked for, in proportion to the other phases'."""
    learning_rate: float = 0.001
    """Of the first epoch."""
    decay: Literal["none", "cosine"] = "none"
    """"cosine": epoch by epoch, half a cosine down to zero behind the last (Loshchilov and Hutter
    2017, arXiv:1608.03983)."""
    upper: bool = False
    """Whether the upper layers of a pretrained base train too, from `Backbone.upper` on."""
    soft_labels: bool = False
    """Whether a label is a share for each class, and not the number of one."""


class Stretch(NamedTuple):
    """The epochs of a phase in a training."""

    number: int
    """Of the phase, from 1."""
    phase: Phase
    epochs: range
    """From 0."""
    to_come: int = 0
    """Epochs of later phases."""

    def learning_rate(self, epoch: int) -> float:
        """That of an epoch (from 0)."""
        rate = self.phase.learning_rate
        if self.phase.decay == "none":
            return rate
        done = (epoch - self.epochs.start) / len(self.epochs)
        return rate * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it is built."""

    name: str
    title: str
    build: Builder
    parameters: int | None
    """For two classes at 160 x 160, as `trainable_parameters`; a test builds and counts.
    None for a model that is not ours, until it is built."""
    trainable_parameters: int | None
    cost: float
    """CPU seconds an epoch relative to `baseline`, on one core: the longest starts first."""
    pretrained: bool = False
    """Whether it needs a base."""
    phases: tuple[Phase, ...] = (Phase(),)
    code: Code | None = None
    """Of a model that is not ours."""
    augmentation: str = DECLARED

    def varied(
        self,
        *,
        learning_rate: float | None = None,
        schedule: str = DECLARED,
        soft_labels: bool = False,
        augmentation: str = DECLARED,
    ) -> "ModelSpec":
        """The same model, trained in another way than it declares.

        learning_rate: of the first phase; the others keep their proportion to it.
        schedule: "constant" or "cosine" for all phases.
        """
        scale = (learning_rate or 1) / self.phases[0].learning_rate
        decays: dict[str, Literal["none", "cosine"]] = {"constant": "none", "cosine": "cosine"}
        phases = (
            replace(
                phase,
                learning_rate=phase.learning_rate * scale if learning_rate else phase.learning_rate,
                decay=decays.get(schedule, phase.decay),
                soft_labels=soft_labels,
            )
            for phase in self.phases
        )
        return replace(self, phases=tuple(phases), augmentation=augmentation)

    def stretches(self, epochs: int) -> list[Stretch]:
        """How so many epochs are divided among the phases; those without any are left out.

        A phase ends no earlier than its share, so that the first one always has an epoch.
        """
        whole = sum(phase.epochs for phase in self.phases)
        ends = accumulate(phase.epochs for phase in self.phases)
        stops = [-(-epochs * end // whole) for end in ends]
        parts = zip(count(1), self.phases, map(range, [0, *stops], stops), strict=False)
        return [Stretch(*part, epochs - part[2].stop) for part in parts if part[2]]


def model_spec(reference: str) -> ModelSpec:
    """The model that a reference means, as in the setting `models`; none of its code is run.

    Raises SettingsError when there is none.
    """
    if not is_known(reference):
        raise SettingsError(f"There is no model '{reference}'; {choices()}.")
    return MODELS.get(reference) or _not_ours(find_code(reference))


def is_known(reference: str) -> bool:
    """Whether this is the name of a model of ours or of a package's, or the place of code."""
    return ":" in reference or reference in MODELS or reference in plugins()


def choices() -> str:
    """What a user may name as a model."""
    names = dict.fromkeys([*MODELS, *plugins()])
    return f"choose from {', '.join(names)}, or name your own as {FORMS}"


def _not_ours(code: Code) -> ModelSpec:
    # What it costs is not known: so that it is not left for the end, as much as the slowest.
    cost = max(spec.cost for spec in MODELS.values())

    def build(
        classes: int, image_size: int, base: Base | None, augmentation: str = DECLARED
    ) -> Any:
        return build_own(code, classes, image_size)

    return ModelSpec(code.name, code.origin, build, None, None, cost=cost, code=code)


def build_model(
    model: str | ModelSpec, *, classes: int, image_size: int, base: Base | None = None
) -> Any:
    """Build a Keras model, ready for its first phase: (n, size, size, 3) in 0..255 to (n, classes).

    model: what is known of it, or a reference.
    base: the feature extractor of a pretrained model. Raises TrainingError when the code of a model
    that is not ours fails, or makes none that can be used.
    """
    spec = model_spec(model) if isinstance(model, str) else model
    built = spec.build(classes, image_size, base, spec.augmentation)
    if built.compiled:  # by the user, whose optimizer and loss count
        _compile(built, built.optimizer, built.loss)
        setattr(built, OWN_TRAINING, True)
    else:
        begin_phase(built, spec.phases[0], base)
    return built


def begin_phase(model: Any, phase: Phase, base: Base | None) -> None:
    """Ready a model for a phase: a new optimizer, and what of its base trains."""
    import keras

    if base:
        base.train(upper=phase.upper)
    sparse = "" if phase.soft_labels else "Sparse"
    loss = getattr(keras.losses, f"{sparse}CategoricalCrossentropy")()
    _compile(model, keras.optimizers.Adam(phase.learning_rate), loss)


def _compile(model: Any, optimizer: Any, loss: Any) -> None:
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)


def _stack(name: str, layers: Layers) -> Builder:
    def build(
        classes: int, image_size: int, base: Base | None, augmentation: str = DECLARED
    ) -> Any:
        import keras

        photos = keras.Input((image_size, image_size, 3))
        own = _augmenting(layers(classes, base), augmentation)
        return keras.Sequential([photos, *own], name=name)

    return build


def _augmenting(own: list[Any], how: str) -> list[Any]:
    """These layers with another augmentation, of photos in 0..255, than they declare.

    All have been made by then, so that the first weights are the same for any.
    """
    from keras import layers

    if how == DECLARED:
        return own
    moving = (layers.RandomFlip, layers.RandomRotation)
    kept = [layer for layer in own if not isinstance(layer, moving)]
    return [*(_augmentation(scaled=False) if how != "none" else ()), *_stronger(how), *kept]


def _stronger(how: str) -> list[Any]:
    """A fifth of each, or a tenth of the width: the subject is still the same, and in the photo."""
    from keras import layers

    if how != "stronger":
        return []
    return [
        layers.RandomZoom(0.2),
        layers.RandomTranslation(0.1, 0.1),
        layers.RandomBrightness(0.2),
        layers.RandomContrast(0.2),
    ]


def _augmentation(*, scaled: bool = True, turn: float = 0.2) -> list[Any]:
    from keras import layers

    scaling = [layers.Rescaling(1 / 127.5, offset=-1)] if scaled else []
    return [*scaling, layers.RandomFlip("horizontal"), layers.RandomRotation(turn)]


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
    return _upon(base, classes, "GlobalMaxPooling2D", turn=0.2)


def _finetuned(classes: int, base: Base | None) -> list[Any]:
    return _upon(base, classes, "GlobalAveragePooling2D", turn=0.1)


def _upon(base: Base | None, classes: int, pooling: str, turn: float) -> list[Any]:
    from keras import layers

    if base is None:
        raise TrainingError("A pretrained model needs a base.", "See catdog.backbones.new_base.")
    augmentation = _augmentation(scaled=base.backbone.scaled, turn=turn)
    return [*augmentation, base.network, getattr(layers, pooling)(), *_head(classes)]


def _spec(
    name: str, title: str, layers: Layers, parameters: int, trainable: int, **more: Any
) -> ModelSpec:
    return ModelSpec(name, title, _stack(name, layers), parameters, trainable, **more)


MODELS = {
    spec.name: spec
    for spec in (
        _spec("baseline", "small CNN", _baseline, 742_194, 742_194, cost=1.0),
        _spec("augmented", "CNN + augmentation", _augmented, 2_967_650, 2_967_650, cost=2.9),
        _spec(
            "preprocessed",
            "CNN + augmentation + scaling",
            _preprocessed,
            102_562,
            102_562,
            cost=2.8,
        ),
        _spec(
            "transfer", "frozen MobileNetV2", _transfer, 2_260_546, 2_562, cost=1.8, pretrained=True
        ),
        _spec(
            "finetuned",
            "MobileNetV2, upper layers trained",
            _finetuned,
            2_260_546,
            1_897_474,
            cost=2.5,
            pretrained=True,
            phases=(Phase(10), Phase(10, 1e-4, "cosine", upper=True)),
        ),
    )
}
DEFAULT = ("baseline", "augmented", "preprocessed", "transfer")
"""Those of the notebook, whose published accuracies stand next to them in the report."""
