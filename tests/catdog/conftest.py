"""A small run that was never trained: artifacts with known accuracies, for the report."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catdog.backbones import Backbone, Base
from catdog.comparison.compare import Study
from catdog.store.artifacts import (
    Arrays,
    Evidence,
    Manifest,
    ModelResult,
    Photos,
    Predictions,
    TrainedModel,
)
from catdog.store.store import Recipe, Store

SIZE = 24
COUNTS = {"train": 20, "validation": 60, "test": 96}
"""Photos of each class."""
FOLDS = 4
"""Of a cross-validation."""
Pictures = Callable[[str, int, int], np.ndarray]


@dataclass(frozen=True)
class Run:
    store: Store
    photos: Photos
    manifest: Manifest
    arrays: Arrays
    results: list[ModelResult]

    def evidence(self, name: str) -> Evidence:
        """What a model of the run knows: it errs on a fifth of the photos, where it doubts most."""
        predictions = next(r.predictions for r in self.results if r.name == name)
        assert predictions

        def make(folder: Path) -> dict[str, Any]:
            found: dict[str, Any] = {"known": np.eye(4, dtype=np.float16)}
            for split, n in (("validation", 600), ("test", 192)):
                found[f"{split}_doubt"] = np.linspace(0, 0.5, n)
                found[f"{split}_wrong"] = (np.arange(n) > 0.8 * n) & (np.arange(n) % 2 == 0)
                found[f"{split}_distance"] = np.linspace(0.1, 0.3, n)
            np.savez(folder / Evidence.NAME, **found)
            return {"name": name, "predictions": predictions.key, "choices": 6}

        return self.store.obtain(Recipe(Evidence, f"evidence-{name}", make))

    def study(self, **options: Any) -> Study:
        """What its report is made from, but for what is given."""
        return Study(
            **{"photos": self.photos, "manifest": self.manifest, "arrays": self.arrays}
            | {"results": self.results}
            | options
        )


def paths(split: str, label: str, counts: Mapping[str, int]) -> list[str]:
    return [f"{split}/{label}/{label} {i:03d}.jpg" for i in range(counts[split])]


def drawn(split: str, label: int, index: int) -> np.ndarray:
    """A class is a hue, a photo a shade of it."""
    picture = np.full((SIZE, SIZE, 3), 40, dtype=np.uint8)
    picture[..., label % 3] = 60 + (index * 37) % 190
    return picture


def make_run(
    home: Path,
    *,
    classes: tuple[str, ...] = ("cats", "dogs"),
    accuracies: Mapping[str, float] | None = None,
    failed: Mapping[str, str] | None = None,
    repeats: int = 1,
    folds: int | None = None,
    counts: Mapping[str, int] = COUNTS,
    pictures: Pictures = drawn,
    origin: str = "sample",
) -> Run:
    """Artifacts of a run whose models name this share of the held-out photos rightly.

    With folds, of a cross-validation, in which `failed` models fail in the first fold.
    """
    store = Store(home)
    photos = store.obtain(Recipe(Photos, "photos", lambda f: _photos(f, classes, counts, origin)))
    manifest = store.obtain(Recipe(Manifest, "manifest", lambda f: _manifest(f, classes, counts)))
    make = _folded if folds else _arrays
    arrays = store.obtain(
        Recipe(Arrays, "arrays", lambda f: make(f, classes, counts, pictures) | {"folds": folds})
    )
    every = [arrays.hold_out(fold) for fold in range(1, (folds or 0) + 1)] or [arrays] * repeats
    chosen = {"baseline": 0.6, "transfer": 0.97} if accuracies is None else accuracies
    results = [
        _result(store, of, name, seed, accuracy)
        for name, accuracy in chosen.items()
        for seed, of in enumerate(every, start=1)
        if not (folds and seed == 1 and name in (failed or {}))
    ]
    results += [
        ModelResult(name=name, seed=1, fold=1 if folds else None, error=error)
        for name, error in (failed or {}).items()
    ]
    return Run(store, photos, manifest, arrays, results)


@pytest.fixture(scope="session")
def make_fake_run() -> Callable[..., Run]:
    """A maker of runs in the store of a given home, for fixtures that live longer."""
    return make_run


@pytest.fixture
def fake_run(tmp_path: Path) -> Callable[..., Run]:
    """A maker of runs, each in a store of its own below one temporary folder."""
    made = iter(range(100))
    return lambda **options: make_run(tmp_path / f"home{next(made)}", **options)


def _photos(
    folder: Path, classes: tuple[str, ...], counts: Mapping[str, int], origin: str
) -> dict[str, Any]:
    rows = [p for split in counts for label in classes for p in paths(split, label, counts)]
    pd.DataFrame({"path": rows, "bytes": 1, "sha256": "0"}).to_csv(
        folder / "photos.csv", index=False
    )
    return {
        "origin": origin,
        "root": Path("photos"),
        "inventory": "1" * 64,
        "archive_sha256": "2" * 64,
        "count": len(rows),
    }


def _manifest(folder: Path, classes: tuple[str, ...], counts: Mapping[str, int]) -> dict[str, Any]:
    rows = [
        {
            "path": path,
            "label": label,
            "split": split,
            "sha256": "0",
            "width": 300 + i % 7 * 40,
            "height": 280 + i % 5 * 30,
            "bytes": 20_000 + 137 * i,
            "mode": "RGB",
            "brightness": 90.5 + i % 60,
        }
        for split in counts
        for label in classes
        for i, path in enumerate(paths(split, label, counts))
    ]
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    rejected = [{"path": "train/cats/<broken> & odd.jpg", "reason": "cannot be decoded"}]
    pd.DataFrame(rejected).to_csv(folder / "rejected.csv", index=False)
    copies = [
        {
            "path": paths("train", classes[0], counts)[0],
            "split": "train",
            "other": paths("test", classes[0], counts)[0],
            "other_split": "test",
            "match": "near",
            "distance": 2,
            "action": "dropped",
        }
    ]
    pd.DataFrame(copies).to_csv(folder / "duplicates.csv", index=False)
    return {
        "classes": classes,
        "counts": {split: dict.fromkeys(classes, n) for split, n in counts.items()},
        "rejected": 1,
        "duplicates": 1,
    }


def _arrays(
    folder: Path, classes: tuple[str, ...], counts: Mapping[str, int], pictures: Pictures
) -> dict[str, Any]:
    for split, n in counts.items():
        labels = np.repeat(np.arange(len(classes), dtype=np.int32), n)
        images = np.stack([pictures(split, k, i) for k in range(len(classes)) for i in range(n)])
        np.save(folder / f"{split}_images.npy", images)
        np.save(folder / f"{split}_labels.npy", labels)
        table = {
            "path": [p for label in classes for p in paths(split, label, counts)],
            "label": np.array(classes)[labels],
        }
        pd.DataFrame(table).to_csv(folder / f"{split}_photos.csv", index=False)
    return {
        "classes": classes,
        "image_size": images.shape[1],
        "counts": {split: n * len(classes) for split, n in counts.items()},
    }


def _folded(
    folder: Path, classes: tuple[str, ...], counts: Mapping[str, int], pictures: Pictures
) -> dict[str, Any]:
    rows = [
        (path, label, pictures(split, k, i))
        for split in counts
        for k, label in enumerate(classes)
        for i, path in enumerate(paths(split, label, counts))
    ]
    np.save(folder / "all_images.npy", np.stack([image for _, _, image in rows]))
    labels = np.array([classes.index(label) for _, label, _ in rows], dtype=np.int32)
    np.save(folder / "all_labels.npy", labels)
    table = {
        "path": [path for path, _, _ in rows],
        "label": [label for _, label, _ in rows],
        "fold": [1 + i % FOLDS for i in range(len(rows))],
    }
    pd.DataFrame(table).to_csv(folder / "all_photos.csv", index=False)
    return {"classes": classes, "image_size": SIZE, "counts": {"all": len(rows)}}


def _result(store: Store, arrays: Arrays, name: str, seed: int, accuracy: float) -> ModelResult:
    rng = np.random.default_rng([seed, *name.encode()])
    model = store.obtain(
        Recipe(
            TrainedModel,
            f"{name}{seed}",
            lambda folder: _model(folder, arrays, name, seed, accuracy, rng),
        )
    )
    predictions = store.obtain(
        Recipe(
            Predictions,
            f"{name}{seed}",
            lambda folder: _predictions(folder, arrays, name, seed, accuracy, rng),
        )
    )
    return ModelResult(
        name=name, seed=seed, fold=arrays.held_out, model=model, predictions=predictions
    )


def _model(
    folder: Path,
    arrays: Arrays,
    name: str,
    seed: int,
    accuracy: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    epochs = 6
    rise = 1 - np.exp(-np.arange(1, epochs + 1) / 2)
    history = pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            "phase": 1,
            "loss": 1.2 - rise * accuracy,
            "accuracy": 0.5 + rise * (accuracy - 0.45),
            "val_loss": 1.3 - rise * accuracy,
            "val_accuracy": 0.5 + rise * (accuracy - 0.5),
            "seconds": 2.5,
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    (folder / "model.keras").write_bytes(b"not a real model")
    (folder / "summary.txt").write_text(f"Model: {name}\n dense (Dense) 2 < 3\n", encoding="utf-8")
    if name != "baseline":
        first = np.asarray(arrays.images("train")[:2])
        np.save(folder / "augmented.npy", np.stack([first] * 6, axis=1))
    rows = history.to_dict("records")
    facts = {
        "name": name,
        "seed": seed,
        "epochs": epochs,
        "batch_size": 32,
        "classes": list(arrays.classes),
        "image_size": arrays.image_size,
        "data_digest": arrays.content,
        "versions": {"python": "3.11.9", "tensorflow": "2.21.0", "catdog": "0.1.0"},
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2, "threads": 1},
        "weights": {"source": "embedded", "sha256": "3" * 64, "note": "trained at 224 px"}
        if name == "transfer"
        else None,
        "seconds": 15.0 if name == "baseline" else 42.0,
        "best_epoch": epochs,
        "last_epoch": epochs,
        "best": rows[-1],
        "last": rows[-1],
    }
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return {
        "name": name,
        "seed": seed,
        "classes": arrays.classes,
        "image_size": arrays.image_size,
        "epochs": epochs,
        "best_epoch": epochs,
        "parameters": 742_194,
        "trainable_parameters": 2_562,
        "seconds": 15.0 if name == "baseline" else 42.0,
        "file_bytes": 9_400_000,
        "peak_memory_bytes": 812_000_000,
    }


def _predictions(
    folder: Path,
    arrays: Arrays,
    name: str,
    seed: int,
    accuracy: float,
    rng: np.random.Generator,
) -> dict[str, Any]:
    classes = np.array(arrays.classes)
    tables = []
    for split in ("validation", "test"):
        truth = arrays.labels(split)
        n = len(truth)
        wrong = rng.permutation(n) < round(n * (1 - accuracy))
        predicted = np.where(wrong, (truth + 1) % len(classes), truth)
        certainty = rng.uniform(0.55, 0.999, n)
        p = np.repeat((1 - certainty)[:, None] / (len(classes) - 1), len(classes), axis=1)
        p[np.arange(n), predicted] = certainty
        table = pd.DataFrame(
            {
                "model": name,
                "seed": seed,
                "split": split,
                "path": arrays.paths(split),
                "label": classes[truth],
                "predicted": classes[predicted],
                **{f"p_{name}": p[:, k].astype(np.float32) for k, name in enumerate(classes)},
            }
        )
        tables.append(table)
    whole = pd.concat(tables)
    whole.to_csv(folder / "predictions.csv", index=False)
    errors = tables[1][tables[1]["label"] != tables[1]["predicted"]]["path"][:4]
    if len(errors):
        maps = np.tile(np.linspace(0, 1, 25, dtype=np.float32).reshape(5, 5), (len(errors), 1, 1))
        np.savez(folder / "attention.npz", paths=np.array(list(errors)), maps=maps)
    return {
        "name": name,
        "seed": seed,
        "classes": arrays.classes,
        "model_key": f"{name}{seed}",
        "fold": arrays.held_out,
        "temperature": 2.0,
        "seconds_per_1000": 3.25,
    }


def tiny_base() -> Base:
    """A frozen base of what MobileNetV2 is made of, 32 x 32, with statistics as after training."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.ZeroPadding2D(((0, 1), (0, 1))),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise"),
            layers.BatchNormalization(),
            layers.ReLU(6),
        ]
    )
    rng = np.random.default_rng(2)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, 8) for _ in range(4)])
    network.trainable = False
    return Base(Backbone("tiny", "Tiny", "depthwise", "", "", scaled=True), network)


@pytest.fixture(scope="session")
def base() -> Base:
    """One that is built once; each model that is built on it freezes it again."""
    return tiny_base()


@pytest.fixture
def make_base() -> Callable[..., Base]:
    """A maker of such bases, all alike."""
    return lambda *_: tiny_base()
