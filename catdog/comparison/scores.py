"""One trained model in numbers: how good, on which photos, at what cost."""

from typing import TYPE_CHECKING, Any

from catdog.comparison.design import Design
from catdog.comparison.metrics import Labels, Metrics, Probabilities, measure, scored
from catdog.comparison.over_photos import Correct
from catdog.inference.temperature import soften
from catdog.store.artifacts import HELD_OUT, Cost, Predictions, TrainedModel, Trial
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
    model: TrainedModel, predictions: Predictions, table: "pd.DataFrame", design: Design
) -> ScoredModel:
    """The numbers of one model. table: its predictions, as the design pools them."""
    temperature = predictions.temperature if design.usable else None
    validation, test = (table[table["split"] == split] for split in HELD_OUT)
    history = model.history().set_index("epoch", drop=False)[list(Epoch.model_fields)]
    return ScoredModel(
        name=model.name,
        seed=model.seed,
        epochs=model.epochs,
        selected=Epoch.model_validate(history.loc[model.best_epoch].to_dict()),
        last=Epoch.model_validate(history.iloc[-1].to_dict()),
        validation=_measure(validation, design),
        test=_measure(test, design),
        temperature=temperature,
        scaled_error=_scaled_error(*scored(test), temperature),
        seconds_per_1000=predictions.seconds_per_1000,
        facts=model.facts(),
        **model.model_dump(include=set(Cost.model_fields)),
    )


def correct(table: "pd.DataFrame") -> Correct:
    """Whether each prediction of a table is right."""
    found: Correct = (table["predicted"] == table["label"]).to_numpy(dtype=bool)
    return found


def _measure(table: "pd.DataFrame", design: Design) -> Metrics:
    found = measure(*scored(table))
    interval = design.on(table["path"]).interval(correct(table)[None])
    return found.model_copy(update={"accuracy_interval": interval}) if interval else found


def _scaled_error(
    truth: Labels,
    probabilities: Probabilities,
    classes: tuple[str, ...],
    temperature: float | None,
) -> float | None:
    if temperature is None:
        return None
    return measure(truth, soften(probabilities, temperature), classes).calibration_error
