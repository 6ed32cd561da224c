"""Champions and challengers whose right and wrong test photos are chosen by the test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from catdog.promotion.registry import Registry
from catdog.promotion.rules import Entrant, entrant
from catdog.settings import Promotion
from catdog.store.artifacts import (
    Cost,
    DuplicatePair,
    Manifest,
    Predictions,
    TrainedModel,
    write_csv,
)
from catdog.store.store import Recipe, Store

PROMOTION = Promotion(class_margin=0.05)
FRESH = Promotion(promotion="fresh", accuracy_margin=0.05, class_margin=0.1)
A_CLASS = 50
"""Test photos of each class."""
CLASSES = ("cats", "dogs")


def make(
    store: Store,
    name: str,
    *,
    right: tuple[int, int] = (45, 45),
    photos: range = range(A_CLASS),
    classes: tuple[str, str] = CLASSES,
    origin: str = "official",
    trained_on: int = 0,
    burst: int = 1,
) -> Entrant:
    """A model that classifies the first so many test photos of each class correctly.

    trained_on: so many photos, of which those of a smaller number are a part. burst: so many test
    photos in a row show one picture.
    """
    rows = [(label, i) for label in classes for i in photos]
    names = [f"test/{label}/{i}.jpg" for label, i in rows]
    manifest = store.obtain(
        Recipe(
            Manifest,
            f"manifest-{photos.start}-{photos.stop}-{classes[0]}-{trained_on}-{burst}",
            lambda f: _write_manifest(f, rows, names, classes, trained_on, burst),
        )
    )
    model = store.obtain(
        Recipe(TrainedModel, f"model-{name}", lambda f: write_model(f, name, classes))
    )
    predictions = store.obtain(
        Recipe(
            Predictions,
            f"predictions-{name}",
            lambda f: _write_predictions(f, name, rows, names, classes, right),
        )
    )
    return entrant(model, predictions, manifest, run=f"run-{name}", origin=origin)


def _write_manifest(
    folder: Path,
    rows: Sequence[tuple[str, int]],
    names: list[str],
    classes: tuple[str, str],
    trained_on: int,
    burst: int,
) -> dict[str, Any]:
    test = pd.DataFrame(
        {
            "path": names,
            "label": [label for label, _ in rows],
            "split": "test",
            "sha256": [f"{label}{i}" for label, i in rows],
        }
    )
    seen = [f"seen{i}" for i in range(trained_on)]
    train = pd.DataFrame({"path": seen, "label": classes[0], "split": "train", "sha256": seen})
    table = pd.concat([train, test])
    table.to_csv(folder / "manifest.csv", index=False)
    pairs = [
        (path, "test", f"test/{label}/{i - i % burst}.jpg", "test", "near", 1, "kept")
        for path, (label, i) in zip(names, rows, strict=True)
        if i % burst
    ]
    write_csv(folder / "duplicates.csv", DuplicatePair.model_fields, pairs)
    return {"classes": classes, "counts": {}, "rejected": 0, "duplicates": 0}


def write_model(folder: Path, name: str, classes: tuple[str, str]) -> dict[str, Any]:
    (folder / "model.keras").write_text(name)
    return {
        "name": name,
        "seed": 1,
        "classes": classes,
        "image_size": 160,
        "epochs": 1,
        "best_epoch": 1,
        **dict.fromkeys(Cost.model_fields, 1),
    }


def _write_predictions(
    folder: Path,
    name: str,
    rows: Sequence[tuple[str, int]],
    names: list[str],
    classes: tuple[str, str],
    right: tuple[int, int],
) -> dict[str, Any]:
    other = {classes[0]: classes[1], classes[1]: classes[0]}
    good = dict(zip(classes, right, strict=True))
    table = pd.DataFrame(
        {
            "model": name,
            "seed": 1,
            "split": "test",
            "path": names,
            "label": [label for label, _ in rows],
            "predicted": [label if i < good[label] else other[label] for label, i in rows],
        }
    )
    table.to_csv(folder / "predictions.csv", index=False)
    return {
        "name": name,
        "seed": 1,
        "classes": classes,
        "model_key": f"model-{name}",
        "seconds_per_1000": 1.0,
    }


def reign(registry: Registry) -> str:
    champion = registry.champion()
    assert champion
    return champion.name
