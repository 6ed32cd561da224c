"""Where the ImageNet weights of the pretrained models come from, and the base they fill."""

import hashlib
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import httpx

from catdog.backbones import BACKBONES, DEFAULT_BACKBONE, Backbone, Base
from catdog.errors import SourceError, TrainingError
from catdog.sources.fetch import Download
from catdog.sources.web import WebFile
from catdog.store.artifacts import OfficialWeights
from catdog.store.digest import file_digest, make_key
from catdog.store.store import Recipe, Store

log = logging.getLogger(__name__)

Source = Literal["path", "official", "embedded", "random"]

CHOICES = ("auto", "official", "embedded", "random")
OFFICIAL_BYTES = 9_406_464
"""Of MobileNetV2's. Keras publishes no checksum for that file; its SHA-256 is recorded."""
EMBEDDED_NAME = "mobilenet_v2_imagenet_no_top.weights.h5"
EMBEDDED_SHA256 = "6718113ff57950fb4270d50ffbce450fdb7deebf07f611f6981d44844bcfde31"
MD5_DIGITS = 32
HDF5_MARK = b"\x89HDF\r\n\x1a\n"
KERAS_SUFFIXES = (".h5", ".hdf5")
TIMEOUT = httpx.Timeout(10, connect=5)
"""Seconds. There is no second try: a copy is embedded, or a person asked for another backbone."""


@dataclass(frozen=True)
class Weights:
    """The weights that were chosen: a file, or None for random ones."""

    source: Source
    file: Path | None
    sha256: str
    """Of the file; empty for random weights."""
    note: str
    """One sentence for the report."""
    backbone: str = DEFAULT_BACKBONE
    """The network that they are for."""

    def described(self) -> dict[str, str]:
        """What a model's facts say of them."""
        return {name: getattr(self, name) for name in ("backbone", "source", "sha256", "note")}


def find_weights(
    choice: str, *, home: Path, backbone: str = DEFAULT_BACKBONE, url: str | None = None
) -> Weights:
    """The weights that a setting stands for; imports no TensorFlow.

    choice: "auto" (the official ones, else the embedded copy), "official" (no other), "embedded",
    "random", or the path of a weights file. Official ones are kept in the store of `home`.
    url: of the official ones, in place of Keras's.
    Raises TrainingError when the file is missing, damaged or cannot be downloaded.
    """
    network = BACKBONES[backbone]
    if choice == "random":
        return Weights("random", None, "", "Random weights were used, as asked.", backbone)
    if choice == "embedded":
        said = "The embedded ImageNet copy, trained at 224 px, was used, as asked."
        return _embedded(network, said, "It has no embedded copy")
    if choice not in CHOICES:
        return _given(Path(choice).expanduser(), backbone)
    try:
        found = Store(home).obtain(recipe(network, url))
    except (SourceError, ValueError) as error:
        problem = error.problem if isinstance(error, SourceError) else f"{error}."
        if choice == "official":
            raise _missing(network, f"They could not be downloaded: {problem}") from error
        note = (
            f"Official 160 px weights could not be downloaded ({problem.rstrip('.')}); "
            "the embedded copy, trained at 224 px, was used."
        )
        embedded = _embedded(network, note, f"They could not be downloaded: {problem}")
        log.warning(note)
        return embedded
    size = "160 px " if backbone == DEFAULT_BACKBONE else ""
    note = f"Official {size}weights, downloaded from {found.url}."
    return Weights("official", found.file(found.NAME), found.sha256, note, backbone)


def own_weights(weights: Weights | None, *, home: Path) -> Weights | None:
    """The same weights where this machine has them. Raises TrainingError when it has none."""
    if weights is None or weights.file is None or weights.file.exists():
        return weights
    choice = str(weights.file) if weights.source == "path" else weights.source
    return find_weights(choice, home=home, backbone=weights.backbone)


def recipe(backbone: Backbone, url: str | None = None) -> Recipe[OfficialWeights]:
    """How the official weights of a backbone are fetched.

    Raises, to make it, SourceError, and ValueError when what came is not that file.
    """
    place = url or backbone.url
    size = None if backbone.checksum else OFFICIAL_BYTES

    def make(folder: Path) -> Mapping[str, Any]:
        file = folder / OfficialWeights.NAME
        Download(WebFile(place, TIMEOUT), file, size, attempts=1).run()
        try:
            sha256 = _hdf5_digest(file)
            _check(file, backbone.checksum)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
        log.info("Fetched %s: SHA-256 %s", place, sha256)
        return {"url": place, "sha256": sha256}

    # No code: the bytes are those that were served, whatever fetched them.
    key = make_key(code=(), url=place, bytes=size, checksum=backbone.checksum)
    return Recipe(OfficialWeights, key, make)


def _check(file: Path, checksum: str) -> None:
    """Raises ValueError where a file has another MD5 or SHA-256 than it should have."""
    algorithm = "md5" if len(checksum) == MD5_DIGITS else "sha256"
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, algorithm).hexdigest()
    if checksum and found != checksum:
        raise ValueError(f"it has the checksum {found}, and Keras names {checksum}")


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
            f"{path} does not fit {base.backbone.application} without top ({reason}).",
            "Give another file, or choose --weights auto or another --backbone.",
        ) from error


def _given(path: Path, backbone: str) -> Weights:
    remedy = f"Give the path of an HDF5 weights file, or one of: {', '.join(CHOICES)}."
    try:
        if path.suffix not in KERAS_SUFFIXES:
            raise ValueError("Keras reads only names that end in .weights.h5 or .h5")
        digest = _hdf5_digest(path)
    except ValueError as error:
        raise TrainingError(f"{path} cannot be used as weights ({error}).", remedy) from error
    note = f"The weights in {path.name} were used."
    return Weights("path", path.absolute(), digest, note, backbone)


def _embedded(backbone: Backbone, note: str, otherwise: str) -> Weights:
    """The embedded copy. otherwise: what to say where the backbone has none."""
    if backbone.name != DEFAULT_BACKBONE:
        raise _missing(backbone, otherwise)
    path = Path(str(files("catdog") / "data" / EMBEDDED_NAME))
    found = file_digest(path) if path.is_file() else "missing"
    if found != EMBEDDED_SHA256:
        raise TrainingError(
            f"The embedded weights {path} are damaged (SHA-256 {found}).", "Install catdog again."
        )
    return Weights("embedded", path, found, note)


def _missing(backbone: Backbone, why: str) -> TrainingError:
    own = backbone.name == DEFAULT_BACKBONE
    other = "--weights auto or embedded" if own else f"--backbone {DEFAULT_BACKBONE}, embedded here"
    return TrainingError(
        f"There are no ImageNet weights of {backbone.name}. {why.rstrip('.')}.",
        f"Check the network, fetch {backbone.url} elsewhere and give --weights its path, "
        f"or choose {other}.",
    )


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
