"""The models are those of the notebook, layer by layer, and fit other data than its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.backbones import Base, new_base
from catdog.errors import SettingsError, TrainingError
from catdog.models import MODELS, Phase, begin_phase, build_model, model_spec
from catdog.training.seeding import seeded

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
    spec = model_spec(name)
    base = new_base("mobilenetv2", 160) if spec.pretrained else None
    model = build_model(name, classes=2, image_size=160, base=base)
    begin_phase(model, spec.phases[-1], base)
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
def test_all_begin_alike(name: str) -> None:
    config = built(name, image_size=32).get_compile_config()
    assert config["optimizer"]["class_name"] == "Adam"
    assert config["optimizer"]["config"]["learning_rate"] == pytest.approx(0.001)
    assert config["loss"]["class_name"] == "SparseCategoricalCrossentropy"
    assert config["metrics"] == ["accuracy"]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4).map(
        lambda shares: tuple(Phase(epochs) for epochs in shares)
    ),
    st.integers(1, 200),
)
def test_phases_take_all_epochs_one_after_the_other(phases: tuple[Phase, ...], epochs: int) -> None:
    found = replace(MODELS["finetuned"], phases=phases).stretches(epochs)
    assert [epoch for stretch in found for epoch in stretch.epochs] == list(range(epochs))
    assert [stretch.phase for stretch in found] == [phases[s.number - 1] for s in found]
    assert found[0].number == 1


def test_fine_tuning_is_the_second_half_with_a_rate_that_falls() -> None:
    head, upper = MODELS["finetuned"].stretches(20)
    assert (head.epochs, upper.epochs) == (range(10), range(10, 20))
    assert {head.learning_rate(epoch) for epoch in head.epochs} == {0.001}
    rates = [upper.learning_rate(epoch) for epoch in upper.epochs]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[5]) == (1e-4, pytest.approx(5e-5))
    assert 0 < rates[-1] < 5e-6


def test_a_learning_rate_is_that_of_the_first_phase_and_the_next_keeps_its_proportion() -> None:
    spec = MODELS["finetuned"]
    head, upper = spec.varied(learning_rate=0.01).phases
    assert (head.learning_rate, upper.learning_rate) == (0.01, pytest.approx(0.001))
    assert spec.varied() == spec


@pytest.mark.parametrize(
    ("schedule", "falls"),
    [("declared", [False, True]), ("constant", [False, False]), ("cosine", [True, True])],
)
def test_a_schedule_is_that_of_each_phase(schedule: str, falls: list[bool]) -> None:
    stretches = MODELS["finetuned"].varied(schedule=schedule).stretches(20)
    ends = [(s.learning_rate(s.epochs[0]), s.learning_rate(s.epochs[-1])) for s in stretches]
    assert [last < first / 20 for first, last in ends] == falls
    assert [first for first, _ in ends] == [0.001, 1e-4]


@pytest.mark.parametrize("name", MODELS)
def test_an_augmentation_replaces_the_declared_one_and_no_weights(name: str, base: Base) -> None:
    def layers(how: str) -> tuple[list[str], list[Any]]:
        with seeded(7):
            spec = MODELS[name].varied(augmentation=how)
            model = build_model(spec, classes=3, image_size=32, base=base)
        return [type(layer).__name__ for layer in model.layers], model.get_weights()

    (declared, weights), moving = layers("declared"), ["RandomFlip", "RandomRotation"]
    kept = [layer for layer in declared if layer not in moving]
    added = ["RandomZoom", "RandomTranslation", "RandomBrightness", "RandomContrast"]
    first = {"none": [], "standard": moving, "stronger": moving + added}
    for how, own in first.items():
        found, same = layers(how)
        assert found == own + kept
        for one, other in zip(same, weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_fine_tuning_trains_the_upper_convolutions_and_no_batch_normalisation(base: Base) -> None:
    """`fit` runs every layer in training mode: keras #20285."""
    model = build_model("finetuned", classes=2, image_size=32, base=base)
    before = {weight.path: weight.numpy() for weight in model.weights}
    begin_phase(model, Phase(upper=True), base)
    photos = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3)).astype(np.float32)
    model.fit(photos, np.arange(8) % 2, verbose=0)
    moved = {w.path for w in model.weights if (w.numpy() != before[w.path]).any()}
    upper = {w.path for w in base.network.get_layer("depthwise").weights}
    assert moved == upper | {w.path for w in model.layers[-1].weights}


def test_a_rotation_is_a_fifth_of_a_full_turn_either_way() -> None:
    for name in ("augmented", "preprocessed", "transfer"):
        layers = [layer.get_config() for layer in built(name, image_size=32).layers]
        (rotation,) = [layer for layer in layers if "factor" in layer]
        assert tuple(rotation["factor"]) == (-0.2, 0.2)
        assert rotation["fill_mode"] == "reflect"
        assert rotation["interpolation"] == "bilinear"


def test_an_unknown_model_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(SettingsError, match=r"no model 'resnet'.*baseline, augmented"):
        model_spec("resnet")


def test_a_pretrained_model_does_not_start_without_its_base() -> None:
    with pytest.raises(TrainingError, match="needs a base"):
        build_model("transfer", classes=2, image_size=32)
