"""The command `catdog predict`."""

import csv as csv_files
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from catdog.champion.registry import Registry
from catdog.errors import StoreError
from catdog.machine import available_cores, import_tensorflow, tensorflow_environment
from catdog.runs import Run, load_runs
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store
from catdog.training.predict import Prediction, find_photos, predict
from catdog.wording import percent
from flows.processes import divert_stderr


def predict_photos(
    photos: Sequence[Path], *, model: str | None, as_json: bool, csv: Path | None, home: Path
) -> int:
    """Print or write the predictions; the exit code is 1 when a photo could not be read."""
    files = find_photos(photos)
    store = Store(home)
    trained = choose_model(store, model)
    os.environ.update(tensorflow_environment(available_cores()))
    divert_stderr(store.work("logs") / "predict.log")
    import_tensorflow()
    predictions = list(predict(trained, files))
    if csv:
        _write_csv(predictions, trained.classes, csv)
    if as_json:
        print(json.dumps([p.model_dump(mode="json") for p in predictions], indent=2))  # noqa: T201
    elif not csv:
        _print_table(predictions, trained)
    unreadable = [prediction for prediction in predictions if prediction.error]
    for prediction in unreadable:
        print(f"{prediction.path}: {prediction.error}", file=sys.stderr)  # noqa: T201
    return 1 if unreadable else 0


def choose_model(store: Store, name: str | None) -> TrainedModel:
    """The model of this name in the newest run that has it; without a name, the champion.

    Where there is no champion, the newest run's best on validation: the test photos are for
    judging, not for choosing. Raises StoreError when there is none.
    """
    if name is None and (champion := Registry(store.home).champion_model()):
        return champion
    for run in reversed(load_runs(store)):
        scores = [score for score in run.scores if not score.error and name in (None, score.name)]
        for score in sorted(scores, key=lambda score: -(score.validation_accuracy or 0)):
            if model := _stored(run, store, f"model {score.name} {score.seed}"):
                return model
    what = f"'{name}'" if name else "model"
    raise StoreError(f"There is no trained {what} in {store.home}.", "Train one: 'catdog run'.")


def _stored(run: Run, store: Store, label: str) -> TrainedModel | None:
    return store.find(TrainedModel, run.artifacts[label])


def _print_table(predictions: Sequence[Prediction], model: TrainedModel) -> None:
    console = Console(markup=False, highlight=False)
    console.print(f"Predicted by {model.name}")
    table = Table()
    table.add_column("photo", overflow="fold")
    table.add_column("class")
    table.add_column("probability", justify="right")
    for prediction in predictions:
        if prediction.probability is not None:
            table.add_row(str(prediction.path), prediction.label, percent(prediction.probability))
    console.print(table)


def _write_csv(predictions: Sequence[Prediction], classes: Sequence[str], path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv_files.writer(file)
            writer.writerow(["path", "label", *(f"p_{name}" for name in classes), "error"])
            for p in predictions:
                shares = [p.probabilities.get(name, "") for name in classes]
                writer.writerow([p.path, p.label or "", *shares, p.error or ""])
        temporary.replace(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}).", "Choose another file for --csv."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
