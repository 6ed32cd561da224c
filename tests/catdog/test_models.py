"""The models are those of the notebook, layer by layer, and fit other data than its own."""

from typing import Any

import numpy as np
import pytest

from catdog.backbones import new_base
from catdog.errors import TrainingError
from catdog.models import MODELS, build_model, model_spec

DESIGNED = {
    "baseline": (742_194, 742_194),
    "augmented": (2_967_650, 2_967_650),
    "preprocessed": (102_562, 102_562),
    "transfer": (2_260_546, 2_562),
}


def built(name: str, *, classes: int = 2, image_size: int = 160) -> Any:
    base = new_base("mobilenetv2", image_size) if model_spec(name).pretrained else None
    return build_model(name, classes=classes, image_size=image_size, base=base)


def count(weights: list[Any]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_the_notebooks_models_come_first_and_in_its_order() -> None:
    assert list(MODELS)[:4] == list(DESIGNED)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_as_designed_and_as_listed(name: str) -> None:
    model, spec = built(name), model_spec(name)
    counted = (model.count_params(), count(model.trainable_weights))
    assert counted == (spec.parameters, spec.trainable_parameters)
    assert counted == DESIGNED.get(name, counted)


@pytest.mark.parametrize("name", MODELS)
def test_three_classes_at_another_size_give_three_probabilities(name: str) -> None:
    model = built(name, classes=3, image_size=64)
    photos = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    probabilities = model.predict_on_batch(photos)
    assert probabilities.shape == (2, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_all_are_compiled_alike(name: str) -> None:
    config = built(name, image_size=32).get_compile_config()
    assert config["optimizer"]["class_name"] == "Adam"
    assert config["optimizer"]["config"]["learning_rate"] == pytest.approx(0.001)
    assert config["loss"]["class_name"] == "SparseCategoricalCrossentropy"
    assert config["metrics"] == ["accuracy"]


def test_a_rotation_is_a_fifth_of_a_full_turn_either_way() -> None:
    for name in ("augmented", "preprocessed", "transfer"):
        layers = [layer.get_config() for layer in built(name, image_size=32).layers]
        (rotation,) = [layer for layer in layers if "factor" in layer]
        assert tuple(rotation["factor"]) == (-0.2, 0.2)
        assert rotation["fill_mode"] == "reflect"
        assert rotation["interpolation"] == "bilinear"


def test_an_unknown_model_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(TrainingError, match=r"no model 'resnet'.*baseline, augmented"):
        model_spec("resnet")


def test_a_pretrained_model_does_not_start_without_its_base() -> None:
    with pytest.raises(TrainingError, match="'transfer' needs a base model"):
        build_model("transfer", classes=2, image_size=32)
