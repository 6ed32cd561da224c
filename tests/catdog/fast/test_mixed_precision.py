"""bfloat16 on GPUs that have it, tried on the processor: the same mathematics, only slower."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from catdog.backbones import Base
from catdog.fast import mixed_precision
from catdog.fast.mixed_precision import HalfPrecision
from catdog.fast.twin import accelerate
from catdog.models import MODELS, build_model
from catdog.training.seeding import seed_epoch

SIZE = 32
IMAGES = np.random.default_rng(1).integers(0, 256, (11, SIZE, SIZE, 3), dtype=np.uint8)
FLOATS = IMAGES.astype(np.float32)
LABELS = np.arange(11, dtype=np.int32) % 3
AMPERE, TURING = (8, 0), (7, 5)

UseGpus = Any


@pytest.fixture
def use_gpus(monkeypatch: pytest.MonkeyPatch) -> UseGpus:
    """Let TensorFlow report GPUs of these compute capabilities."""

    def use(*capabilities: tuple[int, int]) -> None:
        gpus = [SimpleNamespace(capability=capability) for capability in capabilities]
        monkeypatch.setattr(
            tf.config, "list_physical_devices", lambda kind=None: gpus if kind == "GPU" else []
        )
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda gpu: {"compute_capability": gpu.capability},
        )

    return use


def built(name: str, base: Base | None) -> Any:
    keras.utils.set_random_seed(4)
    return build_model(name, classes=3, image_size=SIZE, base=base)


def hidden(stages: list[Any], model: Any) -> np.ndarray:
    """What comes before the last layer in training, with the random numbers of an epoch."""
    seed_epoch(model, seed=5, epoch=6)
    values = FLOATS
    for stage in stages[:-1]:
        values = stage(values, training=True)
    return np.asarray(values, np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_training_is_a_little_coarser_and_prediction_the_same(
    name: str, base: Base, use_gpus: UseGpus
) -> None:
    use_gpus(AMPERE)
    model = built(name, base)
    twin = accelerate(model, threads=1)
    np.testing.assert_array_equal(twin(IMAGES, training=False), model(FLOATS, training=False))
    coarse, fine = hidden(twin.stages, model), hidden(model.layers, model)
    difference = np.linalg.norm(coarse - fine) / np.linalg.norm(fine)
    assert 0 < difference < 0.02


@pytest.mark.parametrize("name", MODELS)
def test_weights_stay_float32_and_the_saved_model_knows_nothing_of_it(
    name: str, base: Base, use_gpus: UseGpus
) -> None:
    use_gpus(AMPERE)
    model = built(name, base)
    before = [weight.numpy() for weight in model.trainable_weights]
    twin = accelerate(model, threads=1)
    twin.fit(IMAGES, LABELS, epochs=1, verbose=0)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert any((w.numpy() != b).any() for w, b in zip(model.trainable_weights, before, strict=True))
    assert "bfloat16" not in model.to_json()


@pytest.mark.parametrize("capabilities", [(TURING,), (AMPERE, TURING)])
def test_a_gpu_without_bfloat16_trains_in_float32(
    capabilities: tuple[tuple[int, int], ...], use_gpus: UseGpus
) -> None:
    use_gpus(*capabilities)
    model = built("baseline", None)
    assert accelerate(model, threads=1) is model


def test_pixels_random_numbers_and_probabilities_keep_their_digits(base: Base) -> None:
    stages = mixed_precision.mixed_precision(built("transfer", base).layers)
    halves = [stage.layer for stage in stages if isinstance(stage, HalfPrecision)]
    assert [type(layer).__name__ for layer in halves[1:]] == ["GlobalMaxPooling2D"]
    assert halves[0] is base.network
