"""The command `catdog predict`."""

import csv as csv_files
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from catdog.champion.candidates import choose_model
from catdog.errors import StoreError
from catdog.machine import (
    available_cores,
    divert_native_stderr,
    import_tensorflow,
    tensorflow_environment,
)
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store
from catdog.training.predict import Prediction, find_photos, predict
from catdog.wording import percent


def predict_photos(
    photos: Sequence[Path], *, model: str | None, as_json: bool, csv: Path | None, home: Path
) -> int:
    """Print or write the predictions; the exit code is 1 when a photo could not be read."""
    files = find_photos(photos)
    store = Store(home)
    trained = choose_model(store, model)
    os.environ.update(tensorflow_environment(available_cores()))
    divert_native_stderr(_native_log(store))
    import_tensorflow()
    predictions = list(predict(trained, files))
    if csv:
        _write_csv(predictions, trained.classes, csv)
    if as_json:
        print(json.dumps([p.model_dump(mode="json") for p in predictions], indent=2), flush=True)  # noqa: T201
    elif not csv:
        _print_table(predictions, trained)
    unreadable = [prediction for prediction in predictions if prediction.error]
    for prediction in unreadable:
        print(f"{prediction.path}: {prediction.error}", file=sys.stderr)  # noqa: T201
    return 1 if unreadable else 0


def _native_log(store: Store) -> Path:
    """Where native code writes: nowhere when the home is one that is only read."""
    try:
        path = store.work("logs") / "predict.log"
        path.touch()
    except (OSError, StoreError):
        return Path(os.devnull)
    return path


def _print_table(predictions: Sequence[Prediction], model: TrainedModel) -> None:
    console = Console(markup=False, highlight=False)
    console.print(f"Predicted by {model.name}")
    table = Table()
    table.add_column("photo", overflow="fold")
    table.add_column("class")
    table.add_column("confidence", justify="right")
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
