"""One number makes a confidence mean what it says."""

import numpy as np
import pytest

from catdog.inference.temperature import fit_temperature, soften


def drawn(temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels that were drawn from probabilities, and those probabilities made too sure."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((len(true), 1)) > true.cumsum(axis=1)).sum(axis=1).clip(max=2)
    sharp = true**temperature
    return labels, (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 1, 3])
def test_the_temperature_of_overconfidence_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_softening_changes_no_class_and_sums_to_one() -> None:
    _, probabilities = drawn(3)
    softened = soften(probabilities, 2.5)
    assert (softened.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    np.testing.assert_allclose(softened.sum(axis=1), 1, rtol=1e-5)
    assert softened.max(axis=1).mean() < probabilities.max(axis=1).mean()


def test_probabilities_of_zero_stay_finite() -> None:
    assert np.isfinite(soften(np.array([1, 0], np.float32), 0.1)).all()
    assert fit_temperature(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(
        10, rel=0.01
    )
