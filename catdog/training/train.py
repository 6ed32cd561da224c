"""Train one model on stored arrays: repeatable, resumable, and with its whole history kept."""

import logging
import math
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from catdog.backbones import Base, new_base
from catdog.fast.twin import accelerate, through, without_base
from catdog.machine import machine, peak_memory_bytes, threads, versions
from catdog.models import ModelSpec, Stretch, begin_phase, build_model, model_spec
from catdog.settings import Training
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.digest import make_key
from catdog.store.files import write_json
from catdog.store.store import Recipe, Store
from catdog.training.checkpoints import Checkpoints, Row, best_row
from catdog.training.epochs import EpochKeeper, OnProgress
from catdog.training.pipeline import ordered_batches, steps_per_epoch, training_batches
from catdog.training.seeding import seed_epoch, seeded
from catdog.training.weights import Weights, fill_base
from catdog.user_code import blaming

log = logging.getLogger(__name__)

AUGMENTED_PHOTOS = 2
AUGMENTED_VERSIONS = 5


def recipe(
    reference: str,
    arrays: Arrays,
    training: Training,
    weights: Weights | None,
    *,
    store: Store,
    on_progress: OnProgress = lambda progress: None,
) -> Recipe[TrainedModel]:
    """How a model is trained, from its last finished epoch on, and its best epoch's weights kept.

    The number of threads and processes does not count.
    reference: the model, as in the setting `models`.
    weights: only pretrained models use them.
    store: where an interrupted training leaves its state.
    Raises SettingsError for an unknown model; to make it, TrainingError when the loss is no longer
    a number, or the code of a model that is not ours fails.
    """
    spec = model_spec(reference)
    weights = weights if spec.pretrained else None
    key = make_key(
        code=(__name__,),
        libraries=("tensorflow", "keras", "numpy"),
        name=spec.name,
        own=spec.code and spec.code.meaning,
        arrays=arrays.digest,
        phases=[asdict(phase) for phase in spec.phases],
        weights=[weights.backbone, weights.sha256] if weights else None,
        **training.model_dump(),
    )

    def make(folder: Path) -> Mapping[str, Any]:
        work = store.unfinished(TrainedModel, key)
        record = _Job(spec, arrays, training, weights, on_progress).run(Checkpoints(work), folder)
        shutil.rmtree(work, ignore_errors=True)
        return record

    return Recipe(TrainedModel, key, make)


@dataclass(frozen=True)
class _Job:
    spec: ModelSpec
    arrays: Arrays
    training: Training
    weights: Weights | None
    on_progress: OnProgress

    def run(self, checkpoints: Checkpoints, folder: Path) -> Mapping[str, Any]:
        model, base = self._build()
        stretches = self.spec.stretches(self.training.epochs)
        first = len(checkpoints.history)
        if first:
            log.info("%s goes on after epoch %d of %d", self.spec.name, first, self.training.epochs)
        for stretch in stretches:
            if first <= stretch.epochs.stop:
                if stretch.number > 1:
                    begin_phase(model, stretch.phase, base)
                self._train(model, checkpoints, stretch)
        trainable = _count(model.trainable_weights)
        if len(stretches) > 1:  # the weights of a phase fit an optimizer of that phase alone
            epoch = best_row(checkpoints.history)["epoch"] - 1
            best = next(stretch for stretch in stretches if epoch in stretch.epochs)
            begin_phase(model, best.phase, base)
        checkpoints.load_best(model)
        return self._write(model, checkpoints.history, folder) | {"trainable_parameters": trainable}

    def _build(self) -> tuple[Any, Base | None]:
        image_size = self.arrays.image_size
        classes = len(self.arrays.classes)
        with seeded(self.training.seed):
            base = new_base(self.weights.backbone, image_size) if self.weights else None
            model = build_model(self.spec, classes=classes, image_size=image_size, base=base)
        if base and self.weights:
            fill_base(base, self.weights)
        return model, base

    def _train(self, model: Any, checkpoints: Checkpoints, stretch: Stretch) -> None:
        """Train the epochs of a stretch that are still to come."""
        # A user's model trains as Keras has it: what it is compiled with may not be repeatable.
        twin = model if self.spec.code else accelerate(model, threads=threads())
        first = max(len(checkpoints.history), stretch.epochs.start)
        if first > stretch.epochs.start:
            checkpoints.restore(model)
        if first < stretch.epochs.stop:
            self._fit(model, twin, checkpoints, stretch, first)

    def _fit(
        self, model: Any, twin: Any, checkpoints: Checkpoints, stretch: Stretch, first: int
    ) -> None:
        arrays, training = self.arrays, self.training
        batches = training_batches(
            arrays.images("train"),
            arrays.labels("train"),
            batch_size=training.batch_size,
            seed=training.seed,
            epochs=range(first, stretch.epochs.stop),
        )
        validation = ordered_batches(
            arrays.images("validation"), arrays.labels("validation"), batch_size=training.batch_size
        )
        steps = steps_per_epoch(arrays.counts["train"], training.batch_size)
        keeper = EpochKeeper(
            arrays.trial(self.spec.name, training.seed),
            training,
            stretch,
            steps,
            model,
            checkpoints,
            self.on_progress,
        )
        code = self.spec.code
        with blaming(code, spared=(OSError, MemoryError)) if code else nullcontext():
            twin.fit(
                batches,
                epochs=stretch.epochs.stop,
                initial_epoch=first,
                steps_per_epoch=steps,
                shuffle=False,
                validation_data=without_base(twin, validation),
                callbacks=[keeper.callback()],
                verbose=0,
            )

    def _write(self, model: Any, history: list[Row], folder: Path) -> dict[str, Any]:
        import pandas as pd

        path = folder / "model.keras"
        model.save(path)
        pd.DataFrame(history).astype({"epoch": int, "phase": int}).to_csv(
            folder / "history.csv", index=False
        )
        lines: list[str] = []
        model.summary(print_fn=lambda line, line_break=True: lines.append(line), line_length=88)
        (folder / "summary.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if (examples := _augmented_examples(model, self.arrays)) is not None:
            np.save(folder / "augmented.npy", examples)
        best, w = best_row(history), self.weights
        common = {
            "name": self.spec.name,
            "seed": self.training.seed,
            "classes": self.arrays.classes,
            "image_size": self.arrays.image_size,
            "epochs": self.training.epochs,
            "best_epoch": int(best["epoch"]),
            "seconds": round(sum(row["seconds"] for row in history), 3),
        }
        facts = {
            "data_digest": self.arrays.digest,
            "fold": self.arrays.held_out,
            "defined_in": self.spec.code and self.spec.code.origin,
            "weights": w.described() if w else None,
            "versions": versions(),
            "machine": machine(),
            "last_epoch": len(history),
            "best": best,
            "last": history[-1],
        }
        write_json(folder / "model.json", common | self.training.model_dump() | facts)
        return common | {
            "parameters": model.count_params(),
            "file_bytes": path.stat().st_size,
            "peak_memory_bytes": peak_memory_bytes(),
        }


def _count(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _augmented_examples(model: Any, arrays: Arrays) -> np.ndarray | None:
    from keras.layers import RandomFlip, RandomRotation, RandomShear, RandomTranslation, RandomZoom

    # These move pixels, whatever their range is by then; others change them.
    moving = (RandomFlip, RandomRotation, RandomShear, RandomTranslation, RandomZoom)
    layers = [layer for layer in model.layers if isinstance(layer, moving)]
    if not layers:
        return None
    images = np.asarray(arrays.images("train")[:AUGMENTED_PHOTOS])
    seed_epoch(model, seed=0, epoch=0)
    versions = [images]
    for _ in range(AUGMENTED_VERSIONS):
        changed = through(layers, images.astype("float32"), training=True)
        versions.append(np.clip(np.rint(changed), 0, 255).astype("uint8"))
    return np.stack(versions, axis=1)
