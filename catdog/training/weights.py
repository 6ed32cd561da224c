"""Where the ImageNet weights of the `transfer` model come from, and the frozen base they fill."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import httpx

from catdog.backbones import Base
from catdog.errors import SourceError, TrainingError
from catdog.sources.fetch import Download
from catdog.sources.web import WebFile
from catdog.store.artifacts import OfficialWeights
from catdog.store.digest import file_digest, make_key
from catdog.store.store import Recipe, Store

log = logging.getLogger(__name__)

Source = Literal["path", "official", "embedded", "random"]

CHOICES = ("auto", "official", "embedded", "random")
OFFICIAL_URL = (
    "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top.h5"
)
OFFICIAL_BYTES = 9_406_464
"""Keras publishes no checksum for this file; its size is known, its SHA-256 is recorded."""
EMBEDDED_NAME = "mobilenet_v2_imagenet_no_top.weights.h5"
EMBEDDED_SHA256 = "6718113ff57950fb4270d50ffbce450fdb7deebf07f611f6981d44844bcfde31"
HDF5_MARK = b"\x89HDF\r\n\x1a\n"
KERAS_SUFFIXES = (".h5", ".hdf5")
TIMEOUT = httpx.Timeout(10, connect=5)
"""Seconds. There is no second try: the embedded copy stands ready."""


@dataclass(frozen=True)
class Weights:
    """The weights that were chosen: a file, or None for random ones."""

    source: Source
    file: Path | None
    sha256: str
    """Of the file; empty for random weights."""
    note: str
    """One sentence for the report."""


def find_weights(choice: str, *, home: Path, url: str = OFFICIAL_URL) -> Weights:
    """The weights that a setting stands for; imports no TensorFlow.

    choice: "auto" (the official ones, else the embedded copy), "official" (no other), "embedded",
    "random", or the path of a weights file. Official ones are kept in the store of `home`.
    Raises TrainingError when the file is missing, damaged or cannot be downloaded.
    """
    if choice == "random":
        return Weights("random", None, "", "Random weights were used, as asked.")
    if choice == "embedded":
        return _embedded("The embedded ImageNet copy, trained at 224 px, was used, as asked.")
    if choice not in CHOICES:
        return _given(Path(choice).expanduser())
    try:
        found = Store(home).obtain(recipe(url))
    except (SourceError, ValueError) as error:
        problem = error.problem if isinstance(error, SourceError) else f"{url}: {error}."
        if choice == "official":
            raise TrainingError(
                f"The official weights could not be downloaded: {problem}",
                "Check the network, give the path of a copy, or choose 'auto' or 'embedded'.",
            ) from error
        note = (
            f"Official 160 px weights could not be downloaded ({problem.rstrip('.')}); "
            "the embedded copy, trained at 224 px, was used."
        )
        log.warning(note)
        return _embedded(note)
    note = f"Official 160 px weights, downloaded from {url}."
    return Weights("official", found.file(found.NAME), found.sha256, note)


def recipe(url: str = OFFICIAL_URL) -> Recipe[OfficialWeights]:
    """How the official weights are fetched.

    Raises, to make it, SourceError, and ValueError when what came is no weights file.
    """

    def make(folder: Path) -> Mapping[str, Any]:
        file = folder / OfficialWeights.NAME
        Download(WebFile(url, TIMEOUT), file, OFFICIAL_BYTES, attempts=1).run()
        sha256 = _hdf5_digest(file)
        log.info("Fetched %s: SHA-256 %s", url, sha256)
        return {"url": url, "sha256": sha256}

    # No code: the bytes are those that were served, whatever fetched them.
    return Recipe(OfficialWeights, make_key(code=(), url=url, bytes=OFFICIAL_BYTES), make)


def fill_base(base: Base, weights: Weights) -> Base:
    """Load the weights of a file into a base, which is returned; random ones stay as they are.

    Raises TrainingError when the file does not fit.
    """
    path = weights.file
    if path is None:
        return base
    try:
        with warnings.catch_warnings():
            # Keras only warns when a layer is missing in the file and keeps its random weights.
            warnings.simplefilter("error", UserWarning)
            base.network.load_weights(path)
        return base
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise TrainingError(
            f"{path} does not fit MobileNetV2 1.0 without top ({reason}).",
            "Give another file, or choose 'auto' or 'embedded'.",
        ) from error


def _given(path: Path) -> Weights:
    remedy = f"Give the path of an HDF5 weights file, or one of: {', '.join(CHOICES)}."
    try:
        if path.suffix not in KERAS_SUFFIXES:
            raise ValueError("Keras reads only names that end in .weights.h5 or .h5")
        digest = _hdf5_digest(path)
    except ValueError as error:
        raise TrainingError(f"{path} cannot be used as weights ({error}).", remedy) from error
    return Weights("path", path.absolute(), digest, f"The weights in {path.name} were used.")


def _embedded(note: str) -> Weights:
    path = Path(str(files("catdog") / "data" / EMBEDDED_NAME))
    found = file_digest(path) if path.is_file() else "missing"
    if found != EMBEDDED_SHA256:
        raise TrainingError(
            f"The embedded weights {path} are damaged (SHA-256 {found}).", "Install catdog again."
        )
    return Weights("embedded", path, found, note)


def _hdf5_digest(path: Path) -> str:
    """SHA-256 of an HDF5 file; raises ValueError with the reason when it cannot be one."""
    if path.exists() and not path.is_file():  # a device or a pipe may never end
        raise ValueError("it is not a regular file")
    try:
        with path.open("rb") as file:
            if file.read(len(HDF5_MARK)) != HDF5_MARK:
                raise ValueError("it is not an HDF5 file")
        return file_digest(path)
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be read") from error
