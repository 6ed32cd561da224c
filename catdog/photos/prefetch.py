"""Decode and resize every photo once, into arrays that training maps into memory."""

import csv
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.photos.reading import in_threads, read_photo, read_verified, resize
from catdog.store.artifacts import SPLITS, Arrays, Manifest, Photos
from catdog.store.digest import make_key
from catdog.store.store import Store

Row = Mapping[str, str]


def arrays_key(manifest: Manifest, *, image_size: int) -> str:
    """The key of the arrays that `prefetch` makes."""
    return make_key(
        code=("catdog.photos.prefetch",),
        libraries=("numpy", "pillow"),
        manifest=manifest.content,
        image_size=image_size,
    )


def prefetch(photos: Photos, manifest: Manifest, *, image_size: int, store: Store) -> Arrays:
    """The manifest's photos as arrays, resized to image_size x image_size pixels.

    Memory does not grow with the number of photos: each is written straight to its place on disk.
    Raises PhotosError when a photo is gone or has changed since the manifest was made.
    """
    key = arrays_key(manifest, image_size=image_size)
    return store.obtain(
        Arrays, key, lambda folder: _write(folder, photos.folder, manifest, image_size)
    )


def load_images(arrays: Arrays, split: str) -> npt.NDArray[np.uint8]:
    """The photos of a split, n x size x size x 3 in RGB, mapped into memory read-only."""
    images: npt.NDArray[np.uint8] = np.load(arrays.file(f"{split}_images.npy"), mmap_mode="r")
    return images


def load_labels(arrays: Arrays, split: str) -> npt.NDArray[np.int32]:
    """The classes of a split's photos, as indices into `arrays.classes`."""
    labels: npt.NDArray[np.int32] = np.load(arrays.file(f"{split}_labels.npy"))
    return labels


def load_paths(arrays: Arrays, split: str) -> list[str]:
    """The paths of a split's photos, relative to the folder of the photos."""
    return [row["path"] for row in _read_csv(arrays.file(f"{split}_photos.csv"))]


def _write(folder: Path, root: Path, manifest: Manifest, size: int) -> Mapping[str, Any]:
    rows = _read_csv(manifest.file("manifest.csv"))
    counts = {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        _write_images(folder / f"{split}_images.npy", root, chosen, size)
        labels = [manifest.classes.index(row["label"]) for row in chosen]
        np.save(folder / f"{split}_labels.npy", np.array(labels, dtype=np.int32))
        _write_paths(folder / f"{split}_photos.csv", chosen)
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


def _write_paths(target: Path, rows: Sequence[Row]) -> None:
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label"))
        writer.writerows((row["path"], row["label"]) for row in rows)


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
