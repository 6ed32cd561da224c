"""The final numbers of one training, by names that a list of numbers can have."""

from collections.abc import Iterator

from catdog.comparison.design import Design
from catdog.comparison.metrics import Metrics, measure, scored
from catdog.store.artifacts import HELD_OUT, Predictions, TrainedModel


def final_numbers(
    model: TrainedModel, predictions: Predictions, design: Design
) -> dict[str, float]:
    """How good a model is, with 95 % intervals as `..._low` and `..._high`, and what it costs.

    design: of the run, which knows the photos that count together.
    """
    table = predictions.table()
    found: dict[str, float] = {
        "best_epoch": model.best_epoch,
        "training_seconds": model.seconds,
        "parameters": model.parameters,
        "inference_seconds_per_1000": predictions.seconds_per_1000,
    }
    for split in HELD_OUT:
        part = table[table["split"] == split]
        metrics = measure(*scored(part), design.on(part["path"]).groups)
        found |= {f"{split}_{name}": value for name, value in _numbers(metrics)}
    return found


def _numbers(metrics: Metrics) -> Iterator[tuple[str, float]]:
    estimates = {
        "accuracy": (metrics.accuracy, metrics.accuracy_interval),
        "auc": (metrics.auc, metrics.auc_interval),
        "log_loss": (metrics.log_loss, metrics.log_loss_interval),
        "brier": (metrics.brier, metrics.brier_interval),
    }
    for name, (value, interval) in estimates.items():
        if value is not None:
            yield name, value
        if interval is not None:
            yield from ((f"{name}_low", interval.low), (f"{name}_high", interval.high))
    yield "calibration_error", metrics.calibration.error
