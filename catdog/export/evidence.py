"""What a model knows and how well: found once, after its evaluation, and kept with a champion."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.errors import StoreError
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.history.runs import load_run
from catdog.inference.caution import Knowledge, knowledge_of
from catdog.inference.features import distance, narrowed, with_features
from catdog.inference.litert import Floats, Network
from catdog.inference.risk import doubts
from catdog.photos.reading import in_threads
from catdog.promotion.candidates import Chosen
from catdog.promotion.registry import Registry
from catdog.store.artifacts import (
    HELD_OUT,
    Arrays,
    Evidence,
    Images,
    Manifest,
    Predictions,
    TrainedModel,
)
from catdog.store.digest import make_key
from catdog.store.store import Recipe, Store

log = logging.getLogger(__name__)

KNOWN = 4096
"""Training photos that are kept, drawn evenly: 10 MB for features of MobileNetV2."""


def recipe(
    model: TrainedModel, predictions: Predictions, arrays: Arrays, manifest: Manifest, store: Store
) -> Recipe[Evidence]:
    """How the evidence of a model is gathered; it takes as long as to predict all photos once."""
    key = make_key(
        code=(__name__,),
        libraries=("ai-edge-litert", "numpy"),
        model=model.content,
        predictions=predictions.content,
        arrays=arrays.digest,
        manifest=manifest.content,
    )

    def make(folder: Path) -> Mapping[str, Any]:
        return _write(folder, model, predictions, arrays, manifest, store)

    return Recipe(Evidence, key, make)


def knowledge(chosen: Chosen, store: Store) -> Knowledge:
    """What a model knows. Raises StoreError where that cannot be told any more."""
    if found := evidence_of(chosen, store):
        return knowledge_of(found)
    raise StoreError(
        f"What '{chosen.model.name}' knows was never gathered, and its photos are gone.",
        "Leave out --risk, or train it again: 'catdog run'.",
    )


def evidence_of(chosen: Chosen, store: Store) -> Evidence | None:
    """The evidence of a model, gathered now where that was not done yet.

    None where it was not, and its run's photos are no longer stored.
    """
    if chosen.predictions is None:
        return None
    for place in (store, Registry(store.home).store):
        if found := Evidence.of(chosen.predictions, place):
            return found
    run = load_run(chosen.run, store)
    arrays, manifest = run.find(Arrays, store), run.find(Manifest, store)
    if not (arrays and manifest):
        return None
    log.warning("What %s knows is gathered; this is done once.", chosen.model.name)
    return store.obtain(recipe(chosen.model, chosen.predictions, arrays, manifest, store))


def _write(
    folder: Path,
    model: TrainedModel,
    predictions: Predictions,
    arrays: Arrays,
    manifest: Manifest,
    store: Store,
) -> Mapping[str, Any]:
    reader = Reader(flatbuffer_of(model, store).file(FILE).read_bytes())
    found: dict[str, npt.NDArray[Any]] = {}
    if reader.has_features:
        count = arrays.counts["train"]
        even = np.linspace(0, count - 1, min(count, KNOWN)).round().astype(int).tolist()
        found["known"] = reader.read(arrays.images("train"), even)[1].astype(np.float16)
    for split in HELD_OUT:
        rows = pictures(arrays.paths(split), manifest)
        probabilities, features = reader.read(arrays.images(split), rows)
        found[f"{split}_doubt"] = doubts(probabilities)
        found[f"{split}_wrong"] = probabilities.argmax(axis=1) != arrays.labels(split)[rows]
        if reader.has_features:
            known = found["known"].astype(np.float32)  # as it is read again
            far = in_threads(partial(distance, known=known), list(features))
            found[f"{split}_distance"] = np.array(far)
    np.savez(folder / Evidence.NAME, **found)  # type: ignore[arg-type]
    return {"name": model.name, "predictions": predictions.key, "choices": model.choices()}


def pictures(paths: list[str], manifest: Manifest) -> list[int]:
    """A photo of each picture or group, in order: that with the lowest SHA-256."""
    digest = {row["path"]: row["sha256"] for row in manifest.rows()}
    group_of, first = manifest.groups(), dict[str, int]()
    for place in sorted(range(len(paths)), key=lambda each: digest[paths[each]]):
        first.setdefault(group_of.get(paths[place], paths[place]), place)
    return sorted(first.values())


class Reader:
    """What a LiteRT model makes of photos, in as many threads as there are cores."""

    def __init__(self, flatbuffer: bytes) -> None:
        try:
            self._flatbuffer, self.has_features = with_features(flatbuffer), True
        except ValueError:
            self._flatbuffer, self.has_features = flatbuffer, False
        self._own = local()

    def read(
        self, images: Images | list[npt.NDArray[np.uint8]], rows: Sequence[int]
    ) -> tuple[Floats, Floats]:
        """Probabilities (n, classes) and features (n, width), of some rows; no width without."""
        seen = in_threads(lambda row: self._look(images[row]), rows)
        probabilities, features = zip(*seen, strict=True)
        return np.concatenate(probabilities), np.concatenate(features)

    def _look(self, image: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
        if not hasattr(self._own, "network"):
            self._own.network = Network(self._flatbuffer)
        network = self._own.network
        probabilities = network(image[None].astype(np.float32))
        nothing = np.empty((1, 0), np.float32)
        return probabilities, narrowed(network.output(1)) if self.has_features else nothing
