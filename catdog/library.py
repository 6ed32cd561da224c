"""The pipeline as a few functions for a notebook, with the defaults of the settings.

Artifacts go to the same store as those of `catdog run`, so what one has made the other reuses.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from catdog.comparison import compare as _comparison
from catdog.comparison.compare import Comparison, ModelResult
from catdog.machine import available_cores, tensorflow_environment
from catdog.models import model_spec
from catdog.photos import prefetch as _arrays
from catdog.photos import split as _manifest
from catdog.progress import Progress
from catdog.settings import Settings
from catdog.sources import download as _sources
from catdog.store.artifacts import Arrays, Manifest, Photos, Predictions, TrainedModel
from catdog.store.store import Store
from catdog.training import evaluate as _evaluation
from catdog.training import train as _training
from catdog.training.epochs import OnProgress
from catdog.training.weights import find_weights
from catdog.wording import percent


def download(source: str | None = None) -> Photos:
    """Fetch and unpack photos: 'official', 'sample', a folder, an archive, or a URL of one."""
    settings = Settings.load(source=source)
    return _sources.download(settings.source, store=Store(settings.home))


def split(photos: Photos, **given: Any) -> Manifest:
    """Check every photo and divide them into training, validation and test.

    given: seed, validation_share, test_share, duplicates; see `catdog.settings.Settings`.
    """
    settings = Settings.load(**given)
    return _manifest.split(
        photos,
        seed=settings.seed,
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        duplicates=settings.duplicates,
        store=Store(settings.home),
    )


def prefetch(photos: Photos, manifest: Manifest, *, image_size: int | None = None) -> Arrays:
    """Decode and resize the photos once, for fast reading."""
    settings = Settings.load(image_size=image_size)
    return _arrays.prefetch(
        photos, manifest, image_size=settings.image_size, store=Store(settings.home)
    )


def train(
    name: str, arrays: Arrays, *, on_progress: OnProgress | None = None, **given: Any
) -> TrainedModel:
    """Train one model in this process, or read it when it was trained before.

    given: epochs, seed, batch_size, weights; see `catdog.settings.Settings`.
    on_progress: called about twice a second; by default an epoch prints one line.
    """
    settings = Settings.load(models=(name,), **given)
    _prepare_tensorflow()
    weights = None
    if model_spec(name).pretrained:
        weights = find_weights(settings.weights, home=settings.home)
    return _training.train(
        name,
        arrays,
        epochs=settings.epochs,
        seed=settings.seed,
        batch_size=settings.batch_size,
        weights=weights,
        store=Store(settings.home),
        on_progress=on_progress or _print_epoch,
    )


def evaluate(model: TrainedModel, arrays: Arrays) -> Predictions:
    """Predict all validation and test photos with a trained model."""
    _prepare_tensorflow()
    return _evaluation.evaluate(model, arrays, store=Store(Settings.load().home))


def compare(
    photos: Photos,
    manifest: Manifest,
    arrays: Arrays,
    models: Sequence[TrainedModel],
    predictions: Sequence[Predictions],
) -> Comparison:
    """Compare models by their predictions of the same photos, both in the same order."""
    results = [
        ModelResult(name=model.name, seed=model.seed, model=model, predictions=predicted)
        for model, predicted in zip(models, predictions, strict=True)
    ]
    return _comparison.compare(photos, manifest, arrays, results, settings={})


def _prepare_tensorflow() -> None:
    """Load TensorFlow with our settings, and without its lines that no setting silences."""
    for name, value in tensorflow_environment(available_cores()).items():
        os.environ.setdefault(name, value)
    with _quiet_stderr():
        import tensorflow as tf  # noqa: F401


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what native code writes to standard error meanwhile; Python's exceptions still come."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _print_epoch(progress: Progress) -> None:
    if progress.finished_epochs == progress.epoch:
        print(  # noqa: T201  a notebook shows what is printed
            f"{progress.name} epoch {progress.epoch}/{progress.epochs}: "
            f"loss {progress.loss:.4f}, accuracy {percent(progress.accuracy)}, "
            f"validation {percent(progress.val_accuracy or 0)}"
        )
