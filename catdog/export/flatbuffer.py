"""A trained model as LiteRT runs it: made once, and compared with Keras before it is kept."""

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.errors import StoreError, TrainingError
from catdog.inference.litert import Network, convert
from catdog.inference.temperature import LEAST
from catdog.promotion.registry import Registry
from catdog.store.artifacts import Flatbuffer, TrainedModel
from catdog.store.store import Recipe, Store
from catdog.training.evaluate import load_model

log = logging.getLogger(__name__)

CHECKED = 16
"""Pictures on which it must give what Keras gives: a lost weight would show on the first."""
TOLERANCE = 1e-3
"""Between Keras and LiteRT, as `_apart` measures. Rounding explains up to 1e-4."""
FILE = "model.tflite"


def recipe(model: TrainedModel) -> Recipe[Flatbuffer]:
    """How a trained model becomes a flatbuffer. Its weights are its key, and nothing else.

    What converts it cannot change what it gives beyond rounding, or it is not kept: so a model is
    converted once for good, and no later version needs TensorFlow to use it.
    Making it raises TrainingError when the model cannot be converted.
    """
    return Recipe(Flatbuffer, model.flatbuffer_key, lambda folder: _write(model, folder))


def flatbuffer_of(model: TrainedModel, store: Store) -> Flatbuffer:
    """The flatbuffer of a model of this store, or of a champion; made now where there is none."""
    wanted = recipe(model)
    for place in (store, Registry(store.home).store):
        if found := place.find(Flatbuffer, wanted.key):
            return found
    if find_spec("tensorflow") is None:
        raise StoreError(
            f"{model.name} of an older version is not converted yet, and TensorFlow is not here.",
            "Use it once where TensorFlow is installed: 'catdog predict'.",
        )
    log.warning("%s is converted for fast predictions; this is done once.", model.name)
    return store.obtain(wanted)


def _write(model: TrainedModel, folder: Path) -> Mapping[str, Any]:
    network = load_model(model.file("model.keras"))
    try:
        flatbuffer = convert(network, (1, model.image_size, model.image_size, 3))
    except Exception as error:  # TensorFlow raises all kinds
        first_line = str(error).splitlines()[0]
        raise TrainingError(
            f"'{model.name}' cannot be converted to LiteRT ({first_line}).",
            "Build it of layers that LiteRT knows.",
        ) from error
    images = _pictures(model.image_size)
    expected = np.asarray(network(images, training=False))
    lite = Network(flatbuffer)
    found = np.concatenate([lite(image[None]) for image in images])
    if not (apart := _apart(found, expected)) <= TOLERANCE:
        raise TrainingError(
            f"'{model.name}' as LiteRT is not what it is in Keras (they differ by {apart:.1e}).",
            f"At most {TOLERANCE:g} is rounding: please report this.",
        )
    (folder / FILE).write_bytes(flatbuffer)
    return {"difference": float(np.abs(found - expected).max())}


def _apart(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    """How far probabilities are apart by their logarithms, relative to these where they are large.

    A model that is sure of all pictures would give the same probabilities with other weights.
    """
    ours, theirs = (np.log(np.maximum(p, LEAST)) for p in (found, expected))
    return float((np.abs(ours - theirs) / (1 + np.abs(theirs))).max())


def _pictures(size: int) -> npt.NDArray[np.float32]:
    """Pictures with contrasts of all sizes, from flat areas to noise, in 0..255."""
    rng = np.random.default_rng(0)
    pictures = np.empty((CHECKED, size, size, 3), np.float32)
    for index, picture in enumerate(pictures):
        side = 2 ** (index % 6)  # of squares in one colour
        cells = -(-size // side)
        colours = rng.integers(0, 256, (cells, cells, 3))
        picture[:] = colours.repeat(side, axis=0).repeat(side, axis=1)[:size, :size]
    return pictures
