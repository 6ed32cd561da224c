"""How a model that was logged to MLflow answers. MLflow keeps this file next to the model.

It needs no catdog: the model may be loaded where there is none. It reads photos as catdog does:
upright, transparency over white, RGB, stretched to the model's square, bilinear with half-pixel
centres and no antialiasing, rounded to whole numbers.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

FILES = ("model.tflite", "facts.json")
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class Answers:
    """A model that takes a table of photos and gives a table of probabilities."""

    def __init__(self, folder: Path) -> None:
        model, facts = (folder / name for name in FILES)
        self._facts = json.loads(facts.read_text(encoding="utf-8"))
        self._network = Interpreter(model_path=str(model), num_threads=1)
        self._network.allocate_tensors()

    def predict(self, photos: pd.DataFrame) -> pd.DataFrame:
        """For each `photo` (a file's bytes): `label`, `probability`, and `p_CLASS` a class."""
        classes = self._facts["classes"]
        found = np.stack([self._probabilities(content) for content in photos["photo"]])
        best = found.argmax(axis=1)
        labels = {"label": [classes[index] for index in best], "probability": found.max(axis=1)}
        shares = {f"p_{name}": found[:, index] for index, name in enumerate(classes)}
        return pd.DataFrame(labels | shares)

    def _probabilities(self, content: bytes) -> npt.NDArray[np.float64]:
        pixels = _pixels(_rgb(content), self._facts["image_size"])
        network = self._network
        network.set_tensor(network.get_input_details()[0]["index"], pixels[None])
        network.invoke()
        found: Any = network.get_tensor(network.get_output_details()[0]["index"])
        return np.asarray(found[0], dtype=np.float64)


def _rgb(content: bytes) -> Image.Image:
    photo = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    if photo.mode == "I" or photo.mode.startswith("I;16"):
        grey = (np.asarray(photo).astype(np.int32) + 128) // 257
        photo = Image.fromarray(grey.astype(np.uint8))
    if photo.has_transparency_data:
        photo = photo.convert("RGBA")
        photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo)
    return photo.convert("RGB")


def _pixels(photo: Image.Image, size: int) -> Floats:
    """As `catdog.photos.reading.resize`, to the last bit: a test compares them."""
    pixels = np.asarray(photo)
    top, bottom, down = _neighbours(pixels.shape[0], size)
    left, right, across = _neighbours(pixels.shape[1], size)

    def line(rows: Indices) -> Floats:
        lines = pixels.take(rows, axis=0)
        return _blend(lines.take(left, axis=1), lines.take(right, axis=1), across[None, :, None])

    rounded: Floats = np.rint(_blend(line(top), line(bottom), down[:, None, None]))
    return rounded


def _neighbours(length: int, size: int) -> tuple[Indices, Indices, Floats]:
    scale = np.float32(length) / np.float32(size)
    position = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(position)
    first = np.maximum(floor, 0).astype(np.intp)
    second = np.minimum(np.ceil(position), length - 1).astype(np.intp)
    return first, second, position - floor


def _blend(a: npt.NDArray[Any], b: npt.NDArray[Any], weight: Floats) -> Floats:
    first, second = a.astype(np.float32), b.astype(np.float32)
    return first + (second - first) * weight


def _load_pyfunc(path: str) -> Answers:
    """What MLflow calls to load the model."""
    return Answers(Path(path))
