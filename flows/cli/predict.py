"""The command `catdog predict`."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from catdog.errors import SettingsError
from catdog.inference.classifier import Classifier, Photo, Prediction
from catdog.sources.named_photos import find_photos
from catdog.store.artifacts import csv_text
from catdog.wording import escaped, percent
from flows.cli.terminal import err, require_file, write_file

STANDARD = Path("-")
"""Among the photos: standard input. For the CSV: standard output."""
STDIN = Path("/dev/stdin")
MANY = 50
"""Photos that take long enough for a progress bar."""
WHY = {"unsure": "not sure", "unlike": "unlike anything seen"}
"""In place of a class that is not given."""
SURE = 0.95
"""From here on a confidence is shown in green."""


def named(photos: Sequence[Path]) -> list[Path]:
    """The photos that are meant, as `find_photos` finds them, and standard input."""
    found: list[Path] = []
    for path in photos:
        found += [STDIN] if path in (STANDARD, STDIN) else find_photos([path])
    return found


def predict_photos(
    photos: Sequence[Path], classifier: Classifier, *, as_json: bool, csv: Path | None
) -> int:
    """Print or write the predictions; the exit code is 1 when a photo could not be read."""
    if as_json and csv == STANDARD:
        raise SettingsError("--json and '--csv -' both print.", "Name a file for --csv.")
    if csv:
        require_file(csv, "--csv")
    predictions = _predict(photos, classifier)
    if csv:
        _write_csv(predictions, classifier, csv)
    if as_json:
        print(json.dumps([p.model_dump(mode="json") for p in predictions], indent=2), flush=True)  # noqa: T201
    elif not csv:
        _print_table(predictions, classifier)
    unreadable = [prediction for prediction in predictions if prediction.error]
    for prediction in unreadable:
        print(f"{escaped(prediction.path)}: {prediction.error}", file=sys.stderr)  # noqa: T201
    return 1 if unreadable else 0


def _predict(photos: Sequence[Path], classifier: Classifier) -> list[Prediction]:
    given: Iterator[Photo] = (sys.stdin.buffer.read() if path == STDIN else path for path in photos)
    predictions: Iterable[Prediction] = classifier.stream(given)
    if len(photos) >= MANY and err.is_terminal:  # where somebody waits
        from rich.progress import track

        predictions = track(predictions, "Predicting", len(photos), console=err, transient=True)
    found = zip(predictions, photos, strict=True)
    return [prediction.model_copy(update={"path": path}) for prediction, path in found]


def _print_table(predictions: Sequence[Prediction], classifier: Classifier) -> None:
    console = Console(markup=False, highlight=False)
    scale = "" if classifier.temperature == 1 else f", temperature {classifier.temperature:.2f}"
    console.print(f"Predicted by {classifier.name} {classifier.version[:12]}{scale}")
    if classifier.caution:
        console.print(classifier.caution.sentence)
    readable = [p for p in predictions if p.probabilities]
    if console.is_terminal:  # what reads a pipe may count on the order of the photos
        readable.sort(key=lambda p: -_confidence(p))
    if not readable:
        return
    table = Table(Column("photo", overflow="fold"), "class", Column("confidence", justify="right"))
    for p in readable:
        mark = " ?" if p.uncertain else "  "
        said = p.label or WHY[str(p.unanswered)]
        table.add_row(escaped(p.path), said, f"{percent(_confidence(p))}{mark}", style=_style(p))
    console.print(table)
    uncertain = sum(p.uncertain for p in readable)
    if classifier.caution:
        console.print(f"{len(readable) - uncertain:,} of {len(readable):,} answered.")
    elif uncertain:
        console.print(f"? {uncertain:,} below {percent(classifier.threshold)}: look yourself.")


def _confidence(prediction: Prediction) -> float:
    """Of the likeliest class, answered or not."""
    return max(prediction.probabilities.values())


def _style(prediction: Prediction) -> str:
    if prediction.uncertain:
        return "yellow"
    return "green" if (prediction.probability or 0) >= SURE else ""


def _write_csv(predictions: Sequence[Prediction], classifier: Classifier, path: Path) -> None:
    classes, why = classifier.classes, ("unanswered",) if classifier.caution else ()
    table = csv_text(
        ("path", "label", *why, *(f"p_{name}" for name in classes), "error"),
        (
            (
                p.path,
                p.label,
                *(p.unanswered for _ in why),
                *map(p.probabilities.get, classes),
                p.error,
            )
            for p in predictions
        ),
        line_end="\r\n",  # else a '\r' in a name is not quoted
    )
    table = table.encode(errors="backslashreplace").decode()  # a name may be no UTF-8
    if path == STANDARD:
        print(table, end="", flush=True)  # noqa: T201
        return
    write_file(path, table, "--csv")
