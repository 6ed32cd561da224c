"""What is stored on the way of a photo: one record type for each kind of artifact."""

from pathlib import Path
from typing import ClassVar

from catdog.store.store import Artifact

SPLITS = ("train", "validation", "test")


class Archive(Artifact):
    """A downloaded archive. File: `archive`, its bytes as they were served."""

    kind: ClassVar[str] = "archive"

    url: str
    sha256: str
    bytes: int


class Photos(Artifact):
    """A folder of photos as found, nothing yet decoded.

    Files: `photos.csv` with a row a file: path (relative to `root`, POSIX), bytes, sha256; and,
    for an archive or the sample, the photos themselves below `photos/`.
    """

    kind: ClassVar[str] = "photos"

    origin: str
    """Where they came from, as the user named it when they were first stored."""
    root: Path
    """The folder that the paths are relative to: absolute (the user's own), or below `path`."""
    inventory: str
    """Digest of `photos.csv`: the same photos have the same one wherever they lie."""
    archive_sha256: str | None = None
    count: int
    note: str = ""
    """What a reader of the report should know about the source; empty when all is as asked."""

    @property
    def folder(self) -> Path:
        """The folder that the paths in `photos.csv` are relative to."""
        return self.path / self.root


class Manifest(Artifact):
    """Every photo with its class and split; the unreadable ones and the duplicates.

    Files: `manifest.csv` (path, label, split, sha256, width, height, bytes, mode, brightness),
    `rejected.csv` (path, reason) and `duplicates.csv` (path, split, other, other_split, match:
    "exact" or "near", distance: bits of 64, action: "kept" or "dropped").
    """

    kind: ClassVar[str] = "manifest"

    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    """Photos by split and class, such as counts["train"]["cats"]."""
    rejected: int
    duplicates: int


class Arrays(Artifact):
    """Photos decoded and resized once, ready to be mapped into memory.

    Files, for each split: `SPLIT_images.npy` (uint8, n x size x size x 3, RGB),
    `SPLIT_labels.npy` (int32, n, an index into `classes`) and `SPLIT_photos.csv` (path, label;
    one row an image, in the same order).
    """

    kind: ClassVar[str] = "arrays"

    classes: tuple[str, ...]
    image_size: int
    counts: dict[str, int]
    """Photos by split."""


class TrainedModel(Artifact):
    """A trained model with the weights of its best epoch.

    Files: `model.keras`; `model.json` (settings, seed, data digest, versions, weights, time, best
    and last epoch); `history.csv` (epoch, loss, accuracy, val_loss, val_accuracy, seconds);
    `summary.txt`; and, for a model that augments, `augmented.npy` (uint8, 2 x 6 x size x size x 3:
    an original and five augmented versions of it, for two photos).
    """

    kind: ClassVar[str] = "model"

    name: str
    seed: int
    classes: tuple[str, ...]
    image_size: int
    epochs: int
    best_epoch: int
    """Counted from 1; chosen by validation accuracy, then by validation loss."""
    parameters: int
    trainable_parameters: int
    seconds: float
    """Wall seconds of all epochs, those before a resumption included."""
    file_bytes: int
    peak_memory_bytes: int


class Predictions(Artifact):
    """One model's class probabilities for each validation and test photo.

    Files: `predictions.csv` (model, seed, split, path, label, predicted, and a column
    `p_CLASS` a class, in the order of `classes`; float32 as shortest text); and `attention.npz`
    when the model has convolutions: `paths` (str, k) and `maps` (float32, k x h x w, 0 to 1), the
    Grad-CAM of the predicted class for the model's worst test errors.
    """

    kind: ClassVar[str] = "predictions"

    name: str
    seed: int
    classes: tuple[str, ...]
    model_key: str
    seconds_per_1000: float
    """Wall seconds to predict 1,000 photos from arrays, on the machine that trained."""


class Report(Artifact):
    """The comparison of all models. Files: see `catdog.report.write`."""

    kind: ClassVar[str] = "report"
