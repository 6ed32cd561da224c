"""Score a trained model: its class probabilities for each validation and test photo.

The test photos are read here and nowhere else, once, after the epoch was chosen on validation.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.errors import TrainingError
from catdog.fast.twin import accelerate
from catdog.machine import threads
from catdog.photos.prefetch import load_images, load_labels, load_paths
from catdog.store.artifacts import Arrays, Predictions, TrainedModel
from catdog.store.digest import make_key
from catdog.store.store import Store
from catdog.training.attention import grad_cam
from catdog.training.pipeline import ordered_batches

SPLITS = ("validation", "test")
BATCH_SIZE = 64
"""Changes no number, only memory: 64 photos of 160 x 160 take 20 MB."""
ATTENTION_MAPS = 12
"""As many errors as the report can show on one page."""

Probabilities = npt.NDArray[np.float32]


def predictions_key(model: TrainedModel, arrays: Arrays) -> str:
    """The key of a model's predictions."""
    return make_key(
        code=("catdog.training.evaluate",),
        libraries=("tensorflow", "keras", "numpy"),
        model=model.content,
        arrays=arrays.content,
    )


def evaluate(model: TrainedModel, arrays: Arrays, *, store: Store) -> Predictions:
    """Predict all validation and test photos with a trained model and store the probabilities."""
    key = predictions_key(model, arrays)
    return store.obtain(Predictions, key, lambda folder: _write(model, arrays, folder))


def load_model(path: Path) -> Any:
    """The Keras model in a `.keras` file, in safe mode: a file cannot bring code of its own."""
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        first_line = str(error).splitlines()[0]
        raise TrainingError(
            f"{path} cannot be loaded as a Keras model ({first_line}).", "Train it again."
        ) from error


def load_predictions(predictions: Predictions) -> Any:
    """The table of predictions as a DataFrame, one row a photo."""
    import pandas as pd

    text_columns = dict.fromkeys(("model", "split", "path", "label", "predicted"), str)
    return pd.read_csv(
        predictions.file("predictions.csv"), dtype=text_columns, keep_default_na=False
    )


def accuracy(predictions: Predictions, split: str) -> float:
    """The share of a split's photos that are predicted right."""
    table = load_predictions(predictions)
    table = table[table["split"] == split]
    return float((table["predicted"] == table["label"]).mean())


def _write(model: TrainedModel, arrays: Arrays, folder: Path) -> Mapping[str, Any]:
    import pandas as pd

    network = load_model(model.file("model.keras"))
    twin = accelerate(network, threads=threads())
    _predict(twin, arrays, "test", most=1)  # the first batch takes seconds, no later one does
    tables, seconds = [], 0.0
    for split in SPLITS:
        began = time.perf_counter()
        probabilities = _predict(twin, arrays, split)
        seconds += time.perf_counter() - began
        tables.append(_table(model, arrays, split, probabilities))
    pd.concat(tables).to_csv(folder / "predictions.csv", index=False)
    _write_attention(network, arrays, probabilities, folder)
    photos = sum(arrays.counts[split] for split in SPLITS)
    return {
        "name": model.name,
        "seed": model.seed,
        "classes": arrays.classes,
        "model_key": model.key,
        "seconds_per_1000": round(1000 * seconds / photos, 3),
    }


def _predict(network: Any, arrays: Arrays, split: str, most: int | None = None) -> Probabilities:
    batches = ordered_batches(
        load_images(arrays, split)[:most], load_labels(arrays, split)[:most], batch_size=BATCH_SIZE
    )
    return np.asarray(network.predict(batches, verbose=0), dtype=np.float32)


def _table(model: TrainedModel, arrays: Arrays, split: str, probabilities: Probabilities) -> Any:
    import pandas as pd

    classes = np.array(arrays.classes)
    table = pd.DataFrame(
        {
            "model": model.name,
            "seed": model.seed,
            "split": split,
            "path": load_paths(arrays, split),
            "label": classes[load_labels(arrays, split)],
            "predicted": classes[probabilities.argmax(axis=1)],
        }
    )
    for index, name in enumerate(classes):
        table[f"p_{name}"] = probabilities[:, index]
    return table


def _write_attention(
    network: Any, arrays: Arrays, probabilities: Probabilities, folder: Path
) -> None:
    labels = load_labels(arrays, "test")
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    worst = wrong[np.argsort(probabilities[wrong, labels[wrong]])][:ATTENTION_MAPS]
    if worst.size == 0:
        return
    maps = grad_cam(network, load_images(arrays, "test")[np.sort(worst)].astype("float32"))
    if maps is not None:
        paths = np.array(load_paths(arrays, "test"))[np.sort(worst)]
        np.savez(folder / "attention.npz", paths=paths, maps=maps)
