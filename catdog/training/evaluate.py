"""Score a trained model: its class probabilities for each validation and test photo.

The test photos are read here and nowhere else, after the epoch was selected on validation.
"""

import timeit
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.errors import TrainingError
from catdog.fast.twin import accelerate, without_base
from catdog.inference.temperature import fit_temperature
from catdog.machine import prepare_tensorflow, threads
from catdog.store.artifacts import HELD_OUT, Arrays, Predictions, TrainedModel
from catdog.store.digest import make_key
from catdog.store.store import Recipe
from catdog.training.attention import grad_cam
from catdog.training.pipeline import ordered_batches

BATCH_SIZE = 64
"""Changes no number, only memory: 64 photos of 160 x 160 take 20 MB."""
PASSES = 3
"""Timed on the test photos: the median leaves out one that something else held up."""
ATTENTION_MAPS = 12
"""As many errors as the report can show on one page."""

Probabilities = npt.NDArray[np.float32]


def recipe(model: TrainedModel, arrays: Arrays) -> Recipe[Predictions]:
    """How a trained model predicts all validation and test photos."""
    key = make_key(
        code=(__name__,),
        libraries=("tensorflow", "keras", "numpy"),
        model=model.content,
        arrays=arrays.digest,
    )
    return Recipe(Predictions, key, lambda folder: _write(model, arrays, folder))


def load_model(path: Path) -> Any:
    """The Keras model in a `.keras` file, in safe mode: a file cannot bring code of its own."""
    prepare_tensorflow()
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a file makes Keras raise, out of memory included
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise TrainingError(
            f"{path} cannot be loaded as a Keras model ({first_line}).", "Train it again."
        ) from error


def _write(model: TrainedModel, arrays: Arrays, folder: Path) -> Mapping[str, Any]:
    import pandas as pd

    network = load_model(model.file("model.keras"))
    network.trainable = False  # what has been fine-tuned is a frozen base from now on
    twin = accelerate(network, threads=threads())
    validation, test = (_batches(arrays, split) for split in HELD_OUT)
    known = without_base(twin, validation, arrays.digest)
    probabilities = {"validation": _predict(twin, known), "test": _predict(twin, test)}
    # Only now: the very first batch takes seconds, and no later one does.
    passes = timeit.repeat(lambda: _predict(twin, test), number=1, repeat=PASSES)
    tables = [_table(model, arrays, split, found) for split, found in probabilities.items()]
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    _write_attention(network, arrays, probabilities["test"], folder)
    return {
        **arrays.trial(model.name, model.seed).identity(),
        "classes": arrays.classes,
        "model_key": model.key,
        "temperature": fit_temperature(arrays.labels("validation"), probabilities["validation"]),
        "seconds_per_1000": round(1000 * median(passes) / arrays.counts["test"], 3),
    }


def _batches(arrays: Arrays, split: str) -> Any:
    return ordered_batches(arrays.images(split), arrays.labels(split), batch_size=BATCH_SIZE)


def _predict(network: Any, batches: Any) -> Probabilities:
    return np.asarray(network.predict(batches, verbose=0), dtype=np.float32)


def _table(model: TrainedModel, arrays: Arrays, split: str, probabilities: Probabilities) -> Any:
    import pandas as pd

    classes = np.array(arrays.classes)
    return pd.DataFrame(
        {
            "model": model.name,
            "seed": model.seed,
            "split": split,
            "path": arrays.paths(split),
            "label": classes[arrays.labels(split)],
            "predicted": classes[probabilities.argmax(axis=1)],
            **{f"p_{name}": column for name, column in zip(classes, probabilities.T, strict=True)},
        }
    )


def _write_attention(
    network: Any, arrays: Arrays, probabilities: Probabilities, folder: Path
) -> None:
    labels = arrays.labels("test")
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    worst = wrong[np.argsort(probabilities[wrong, labels[wrong]])][:ATTENTION_MAPS]
    if worst.size == 0:
        return
    maps = grad_cam(network, arrays.images("test")[np.sort(worst)].astype("float32"))
    if maps is not None:
        paths = np.array(arrays.paths("test"))[np.sort(worst)]
        np.savez(folder / "attention.npz", paths=paths, maps=maps)
