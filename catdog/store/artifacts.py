"""What is stored on the way of a photo: a record type a kind of artifact, which reads its files."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, ClassVar, Self
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from catdog.errors import PhotosError, StoreError
from catdog.store.digest import KEY_LENGTH, value_digest
from catdog.store.files import write_text
from catdog.store.store import Artifact, Record, Store
from catdog.wording import quoted

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")
SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What folders of a split are called, in lower case."""
HELD_OUT = ("validation", "test")
"""The splits that models are scored on."""
TEXT_COLUMNS = (
    "model", "split", "path", "label", "predicted", "mode", "reason", "other", "other_split",
    "match", "action", "sha256", "taken", "group", "group",
)  # fmt: skip


class Archive(Artifact):
    """A downloaded archive. File: `archive`, its bytes as they were served."""

    kind: ClassVar[str] = "archive"

    url: str
    """As it may be shown."""
    query: str = ""
    """Digest of what its query asks for; empty without one."""
    sha256: str
    bytes: int


def place_of(home: Path, inventory: str) -> Path:
    """The file that says in which folder of this machine a user's own photos are."""
    return home / "work" / "places" / inventory


class Photos(Artifact):
    """A folder of photos as found, nothing yet decoded.

    Files: `photos.csv` with a row a file: path (relative to `root`, POSIX), bytes, sha256; and,
    for an archive or the sample, the photos themselves below `photos/`. Where a metadata file
    names the classes, also place: the path that the photo would have if folders did; and facts,
    what its other columns say, as JSON.
    """

    kind: ClassVar[str] = "photos"

    origin: str
    """Where they came from, as the user named it when they were first stored."""
    root: Path | None
    """The folder that the paths are relative to, below `path`; None for the user's own, which may
    lie elsewhere on each machine. By an older version, that one's absolute path."""
    inventory: str
    """Digest of the rows of `photos.csv`: the same photos have the same one wherever they lie."""
    archive_sha256: str | None = None
    count: int
    note: str = ""
    """What a reader of the report should know about the source; empty when all is as asked."""

    @property
    def folder(self) -> Path:
        """The folder that the paths in `photos.csv` are relative to.

        Raises PhotosError when this machine has never seen it.
        """
        if self.root is not None:
            return self.path / self.root
        told = place_of(self.path.parents[2], self.inventory)
        try:
            return Path(told.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise PhotosError(
                f"The photos of {self.origin} are not on this machine.",
                "Give --source the folder that they are in here.",
            ) from error

    def rows(self) -> list[dict[str, str]]:
        """`photos.csv`, sorted by path."""
        return sorted(_rows(self.file("photos.csv")), key=lambda row: row["path"])


class ExcludedFile(Record):
    """A row of `rejected.csv`: a file that is not used, and why."""

    path: str
    reason: str


class DuplicatePair(Record):
    """A row of `duplicates.csv`: `path` is an exact or near duplicate of `other`."""

    path: str
    split: str
    other: str
    other_split: str
    match: str
    """"exact" or "near"."""
    distance: int
    """Bits of 64 in which their perceptual hashes differ."""
    action: str
    """What was done with the first: "kept" or "dropped"."""


class Manifest(Artifact):
    """Every photo with its class and split; the unreadable ones and the duplicates.

    Files: `manifest.csv` (path, label, split, sha256, width, height, bytes, mode, brightness,
    taken, and in `group` the path of one of those that count together), `rejected.csv` (the fields
    of `ExcludedFile`) and `duplicates.csv` (those of `DuplicatePair`).
    """

    kind: ClassVar[str] = "manifest"

    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    """Photos by split and class, such as counts["train"]["cats"]."""
    rejected: int
    duplicates: int
    named_groups: int = 0
    """That the photos were said to belong to. Not kept by older versions."""
    rare: tuple[str, ...] = ()
    """Classes that were left out, as they have too few photos. Not kept by older versions."""

    def rows(self) -> list[dict[str, str]]:
        """`manifest.csv`, every value as text."""
        return _rows(self.file("manifest.csv"))

    def table(self) -> "pd.DataFrame":
        """`manifest.csv`."""
        return read_table(self.file("manifest.csv"))

    def excluded_files(self) -> tuple[ExcludedFile, ...]:
        """The files that are not used."""
        return tuple(map(ExcludedFile.model_validate, _rows(self.file("rejected.csv"))))

    def duplicate_pairs(self) -> tuple[DuplicatePair, ...]:
        """The photos that are exact or near duplicates of another one."""
        return tuple(map(DuplicatePair.model_validate, _rows(self.file("duplicates.csv"))))

    def groups(self) -> dict[str, str]:
        """The photos that count together, by path: the path of one of them.

        They show the same picture or belong to the same group, also by way of others.
        """
        shown = {pair.path: pair.other for pair in self.duplicate_pairs()}  # of older versions
        rows = self.rows()
        return {r["path"]: r.get("group") or shown.get(r["path"], r["path"]) for r in rows}


class Trial(BaseModel):
    """One training of a model: with a seed, and in a cross-validation for a fold."""

    name: str
    seed: int
    fold: int | None = None
    """The one that is held out and tested on, from 1; None without cross-validation."""

    @property
    def fold_or_seed(self) -> int:
        """What tells it from the model's other trainings."""
        return self.fold or self.seed

    @property
    def which(self) -> str:
        """The same in words."""
        return f"{'fold' if self.fold else 'seed'} {self.fold_or_seed}"

    def identity(self) -> dict[str, Any]:
        """The fields above, for another record of the same training."""
        return self.model_dump(include=set(Trial.model_fields))


class Rows:
    """Some photos of an array that is mapped into memory, in an order of their own.

    None is read before it is asked for.
    """

    def __init__(self, photos: npt.NDArray[np.uint8], rows: npt.NDArray[np.intp]) -> None:
        self._photos, self._rows = photos, rows
        self.shape = (len(rows), *photos.shape[1:])

    def __getitem__(self, chosen: slice | npt.NDArray[Any] | int) -> npt.NDArray[np.uint8]:
        """Some of them, read."""
        return self._photos[self._rows[chosen]]

    def __array__(self, dtype: Any = None, *, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of them, read."""
        return np.asarray(self[:], dtype=dtype)


Images = npt.NDArray[np.uint8] | Rows
"""Photos, n x size x size x 3 in RGB."""
ALL = "all"


class Arrays(Artifact):
    """Photos decoded and resized once, ready to be mapped into memory.

    Files, for each split: `SPLIT_images.npy`, `SPLIT_labels.npy` and `SPLIT_photos.csv` (path,
    label; one row an image, in the same order).

    For cross-validation there is one split, `all`, and a column `fold` (from 1) in its table; the
    usual splits are there when `hold_out` has chosen a fold.
    """

    kind: ClassVar[str] = "arrays"

    classes: tuple[str, ...]
    image_size: int
    counts: dict[str, int]
    """Photos by split."""
    folds: int | None = None
    """How many there are."""
    held_out: int | None = None
    """The fold that is the test set: from 1."""

    @property
    def digest(self) -> str:
        """What is made from these splits depends on this."""
        return value_digest([self.content, self.held_out]) if self.held_out else self.content

    def hold_out(self, fold: int) -> Self:
        """The same with one fold as the test set, the next one as validation, the others to train.

        fold: from 1. So each photo is once a test photo and once a validation photo. Raises
        PhotosError when there is no such fold.
        """
        if not 1 <= fold <= (self.folds or 0):
            raise PhotosError(
                f"There is no fold {fold}: these photos have {self.folds or 'no'} folds.",
                "Choose one of them, or prefetch the photos with more folds.",
            )
        counts = {split: len(self._rows_of(split, fold)) for split in SPLITS}
        return self.model_copy(update={"held_out": fold, "counts": counts})

    def turn(self, number: int) -> Self:
        """What one of several trainings uses (from 0): of folds, each time the next is held out."""
        return self.hold_out(number + 1) if self.folds else self

    def trial(self, name: str, seed: int) -> Trial:
        """The training of a model with a seed on these splits."""
        return Trial(name=name, seed=seed, fold=self.held_out)

    def images(self, split: str) -> Images:
        """The photos of a split, n x size x size x 3 in RGB, mapped into memory read-only.

        Raises PhotosError, as the two below, when no fold was held out of those that there are.
        """
        photos = _array(self._stored(split, "images.npy"), mapped=True)
        return Rows(photos, self._rows_of(split, self.held_out)) if self.held_out else photos

    def labels(self, split: str) -> npt.NDArray[np.int32]:
        """The classes of a split's photos (n), as indices into `classes`."""
        labels = _array(self._stored(split, "labels.npy"))
        return labels[self._rows_of(split, self.held_out)] if self.held_out else labels

    def paths(self, split: str) -> list[str]:
        """The paths of a split's photos, relative to the folder of the photos."""
        paths = [row["path"] for row in _rows(self._stored(split, "photos.csv"))]
        if not self.held_out:
            return paths
        return [paths[row] for row in self._rows_of(split, self.held_out)]

    def fold_of(self) -> dict[str, int]:
        """The fold of each photo by its path, from 1; empty without folds."""
        if not self.folds:
            return {}
        return {row["path"]: int(row["fold"]) for row in _rows(self.file(f"{ALL}_photos.csv"))}

    def _stored(self, split: str, what: str) -> Path:
        """The file that holds this of a split; where a fold is held out, this of all photos."""
        if self.folds and split not in self.counts:
            raise PhotosError(
                f"These photos have {self.folds} folds and no split '{split}'.",
                "Hold one out: 'arrays.hold_out(1)'.",
            )
        return self.file(f"{ALL if self.held_out else split}_{what}")

    def _rows_of(self, split: str, held_out: int) -> npt.NDArray[np.intp]:
        """Where a split's photos are among all, when this fold is held out."""
        assert self.folds is not None, "there are no folds"  # noqa: S101
        after = (np.array(list(self.fold_of().values())) - held_out) % self.folds
        return np.flatnonzero({"test": after == 0, "validation": after == 1}.get(split, after > 1))


class OfficialWeights(Artifact):
    """Keras's ImageNet weights of a backbone. File: `NAME`, its bytes as they were served."""

    kind: ClassVar[str] = "weights"
    NAME: ClassVar[str] = "weights.h5"

    url: str
    sha256: str


class Cost(BaseModel):
    """What a trained model costs."""

    parameters: int
    trainable_parameters: int
    seconds: float
    """Wall seconds of all epochs, those before a resumption included."""
    file_bytes: int
    peak_memory_bytes: int


class TrainedModel(Artifact, Cost):
    """A trained model with the weights of its best epoch.

    Files: `model.keras`; `model.json` (settings, notes, seed, data digest, versions, weights, time,
    best and last epoch); `history.csv` (epoch, phase, loss, accuracy, val_loss, val_accuracy,
    seconds; with another metric than accuracy, val_metric); `summary.txt`; and, for a model that
    augments, `augmented.npy`.
    """

    kind: ClassVar[str] = "model"

    name: str
    seed: int
    classes: tuple[str, ...]
    image_size: int
    epochs: int
    """That were trained: with early stopping, it may be fewer than were asked for."""
    best_epoch: int
    """Counted from 1; chosen by the metric on validation, then by validation loss."""

    @property
    def flatbuffer_key(self) -> str:
        """The key of its `Flatbuffer`: that of its weights alone."""
        return self.content[:KEY_LENGTH]

    def history(self) -> "pd.DataFrame":
        """`history.csv`, one row an epoch; of a model from before there were phases, in phase 1."""
        table = read_table(self.file("history.csv"))
        return table if "phase" in table else table.assign(phase=1)

    def choices(self) -> int:
        """Models that the validation photos chose among.

        They chose one of the epochs, whether or not early stopping cut them short; and a phase
        begins with the best epoch before it, so that other photos would have led to others.
        """
        phases = Counter(row.get("phase", "1") for row in _rows(self.file("history.csv")))
        asked = int(self.facts().get("epochs", self.epochs))
        *before, last = phases.values()
        found = 0
        for epochs in (*before, max(last, asked - sum(before))):
            found += max(found, 1) * epochs
        return found

    def facts(self) -> dict[str, Any]:
        """`model.json`."""
        return dict(json.loads(self.file("model.json").read_text(encoding="utf-8")))

    def summary(self) -> str:
        """The layers, as Keras lists them."""
        return self.file("summary.txt").read_text(encoding="utf-8")

    def augmented(self) -> npt.NDArray[np.uint8] | None:
        """Two photos, each an original and five augmented versions: 2 x 6 x size x size x 3."""
        file = self.file("augmented.npy")
        return _array(file, mapped=True) if file.is_file() else None


class Flatbuffer(Artifact):
    """A trained model as LiteRT runs it, without TensorFlow. File: `model.tflite`."""

    kind: ClassVar[str] = "litert"

    difference: float
    """The largest between its probabilities and those of Keras, on pictures made for that."""


class Predictions(Artifact, Trial):
    """One model's class probabilities for each validation and test photo.

    Files: `predictions.csv` and, when the model has convolutions, `attention.npz`.
    """

    kind: ClassVar[str] = "predictions"

    classes: tuple[str, ...]
    model_key: str
    temperature: float | None = None
    """What calibrates its probabilities, fitted on validation; None from an older version."""
    seconds_per_1000: float
    """Inference time from decoded arrays, median of several passes, on the machine that trained."""

    def table(self) -> "pd.DataFrame":
        """`predictions.csv`, one row a photo.

        Columns: model, seed, split, path, label, predicted, and a column `p_CLASS` a class, in the
        order of `classes` (float32 as shortest text).
        """
        return read_table(self.file("predictions.csv"))

    def accuracy(self, split: str) -> float:
        """The share of a split's photos that are classified correctly."""
        table = self.table()
        table = table[table["split"] == split]
        return float((table["predicted"] == table["label"]).mean())

    def attention(self) -> dict[str, npt.NDArray[np.float32]]:
        """Grad-CAM of the predicted class for the test errors of the highest loss.

        Maps of h x w in 0..1, by path.
        """
        file = self.file("attention.npz")
        if not file.is_file():
            return {}
        with _plain_arrays(file), file.open("rb") as opened, np.load(opened) as stored:
            return dict(zip(stored["paths"].tolist(), stored["maps"], strict=True))


class Evidence(Artifact):
    """What a promise about a model's answers is made from; it holds no photo.

    File: `evidence.npz`, for `validation` and `test` with a photo of each picture: SPLIT_doubt (the
    probability of all classes but the predicted one), SPLIT_wrong and, where the model has
    features, SPLIT_distance to the training photos, whose features are in `known`.
    """

    kind: ClassVar[str] = "evidence"
    NAME: ClassVar[str] = "evidence.npz"

    name: str
    predictions: str
    """The key of the predictions that it is of."""
    choices: int
    """Models that the validation photos chose among."""

    @classmethod
    def of(cls, predictions: Predictions, store: Store) -> "Evidence | None":
        """That of these predictions in a store, the newest; None without one."""
        found = (store.find(cls, folder.name) for folder in store.folders(cls))
        ours = [each for each in found if each and each.predictions == predictions.key]
        return max(ours, key=lambda each: each.number, default=None)


class Report(Artifact):
    """The comparison of all models. Files: see `catdog.report.write`."""

    kind: ClassVar[str] = "report"


class ModelResult(Record, Trial):
    """What came of training and evaluating one model once."""

    model: TrainedModel | None = None
    predictions: Predictions | None = None
    error: str | None = None
    """Why there is no model or there are no predictions."""


_ABSURD = (MemoryError, RecursionError, SyntaxError, TokenError, TypeError)
"""What comes of a header that asks for terabytes, or is no description of an array."""


def read_arrays(file: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an npz file by name. Raises StoreError where it does not hold plain arrays."""
    with _plain_arrays(file), file.open("rb") as opened, np.load(opened) as stored:
        return dict(stored)


def _array(file: Path, *, mapped: bool = False) -> npt.NDArray[Any]:
    with _plain_arrays(file):
        array: npt.NDArray[Any] = np.load(file, mmap_mode="r" if mapped else None)
        return array


@contextmanager
def _plain_arrays(file: Path) -> Iterator[None]:
    """Turn what NumPy says of a file that holds pickled objects, or no array, into a StoreError."""
    try:
        yield
    except (ValueError, KeyError, EOFError, BadZipFile, *_ABSURD) as error:
        raise StoreError(
            f"{file} does not hold plain arrays ({quoted(error)}).",
            "Somebody has replaced it: remove its folder, and the next run makes it again.",
        ) from error


def read_table(path: Path) -> "pd.DataFrame":
    """A CSV file as a DataFrame: names stay text (a class may be called "NA" or "001").

    Raises StoreError for one that is damaged.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False)
    except (OSError, ValueError) as error:  # as pandas' own are
        raise StoreError(
            f"{path} is no whole table ({quoted(error)}).", "Make it again."
        ) from error


def write_csv(path: Path, header: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file that appears whole or not at all."""
    write_text(path, csv_text(header, rows))


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]], *, line_end: str = "\n") -> str:
    """A table as CSV; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
