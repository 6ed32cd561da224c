"""Decode and resize every photo once, into arrays that training maps into memory."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.photos.reading import in_threads, read_photo, read_verified, resize
from catdog.settings import Decoding
from catdog.store.artifacts import SPLITS, Arrays, Manifest, Photos, write_csv
from catdog.store.digest import make_key
from catdog.store.store import Recipe

Row = Mapping[str, str]


def recipe(photos: Photos, manifest: Manifest, decoding: Decoding) -> Recipe[Arrays]:
    """How the manifest's photos become arrays, resized to a square.

    Memory does not grow with the number of photos: each is written straight to its place on disk.
    To make it raises PhotosError when a photo is gone or has changed since the manifest was made.
    """
    key = make_key(
        code=(__name__,),
        libraries=("numpy", "pillow"),
        manifest=manifest.content,
        **decoding.model_dump(),
    )
    size = decoding.image_size
    return Recipe(Arrays, key, lambda folder: _write(folder, photos.folder, manifest, size))


def _write(folder: Path, root: Path, manifest: Manifest, size: int) -> Mapping[str, Any]:
    rows = manifest.rows()
    counts = {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        _write_images(folder / f"{split}_images.npy", root, chosen, size)
        labels = [manifest.classes.index(row["label"]) for row in chosen]
        np.save(folder / f"{split}_labels.npy", np.array(labels, dtype=np.int32))
        paths = ((row["path"], row["label"]) for row in chosen)
        write_csv(folder / f"{split}_photos.csv", ("path", "label"), paths)
        counts[split] = len(chosen)
    return {"classes": manifest.classes, "image_size": size, "counts": counts}


def _write_images(target: Path, root: Path, rows: Sequence[Row], size: int) -> None:
    shape = (len(rows), size, size, 3)
    images = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(target)
    in_threads(partial(_write_image, images, root), list(enumerate(rows)))
    images.flush()


def _write_image(images: npt.NDArray[np.uint8], root: Path, item: tuple[int, Row]) -> None:
    place, row = item
    data = read_verified(root / row["path"], row["sha256"])
    images[place] = resize(read_photo(data, row["path"]), images.shape[1])


def _reserve(target: Path) -> None:
    """Claim the space now: on a full disk, writing to a memory map would kill the process."""
    if hasattr(os, "posix_fallocate"):
        with target.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, target.stat().st_size)
