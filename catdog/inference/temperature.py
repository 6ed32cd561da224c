"""Temperature scaling: one number that makes a model's confidence mean what it says.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017. Probabilities become
softmax(log(p) / T): above 1 they are softened, and no predicted class ever changes.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

LIMITS = (0.1, 10.0)
"""Where there are too few errors to tell, the fit would run away."""
LEAST = 1e-30
"""Below, a float32 soon has fewer digits."""


def fit_temperature(labels: npt.NDArray[Any], probabilities: npt.NDArray[Any]) -> float:
    """The temperature with the smallest log loss.

    labels: class indices (n). probabilities: (n, classes), of photos that were not trained on.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    right = logits[np.arange(len(labels)), labels]

    def log_loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float((np.logaddexp.reduce(logits * scale, axis=1) - right * scale).mean())

    found = minimize_scalar(
        log_loss, bounds=(math.log(LIMITS[0]), math.log(LIMITS[1])), method="bounded"
    )
    return round(float(np.exp(found.x)), 4)


def soften(probabilities: npt.NDArray[Any], temperature: float) -> npt.NDArray[Any]:
    """Probabilities (..., classes) at a temperature."""
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))
