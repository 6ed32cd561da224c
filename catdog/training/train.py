"""Train one model on stored arrays: repeatable, resumable, and with its whole history kept."""

import logging
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from catdog.backbones import Base, new_base
from catdog.fast.mixed_precision import slow_in_bfloat16
from catdog.fast.twin import accelerate, precision_of, through, without_base
from catdog.machine import machine, peak_memory_bytes, shared_cores, threads, versions
from catdog.metric import Metric
from catdog.models import (
    OWN_TRAINING,
    ModelSpec,
    Phase,
    Stretch,
    begin_phase,
    build_model,
    model_spec,
)
from catdog.settings import Training
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.digest import make_key
from catdog.store.files import write_json
from catdog.store.store import Recipe, Store
from catdog.training.checkpoints import Checkpoints, Row, best_row, out_of_patience
from catdog.training.epochs import EpochKeeper, OnProgress
from catdog.training.offsite import offsite
from catdog.training.pipeline import (
    balanced_weights,
    ordered_batches,
    softened,
    steps_per_epoch,
    training_batches,
)
from catdog.training.seeding import seed_epoch, seeded
from catdog.training.weights import Weights, fill_base
from catdog.user_code import blaming

log = logging.getLogger(__name__)

AUGMENTED_PHOTOS = 2
AUGMENTED_VERSIONS = 5
IN_LAYERS = ("augmentation", "precision")
"""The settings that a model's layers decide: of a user's own model its function does."""
IN_COMPILING = ("learning_rate", "schedule", "label_smoothing")
"""Those that a model's optimizer and loss decide: of a model that comes compiled its user does."""


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
    Raises SettingsError for an unknown model, or a metric of an unknown class; to make it,
    TrainingError when the loss is no longer a number, or the code of a model that is not ours
    fails.
    """
    spec = model_spec(reference)
    heeded = training.without(*IN_LAYERS) if spec.code else training
    spec = _varied(spec, heeded)
    Metric(training.metric).require_class(arrays.classes)
    weights = weights if spec.pretrained else None
    key = make_key(
        code=(__name__,),
        libraries=("tensorflow", "keras", "numpy"),
        name=spec.name,
        own=spec.code and spec.code.meaning,
        arrays=arrays.digest,
        phases=[asdict(phase) for phase in spec.phases],
        weights=[weights.backbone, weights.sha256] if weights else None,
        **heeded.model_dump(),
    )

    def make(folder: Path) -> Mapping[str, Any]:
        work = store.unfinished(TrainedModel, key)
        job = _Job(spec, arrays, training, heeded, weights, on_progress)
        with offsite(store, key, work, arrays=arrays.key) as elsewhere:
            record = job.run(Checkpoints(work, elsewhere), folder)
        shutil.rmtree(work, ignore_errors=True)
        return record

    return Recipe(TrainedModel, key, make)


def _varied(spec: ModelSpec, training: Training) -> ModelSpec:
    return spec.varied(
        learning_rate=training.learning_rate,
        schedule=training.schedule,
        soft_labels=training.label_smoothing > 0,
        augmentation=training.augmentation,
    )


@dataclass(frozen=True)
class _Job:
    spec: ModelSpec
    arrays: Arrays
    asked: Training
    training: Training
    """What of that this model heeds."""
    weights: Weights | None
    on_progress: OnProgress

    def run(self, checkpoints: Checkpoints, folder: Path) -> Mapping[str, Any]:
        model, base = self._build()
        job = self._as_compiled() if getattr(model, OWN_TRAINING, False) else self
        return job._go_on(model, base, checkpoints, folder)

    def _as_compiled(self) -> "_Job":
        """The same for a model that its user has compiled."""
        heeded = self.training.without(*IN_COMPILING)
        return replace(self, spec=replace(self.spec, phases=(Phase(),)), training=heeded)

    def _go_on(
        self, model: Any, base: Base | None, checkpoints: Checkpoints, folder: Path
    ) -> Mapping[str, Any]:
        if first := len(checkpoints.history):
            log.info("%s goes on after epoch %d of %d", self.spec.name, first, self.training.epochs)
        for stretch in self._stretches(checkpoints):
            twin = self._train(model, base, checkpoints, stretch)
        trainable = _count(model.trainable_weights)
        self._load_best(model, base, checkpoints)
        record = self._write(model, twin, checkpoints.history, folder)
        return record | {"trainable_parameters": trainable}

    def _stretches(self, checkpoints: Checkpoints) -> Iterator[Stretch]:
        """From the one on that was trained last, each behind the last epoch before it."""
        for stretch in self.spec.stretches(self.training.epochs):
            phases = [row["phase"] for row in checkpoints.history]
            if max(phases, default=0) <= stretch.number:
                start = sum(phase < stretch.number for phase in phases)
                yield stretch._replace(epochs=range(start, start + len(stretch.epochs)))

    def _load_best(self, model: Any, base: Base | None, checkpoints: Checkpoints) -> None:
        if len(self.spec.stretches(self.training.epochs)) > 1:
            # The weights of a phase fit an optimizer of that phase alone.
            number = int(best_row(checkpoints.history)["phase"])
            begin_phase(model, self.spec.phases[number - 1], base)
        checkpoints.load_best(model)

    def _build(self) -> tuple[Any, Base | None]:
        image_size = self.arrays.image_size
        classes = len(self.arrays.classes)
        with seeded(self.training.seed):
            base = new_base(self.weights.backbone, image_size) if self.weights else None
            model = build_model(self.spec, classes=classes, image_size=image_size, base=base)
        if base and self.weights:
            fill_base(base, self.weights)
        return model, base

    def _train(
        self, model: Any, base: Base | None, checkpoints: Checkpoints, stretch: Stretch
    ) -> Any:
        """Train the epochs of a stretch that are still to come; gives what was fitted."""
        first, start = len(checkpoints.history), stretch.epochs.start
        if stretch.number > 1:
            if first == start and self.training.patience:
                self._load_best(model, base, checkpoints)
            begin_phase(model, stretch.phase, base)
        # A user's model trains as Keras has it: what it is compiled with may not be repeatable.
        twin = (
            model
            if self.spec.code
            else accelerate(
                model,
                threads=threads(),
                precision=self.training.precision,
                free_cores=shared_cores,
            )
        )
        if not stretch.to_come:
            for note in self._notes(twin):
                log.warning("%s: %s", self.spec.name, note)
        if first > start:
            checkpoints.restore(model)
        ended = first > start and out_of_patience(checkpoints.history, self.training.patience)
        if first < stretch.epochs.stop and not ended:
            self._fit(model, twin, checkpoints, stretch, first)
        return twin

    def _notes(self, twin: Any) -> list[str]:
        """What of the settings is not as one may expect it."""
        asked, heeded = self.asked, self.training
        unused = [name for name, value in asked if getattr(heeded, name) != value]
        found = [f"its own code, not the settings, decides {', '.join(unused)}"] if unused else []
        if heeded.precision == precision_of(twin):
            slow = slow_in_bfloat16() if heeded.precision == "bfloat16" else ""
            return [*found, slow] if slow else found
        return [*found, "trained in float32: nothing that bfloat16 could make faster is trained"]

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
        if smoothing := training.label_smoothing:
            batches = softened(batches, len(arrays.classes), smoothing)
            validation = softened(validation, len(arrays.classes))
        held_out = without_base(twin, validation, arrays.digest)
        steps = steps_per_epoch(arrays.counts["train"], training.batch_size)
        keeper = EpochKeeper(
            arrays.trial(self.spec.name, training.seed),
            training,
            stretch,
            steps,
            model,
            checkpoints,
            self.on_progress,
            self._measure(twin, held_out),
        )
        balanced = training.class_weights == "balanced"
        code = self.spec.code
        with blaming(code, spared=(OSError, MemoryError)) if code else nullcontext():
            twin.fit(
                batches,
                epochs=stretch.epochs.stop,
                initial_epoch=first,
                steps_per_epoch=steps,
                shuffle=False,
                validation_data=held_out,
                class_weight=balanced_weights(arrays.labels("train"), len(arrays.classes))
                if balanced
                else None,
                callbacks=[keeper.callback()],
                verbose=0,
            )

    def _measure(self, twin: Any, held_out: Any) -> Callable[[], float] | None:
        """What gives the metric on these photos; they are predicted once more for it."""
        metric, arrays = Metric(self.training.metric), self.arrays
        if metric.default:
            return None
        classes, labels = np.array(arrays.classes), arrays.labels("validation")

        def measure() -> float:
            predicted = twin.predict(held_out, verbose=0).argmax(axis=1)
            return metric.of_photos(classes[labels], classes[predicted], arrays.classes)

        return measure

    def _write(self, model: Any, twin: Any, history: list[Row], folder: Path) -> dict[str, Any]:
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
            "epochs": len(history),
            "best_epoch": int(best["epoch"]),
            "seconds": round(sum(row["seconds"] for row in history), 3),
        }
        facts = {
            "data_digest": self.arrays.digest,
            "fold": self.arrays.held_out,
            "defined_in": self.spec.code and self.spec.code.origin,
            "weights": w.described() if w else None,
            "precision": precision_of(twin),
            "notes": self._notes(twin),
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
