"""Runs whose artifacts are made up."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from catdog.history.runs import Run, Score, runs_folder, save_run
from catdog.store.artifacts import (
    DuplicatePair,
    Manifest,
    Predictions,
    TrainedModel,
    write_csv,
)
from catdog.store.store import Recipe, Store

PHOTOS = [(label, i) for label in ("cats", "dogs") for i in range(50)]
COLUMNS = ["model", "seed", "split", "path", "label", "predicted"]
NAMES = [f"test/{label}/{i}.jpg" for label, i in PHOTOS]


def add_run(
    home: Path, name: str, right: dict[str, int], winner: str | None = None, **settings: int
) -> None:
    """A run whose models classify the first so many photos of each class correctly."""
    store = Store(home)
    manifest = store.obtain(Recipe(Manifest, "manifest", _manifest))
    artifacts = {"manifest": manifest.key}
    for model, good in right.items():
        trained = store.obtain(
            Recipe(TrainedModel, f"{name}-{model}", lambda f, m=model: _model(f, m))
        )
        scored = store.obtain(
            Recipe(Predictions, f"{name}-{model}", lambda f, m=model, g=good: _predictions(f, m, g))
        )
        artifacts |= {f"model {model} 1": trained.key, f"predictions {model} 1": scored.key}
    now = datetime.now(UTC)
    scores = tuple(
        Score(name=model, seed=1, validation_accuracy=good / 50, test_accuracy=good / 50)
        for model, good in right.items()
    )
    run = Run(
        id=name,
        began=now,
        ended=now,
        settings={"source": "official"},
        scores=scores,
        artifacts=artifacts,
        folder=runs_folder(store) / name,
    )
    save_run(run.model_copy(update={"settings": run.settings | settings}), None, store)
    best = max(scores, key=lambda score: score.validation_accuracy or 0).name
    report = {"verdict": {"winner": winner or best}}
    (run.folder / "comparison.json").write_text(json.dumps(report), encoding="utf-8")


def _manifest(folder: Path) -> dict[str, object]:
    rows = [(path, label, f"{label}{i}") for path, (label, i) in zip(NAMES, PHOTOS, strict=True)]
    table = pd.DataFrame(rows, columns=["path", "label", "sha256"]).assign(split="test")
    table.to_csv(folder / "manifest.csv", index=False)
    write_csv(folder / "duplicates.csv", DuplicatePair.model_fields, ())
    return {"classes": ("cats", "dogs"), "counts": {}, "rejected": 0, "duplicates": 0}


def _model(folder: Path, name: str) -> dict[str, object]:
    (folder / "model.keras").write_text(name)
    numbers = ("epochs", "best_epoch", "parameters", "trainable_parameters", "file_bytes")
    return dict.fromkeys(numbers, 1) | {
        "name": name,
        "seed": 1,
        "classes": ("cats", "dogs"),
        "image_size": 160,
        "seconds": 1.0,
        "peak_memory_bytes": 1,
    }


def _predictions(folder: Path, name: str, right: int) -> dict[str, object]:
    other = {"cats": "dogs", "dogs": "cats"}
    rows = [
        (name, 1, "test", path, label, label if i < right else other[label])
        for path, (label, i) in zip(NAMES, PHOTOS, strict=True)
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "predictions.csv", index=False)
    return {
        "name": name,
        "seed": 1,
        "classes": ("cats", "dogs"),
        "model_key": "",
        "seconds_per_1000": 1.0,
    }
