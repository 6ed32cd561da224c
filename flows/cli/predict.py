"""The command `catdog predict`."""

import csv as csv_files
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from catdog.errors import StoreError
from catdog.inference.classifier import Classifier, Prediction
from catdog.inference.load import load
from catdog.inference.photos import find_photos
from catdog.wording import percent


def predict_photos(
    photos: Sequence[Path], *, model: str | None, as_json: bool, csv: Path | None, home: Path
) -> int:
    """Print or write the predictions; the exit code is 1 when a photo could not be read."""
    files = find_photos(photos)
    classifier = load(model, home=home)
    predictions = classifier.predict(files)
    if csv:
        _write_csv(predictions, classifier.classes, csv)
    if as_json:
        print(json.dumps([p.model_dump(mode="json") for p in predictions], indent=2), flush=True)  # noqa: T201
    elif not csv:
        _print_table(predictions, classifier)
    unreadable = [prediction for prediction in predictions if prediction.error]
    for prediction in unreadable:
        print(f"{prediction.path}: {prediction.error}", file=sys.stderr)  # noqa: T201
    return 1 if unreadable else 0


def _print_table(predictions: Sequence[Prediction], model: Classifier) -> None:
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
