"""The notebook's way to train, with its semantics and none of catdog's ways of speed.

Photos are decoded in every epoch, one model is trained after another in one process, and the test
set is taken from a data set that reshuffles: kept as it was, because it is what we compare with.
Prints one JSON line a model. The weights of the fourth model are the embedded ones.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import tensorflow as tf

from catdog.backbones import new_base
from catdog.models import build_model, model_spec
from catdog.training.weights import fill_base, find_weights

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


def train(name: str, folder: Path, epochs: int) -> dict[str, float | str]:
    """One model: seconds of `fit`, and its accuracies on the validation photos."""
    batches, validation = datasets(folder)
    base = None
    if model_spec(name).pretrained:
        base = fill_base(new_base("mobilenetv2", SIZE), find_weights("embedded", home=folder))
    classes = len(list((folder / "train").iterdir()))
    model = build_model(name, classes=classes, image_size=SIZE, base=base)
    began = time.perf_counter()
    history = model.fit(batches, epochs=epochs, validation_data=validation, verbose=0).history
    seconds = time.perf_counter() - began
    accuracies = history["val_accuracy"]
    return {"model": name, "seconds": seconds, "best": max(accuracies), "last": accuracies[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", help="names, joined by commas")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()

    keras.utils.set_random_seed(given.seed)
    for name in given.models.split(","):
        print(json.dumps(train(name, given.folder, given.epochs)), flush=True)


if __name__ == "__main__":
    main()
