"""What each choice of `finetuned` gives on real photos: `python -m benchmarks.finetuning`.

One choice at a time is changed, with one seed: the head is first trained on fixed features of
the frozen base, which takes seconds, and goes on with the upper layers as catdog trains them.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import catdog
from catdog.backbones import Base, new_base
from catdog.machine import prepare_tensorflow, threads
from catdog.models import Phase, Stretch, begin_phase
from catdog.store.artifacts import Arrays
from catdog.training.pipeline import ordered_batches, steps_per_epoch, training_batches
from catdog.training.seeding import seed_epoch, seeded
from catdog.training.weights import fill_base, find_weights

BATCH = 32
HEAD_EPOCHS = 20
"""On features: the head has converged by then."""


@dataclass(frozen=True)
class Choices:
    """What can be chosen; the defaults are those that the others are compared with."""

    pooling: str = "average"
    flip: bool = True
    rotation: float = 0.1
    image_size: int = 160
    upper: str = "block_11_expand"
    learning_rate: float = 1e-4
    decay: str = "cosine"


VARIANTS = {
    "chosen": Choices(),
    "max pooling": Choices(pooling="max"),
    "rotation 0.2": Choices(rotation=0.2),
    "flip alone": Choices(rotation=0),
    "no augmentation": Choices(flip=False, rotation=0),
    "from block 14 on": Choices(upper="block_14_expand"),
    "from block 7 on": Choices(upper="block_7_expand"),
    "rate 3e-5": Choices(learning_rate=3e-5),
    "rate 3e-4": Choices(learning_rate=3e-4),
    "rate 1e-4; no decay": Choices(decay="none"),
    "rate 1e-5; no decay": Choices(learning_rate=1e-5, decay="none"),
    "224 x 224": Choices(image_size=224),
}


def main() -> None:
    """Run the variants that are asked for, and append a line of JSON for each to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="the photos: an archive or a folder")
    parser.add_argument("results", type=Path, help="the file to append to")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    given = parser.parse_args()
    prepare_tensorflow()
    for name in given.variants.split(","):
        rows = list(fine_tuned(given.source, VARIANTS[name], given.epochs, given.seed))
        line = {"variant": name, **asdict(VARIANTS[name]), "seed": given.seed, "epochs": rows}
        with given.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def fine_tuned(source: str, chosen: Choices, epochs: int, seed: int) -> Iterator[dict[str, float]]:
    """The accuracies on validation: of the head alone (epoch 0), and after each epoch."""
    from catdog.fast.twin import accelerate, without_base

    photos = catdog.download(source)
    arrays = catdog.prefetch(photos, catdog.split(photos), image_size=chosen.image_size)
    with seeded(seed):
        base, model = _built(chosen, arrays)
    fill_base(base, find_weights("embedded", home=Path()))
    yield {"epoch": 0, "val_accuracy": _train_head(model, base, arrays, seed)}
    phase = Phase(epochs, chosen.learning_rate, chosen.decay, upper=True)  # type: ignore[arg-type]
    stretch = Stretch(2, phase, range(epochs))
    begin_phase(model, phase, base)
    twin = accelerate(model, threads=threads())
    held_out = without_base(twin, _held_out(arrays))
    for epoch in range(epochs):
        began = time.perf_counter()
        seed_epoch(model, seed=seed, epoch=epoch)
        model.optimizer.learning_rate = stretch.learning_rate(epoch)
        history = twin.fit(_batches(arrays, seed, epoch), shuffle=False, verbose=0)
        loss, accuracy = twin.evaluate(held_out, verbose=0)
        yield {
            "epoch": epoch + 1,
            "accuracy": round(history.history["accuracy"][0], 4),
            "val_loss": round(loss, 4),
            "val_accuracy": round(accuracy, 4),
            "seconds": round(time.perf_counter() - began, 1),
        }


def _built(chosen: Choices, arrays: Arrays) -> tuple[Base, Any]:
    import keras
    from keras import layers

    found = new_base("mobilenetv2", chosen.image_size)
    base = Base(replace(found.backbone, upper=chosen.upper), found.network)
    average = chosen.pooling == "average"
    pooling = layers.GlobalAveragePooling2D() if average else layers.GlobalMaxPooling2D()
    model = keras.Sequential(
        [
            keras.Input((chosen.image_size, chosen.image_size, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            *([layers.RandomFlip("horizontal")] if chosen.flip else []),
            *([layers.RandomRotation(chosen.rotation)] if chosen.rotation else []),
            base.network,
            pooling,
            layers.Dropout(0.2),
            layers.Dense(len(arrays.classes), activation="softmax"),
        ]
    )
    return base, model


def _train_head(model: Any, base: Base, arrays: Arrays, seed: int) -> float:
    """Train the last layers on what the frozen base makes of the photos as they are."""
    from catdog.fast.twin import accelerate, without_base

    begin_phase(model, Phase(), base)
    twin = accelerate(model, threads=threads())
    images, labels = arrays.images("train"), arrays.labels("train")
    train = without_base(twin, ordered_batches(images, labels, batch_size=BATCH))
    seed_epoch(model, seed=seed, epoch=0)
    twin.fit(
        train.unbatch().shuffle(len(labels), seed=seed).batch(BATCH).repeat(),
        epochs=HEAD_EPOCHS,
        steps_per_epoch=steps_per_epoch(len(labels), BATCH),
        shuffle=False,
        verbose=0,
    )
    return round(float(twin.evaluate(without_base(twin, _held_out(arrays)), verbose=0)[1]), 4)


def _held_out(arrays: Arrays) -> Any:
    images, labels = arrays.images("validation"), arrays.labels("validation")
    return ordered_batches(images, labels, batch_size=BATCH)


def _batches(arrays: Arrays, seed: int, epoch: int) -> Any:
    images, labels = arrays.images("train"), arrays.labels("train")
    epochs = range(epoch, epoch + 1)
    return training_batches(images, labels, batch_size=BATCH, seed=seed, epochs=epochs)


if __name__ == "__main__":
    main()
