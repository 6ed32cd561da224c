"""Training in bfloat16 where it is asked for; that of GPUs is tried on the processor, too."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from catdog.backbones import Base
from catdog.fast import mixed_precision as module
from catdog.fast.mixed_precision import HalfPrecision, mixed_precision, slow_in_bfloat16
from catdog.fast.twin import accelerate, precision_of
from catdog.models import MODELS, begin_phase, build_model
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


@pytest.mark.parametrize("gpus", [(), (AMPERE,)], ids=["processor", "GPU"])
@pytest.mark.parametrize("name", MODELS)
def test_training_is_a_little_coarser_and_prediction_the_same(
    name: str, gpus: Any, base: Base, use_gpus: UseGpus
) -> None:
    use_gpus(*gpus)
    model = built(name, base)
    begin_phase(model, MODELS[name].phases[-1], base)
    twin = accelerate(model, threads=1, precision="bfloat16")
    np.testing.assert_allclose(
        twin(IMAGES, training=False), model(FLOATS, training=False), atol=0 if gpus else 1e-5
    )
    fine, keras_own = hidden(model.layers, model), hidden(mixed_precision(model.layers), model)
    coarse = hidden(twin.stages, model)
    assert 0 < apart(keras_own, fine) < 0.02
    if name == "transfer" and not gpus:  # what is frozen only predicts, in float32
        assert precision_of(twin) == "float32"
        assert apart(coarse, fine) < 1e-5
    else:
        assert precision_of(twin) == "bfloat16"
        assert 1e-4 < apart(coarse, fine) < 0.02


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


@pytest.mark.parametrize("gpus", [(), (AMPERE,)], ids=["processor", "GPU"])
@pytest.mark.parametrize("name", MODELS)
def test_weights_stay_float32_and_the_saved_model_knows_nothing_of_it(
    name: str, gpus: Any, base: Base, use_gpus: UseGpus
) -> None:
    use_gpus(*gpus)
    model = built(name, base)
    before = [weight.numpy() for weight in model.trainable_weights]
    twin = accelerate(model, threads=1, precision="bfloat16")
    twin.fit(IMAGES, LABELS, epochs=1, verbose=0)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert any((w.numpy() != b).any() for w, b in zip(model.trainable_weights, before, strict=True))
    assert "bfloat16" not in model.to_json()


def test_no_hardware_is_reason_enough_to_leave_float32(use_gpus: UseGpus) -> None:
    use_gpus(AMPERE)
    model = built("baseline", None)
    assert accelerate(model, threads=1) is model
    assert precision_of(model) == "float32"


@pytest.mark.parametrize(
    ("gpus", "units", "slow"),
    [
        ((AMPERE,), "avx2", ""),
        ((TURING,), "amx_bf16", "a GPU is older than Ampere"),
        ((AMPERE, TURING), "", "a GPU is older than Ampere"),
        ((), "amx_bf16 avx2", ""),
        ((), "avx512_bf16", ""),
        ((), "avx2 avx512f fma", "this processor has neither AMX nor AVX512-BF16"),
    ],
)
def test_hardware_without_bfloat16_is_known(
    gpus: Any, units: str, slow: str, use_gpus: UseGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_gpus(*gpus)
    monkeypatch.setattr(module, "computer", lambda: {"vector_units": units})
    found = slow_in_bfloat16()
    assert slow in found
    assert bool(slow) == bool(found)


def test_pixels_random_numbers_and_probabilities_keep_their_digits(base: Base) -> None:
    stages = mixed_precision(built("transfer", base).layers)
    halves = [stage.layer for stage in stages if isinstance(stage, HalfPrecision)]
    assert [type(layer).__name__ for layer in halves[1:]] == ["GlobalMaxPooling2D"]
    assert halves[0] is base.network
