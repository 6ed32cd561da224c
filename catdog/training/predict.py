"""Use a trained model: the class of photos that it has never seen."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from catdog.errors import PhotosError
from catdog.fast.twin import accelerate
from catdog.machine import threads
from catdog.photos.reading import UnreadablePhotoError, in_threads, read_photo, resize
from catdog.sources.inventory import PHOTO_SUFFIXES, reading, visible_files
from catdog.store.artifacts import TrainedModel
from catdog.training.evaluate import BATCH_SIZE, load_model

WORTH_ACCELERATING = 1_000
"""Photos: to convert a frozen base takes 2 s, as much as it then saves on so many."""


class Prediction(BaseModel):
    """What a model says of one photo; without a class where the photo cannot be read."""

    model_config = ConfigDict(frozen=True)

    path: Path
    label: str | None = None
    probability: float | None = None
    """Of `label`, 0 to 1."""
    probabilities: dict[str, float] = {}
    error: str | None = None


def find_photos(paths: Iterable[Path]) -> list[Path]:
    """The photos that are named, and those in the folders that are named, each folder sorted.

    Hidden files in a folder are left out, as they are from a source.

    Raises PhotosError for a path that does not exist and for a folder without photos, and
    SourceError for a folder that cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            with reading():
                files = sorted(visible_files(path))
            inside = [file for file in files if file.suffix.lower() in PHOTO_SUFFIXES]
            if not inside:
                raise PhotosError(f"{path} holds no photos.", "Name photos, or a folder of them.")
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        else:
            raise PhotosError(f"{path} is not a file or folder here.", "Check the path.")
    return found


def predict(model: TrainedModel, photos: Sequence[Path]) -> Iterator[Prediction]:
    """Predict the class of photo files, in their order; an unreadable one carries its error.

    Memory does not grow with the number of photos. Raises TrainingError when the model's file
    cannot be loaded.
    """
    classify = _classifier(model, len(photos))
    remaining = iter(photos)
    while batch := list(islice(remaining, BATCH_SIZE)):
        read = in_threads(lambda path: _read(path, model.image_size), batch)
        images = [image for image in read if isinstance(image, np.ndarray)]
        rows = iter(classify(np.stack(images)) if images else ())
        for path, image in zip(batch, read, strict=True):
            if isinstance(image, str):
                yield Prediction(path=path, error=image)
            else:
                yield _prediction(path, model.classes, next(rows))


def _classifier(model: TrainedModel, photos: int) -> Callable[[np.ndarray], np.ndarray]:
    """The way from a batch of images to probabilities that is the fastest for so many photos."""
    network = load_model(model.file("model.keras"))
    if photos <= BATCH_SIZE:  # to trace a graph takes longer than to do without, once
        return lambda images: np.asarray(network(images, training=False))
    if photos >= WORTH_ACCELERATING:
        network = accelerate(network, threads=threads())
    return lambda images: np.asarray(network.predict_on_batch(images))


def _read(path: Path, size: int) -> np.ndarray | str:
    try:
        return resize(read_photo(path), size)
    except UnreadablePhotoError as error:
        return error.reason


def _prediction(path: Path, classes: Sequence[str], row: np.ndarray) -> Prediction:
    probabilities = {name: float(p) for name, p in zip(classes, row, strict=True)}
    best = max(probabilities, key=probabilities.__getitem__)
    return Prediction(
        path=path, label=best, probability=probabilities[best], probabilities=probabilities
    )
