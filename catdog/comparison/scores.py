"""One trained model in numbers: how good, on which photos, at what cost."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from catdog.comparison.metrics import Labels, Metrics, Probabilities, measure, scored
from catdog.comparison.over_folds import accuracy_over_folds
from catdog.inference.temperature import soften
from catdog.store.artifacts import Cost, Predictions, TrainedModel, Trial
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd


class Epoch(Record):
    """One line of a model's history."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float


class ScoredModel(Record, Cost):
    """One trained model: how good, on which photos, at what cost."""

    name: str
    seed: int
    epochs: int
    selected: Epoch
    """The epoch whose weights were scored: the best on validation."""
    last: Epoch
    validation: Metrics
    test: Metrics
    seconds_per_1000: float
    """Inference time: wall seconds to predict 1,000 photos."""
    temperature: float | None = None
    """Fitted on validation; None where an older version evaluated it."""
    scaled_error: float | None = None
    """The expected calibration error on test at that temperature."""
    facts: dict[str, Any]
    """The model's `model.json`: settings, versions, machine, weights."""


class FailedModel(Record, Trial):
    """A training that gave no predictions, and why."""

    error: str


def score(
    model: TrainedModel,
    predictions: Predictions,
    pooled: "pd.DataFrame | None" = None,
    fold: Mapping[str, int] | None = None,
) -> ScoredModel:
    """The numbers of one model, from its predictions.

    pooled: the predictions of all folds, of which the model is the first. fold: that of each photo
    by its path.
    """
    table = predictions.table() if pooled is None else pooled
    temperature = predictions.temperature if pooled is None else None
    test = scored(table[table["split"] == "test"])
    history = model.history().set_index("epoch", drop=False)[list(Epoch.model_fields)]
    return ScoredModel(
        name=model.name,
        seed=model.seed,
        epochs=model.epochs,
        selected=Epoch.model_validate(history.loc[model.best_epoch].to_dict()),
        last=Epoch.model_validate(history.iloc[-1].to_dict()),
        validation=_measure(table[table["split"] == "validation"], fold),
        test=_measure(table[table["split"] == "test"], fold),
        temperature=temperature,
        scaled_error=_scaled_error(*test, temperature),
        seconds_per_1000=predictions.seconds_per_1000,
        facts=model.facts(),
        **model.model_dump(include=set(Cost.model_fields)),
    )


def _measure(table: "pd.DataFrame", fold: Mapping[str, int] | None) -> Metrics:
    found = measure(*scored(table))
    if not fold:
        return found
    correct = (table["predicted"] == table["label"]).to_numpy(dtype=bool)
    interval = accuracy_over_folds(correct, np.array([fold[path] for path in table["path"]]))
    return found.model_copy(update={"accuracy_interval": interval})


def _scaled_error(
    truth: Labels,
    probabilities: Probabilities,
    classes: tuple[str, ...],
    temperature: float | None,
) -> float | None:
    if temperature is None:
        return None
    return measure(truth, soften(probabilities, temperature), classes).calibration_error
