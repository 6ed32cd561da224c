"""One trained model in numbers: how good, on which photos, at what cost."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from catdog.comparison.design import Design
from catdog.comparison.judges import Outcomes, judge
from catdog.comparison.metrics import Calibration, Metrics, Score, calibration, measure, scored
from catdog.inference.temperature import soften
from catdog.metric import BY_ACCURACY, Metric
from catdog.store.artifacts import HELD_OUT, Cost, Predictions, TrainedModel, Trial
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd


Trained = tuple[TrainedModel, Predictions]
"""A training that ended well, and what its model predicts."""


class Epoch(Record):
    """One line of a model's history."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    val_metric: float | None = Field(None, exclude_if=lambda value: value is None)
    """What the epoch was selected by; None where that is the accuracy."""


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
    scaled: Calibration | None = None
    """On test at that temperature."""
    facts: dict[str, Any]
    """The model's `model.json`: settings, versions, machine, weights."""


class FailedModel(Record, Trial):
    """A training that gave no predictions, and why."""

    error: str


def score(
    trainings: Sequence[Trained],
    table: "pd.DataFrame",
    design: Design,
    *,
    claim: bool = True,
    metric: Metric = BY_ACCURACY,
) -> ScoredModel:
    """The numbers of one model: of its first training, but for times, which are medians of all.

    Any one training may have been held up. table: its predictions, as the design pools them. claim:
    whether one can be made over all trainings.
    """
    (model, predictions), *_ = trainings
    temperature = predictions.temperature if design.usable else None
    validation, test = (table[table["split"] == split] for split in HELD_OUT)
    history = model.history().set_index("epoch", drop=False)
    history = history[[name for name in Epoch.model_fields if name in history]]
    return ScoredModel(
        name=model.name,
        seed=model.seed,
        epochs=model.epochs,
        selected=Epoch.model_validate(history.loc[model.best_epoch].to_dict()),
        last=Epoch.model_validate(history.iloc[-1].to_dict()),
        validation=_measure(validation, design, metric, claim=claim),
        test=_measure(test, design, metric, claim=claim),
        temperature=temperature,
        scaled=_scaled(test, temperature, design),
        seconds_per_1000=median(of.seconds_per_1000 for _, of in trainings),
        facts=model.facts(),
        seconds=median(of.seconds for of, _ in trainings),
        **model.model_dump(include=set(Cost.model_fields) - {"seconds"}),
    )


def outcomes(tables: "Iterable[pd.DataFrame]", metric: Metric = BY_ACCURACY) -> Outcomes:
    """What a metric judges, a row a table: whether each prediction is right, or what it is."""
    rows = [metric.rows(table) for table in tables]
    if metric.averages:
        return np.array([table["predicted"].to_numpy(dtype=str) for table in rows])
    return np.array([table["predicted"] == table["label"] for table in rows], dtype=np.bool_)


def judging(table: "pd.DataFrame", design: Design, metric: Metric) -> Design:
    """The design for the outcomes of these photos."""
    rows = metric.rows(table)
    return design.on(rows["path"], judge(metric, rows["label"].to_numpy(dtype=str)))


def _measure(table: "pd.DataFrame", design: Design, metric: Metric, *, claim: bool) -> Metrics:
    every = design.on(table["path"])
    found = measure(*scored(table), every.groups)
    if interval := every.interval(outcomes([table]), claim=claim):
        found = found.model_copy(update={"accuracy_interval": interval})
    if metric.default:
        return found
    one = outcomes([table], metric)
    _, value, interval = judging(table, design, metric).accuracy(one, claim=claim)
    chosen = Score(value=value, n=one.shape[1], interval=interval)
    return found.model_copy(update={"chosen": chosen})


def _scaled(table: "pd.DataFrame", temperature: float | None, design: Design) -> Calibration | None:
    if temperature is None:
        return None
    truth, probabilities, _ = scored(table)
    return calibration(truth, soften(probabilities, temperature), design.on(table["path"]).groups)
