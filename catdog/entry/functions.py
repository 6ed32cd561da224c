"""The pipeline as a few functions for a notebook, with the defaults of the settings.

Artifacts go to the same store as those of `catdog run`, so what one has made the other reuses.
"""

from collections.abc import Sequence
from typing import Any

from catdog.comparison import compare as _compare
from catdog.comparison.compare import Comparison, Study
from catdog.history.runs import Run, load_runs
from catdog.machine import prepare_tensorflow
from catdog.models import model_spec
from catdog.photos import prefetch as _prefetch
from catdog.photos import split as _split
from catdog.promotion.decision import Candidate
from catdog.promotion.tasks import registry_of
from catdog.settings import Comparing, Cut, Decoding, Folding, Settings, Training
from catdog.sources import download as _download
from catdog.store.artifacts import Arrays, Manifest, ModelResult, Photos, Predictions, TrainedModel
from catdog.store.store import Store
from catdog.training import evaluate as _evaluate
from catdog.training import train as _train
from catdog.training.epochs import OnProgress
from catdog.training.progress import Progress
from catdog.training.weights import find_weights
from catdog.wording import percent


def champion(task: str | None = None) -> Candidate | None:
    """The model that `load(task=task)` gives, and how it did on its test photos.

    None before the first. Raises StoreError where only other tasks have champions.
    """
    settings = Settings.load(task=task)
    return registry_of(settings.home, settings.task).champion()


def runs() -> list[Run]:
    """All runs with their scores, the newest last."""
    return load_runs(Store(Settings.load().home))


def download(source: str | None = None) -> Photos:
    """Fetch and unpack photos: 'official', 'sample', a folder, an archive, or a URL of one."""
    settings = Settings.load(source=source)
    store = Store(settings.home)
    return store.obtain(_download.recipe(settings.source, store=store))


def split(photos: Photos, **given: Any) -> Manifest:
    """Check every photo and divide them into training, validation and test.

    given: the settings of `catdog.settings.Cut`, such as seed and test_share, and `folds`.
    """
    settings = Settings.load(**given)
    return Store(settings.home).obtain(_split.recipe(photos, settings.group(Cut), settings.folds))


def prefetch(photos: Photos, manifest: Manifest, **given: Any) -> Arrays:
    """Decode and resize the photos once, for fast reading.

    given: the settings of `catdog.settings.Decoding` and `Folding`: image_size, folds and seed.
    With folds, train and evaluate take what `hold_out(fold)` of the arrays gives.
    """
    settings = Settings.load(**given)
    groups = settings.group(Decoding), settings.group(Folding)
    return Store(settings.home).obtain(_prefetch.recipe(photos, manifest, *groups))


def train(
    name: str, arrays: Arrays, *, on_progress: OnProgress | None = None, **given: Any
) -> TrainedModel:
    """Train one model in this process, or read it when it was trained before.

    name: one of the models that `catdog models` lists, or a function of your own, as
    "FILE.py:FUNCTION" or "MODULE:FUNCTION".
    given: the settings of `catdog.settings.Training`, such as epochs and seed; backbone, weights.
    on_progress: called about twice a second; by default an epoch prints one line.
    """
    settings = Settings.load(models=(name,), **given)
    prepare_tensorflow()
    store = Store(settings.home)
    weights = None
    if model_spec(name).pretrained:
        weights = find_weights(settings.weights, backbone=settings.backbone, home=store.home)
    recipe = _train.recipe(
        name,
        arrays,
        settings.group(Training),
        weights,
        store=store,
        on_progress=on_progress or _print_epoch,
    )
    return store.obtain(recipe)


def evaluate(model: TrainedModel, arrays: Arrays) -> Predictions:
    """Predict all validation and test photos with a trained model."""
    return Store(Settings.load().home).obtain(_evaluate.recipe(model, arrays))


def compare(
    photos: Photos,
    manifest: Manifest,
    arrays: Arrays,
    models: Sequence[TrainedModel],
    predictions: Sequence[Predictions],
    **given: Any,
) -> Comparison:
    """Compare models by their predictions of the same photos, both in the same order.

    given: the settings of `catdog.settings.Comparing`.
    """
    results = [
        ModelResult(**predicted.identity(), model=model, predictions=predicted)
        for model, predicted in zip(models, predictions, strict=True)
    ]
    comparing = Settings.load(**given).group(Comparing)
    return _compare.compare(Study(photos, manifest, arrays, results, comparing=comparing))


def _print_epoch(progress: Progress) -> None:
    if progress.finished_epochs == progress.epoch:
        print(  # noqa: T201  a notebook shows what is printed
            f"{progress.name} epoch {progress.epoch}/{progress.epochs}: "
            f"loss {progress.loss:.4f}, accuracy {percent(progress.accuracy)}, "
            f"validation {percent(progress.val_accuracy or 0)}"
        )
