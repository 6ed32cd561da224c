"""The notebook's way to train one model, with its semantics and none of catdog's ways of speed.

Photos are decoded in every epoch, one model is trained after another in one process, and the test
set is taken from a data set that reshuffles: kept as it was, because it is what we compare with.
Prints one JSON line. The weights of the fourth model are the embedded ones.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import tensorflow as tf

from catdog.models import build_model, model_spec
from catdog.weights import find_weights, load_base

SIZE = 160
BATCH = 32


def datasets(folder: Path) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Training and validation batches as the notebook makes them."""
    load = keras.utils.image_dataset_from_directory
    options = {"shuffle": True, "batch_size": BATCH, "image_size": (SIZE, SIZE), "verbose": False}
    train = load(folder / "train", **options)
    validation = load(folder / "validation", **options)
    validation = validation.skip(int(validation.cardinality()) // 5)
    return train.prefetch(tf.data.AUTOTUNE), validation.prefetch(tf.data.AUTOTUNE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    keras.utils.set_random_seed(given.seed)
    train, validation = datasets(given.folder)
    base = None
    if model_spec(given.model).pretrained:
        base = load_base(find_weights("embedded", home=given.folder), SIZE)
    classes = len(list((given.folder / "train").iterdir()))
    model = build_model(given.model, classes=classes, image_size=SIZE, base=base)
    began = time.perf_counter()
    history = model.fit(train, epochs=given.epochs, validation_data=validation, verbose=0).history
    seconds = time.perf_counter() - began
    best = max(history["val_accuracy"])
    print(json.dumps({"seconds": round(seconds, 2), "val_accuracy": round(best, 4)}))


if __name__ == "__main__":
    main()
