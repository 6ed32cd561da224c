"""Decode and resize every photo once, into arrays that training maps into memory."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catdog.photos.folds import assign_folds
from catdog.photos.reading import in_threads, read_verified, reading_photo, resize
from catdog.settings import Decoding, Folding
from catdog.store.artifacts import ALL, SPLITS, Arrays, Manifest, Photos, write_csv
from catdog.store.digest import make_key
from catdog.store.store import Recipe


def recipe(
    photos: Photos, manifest: Manifest, decoding: Decoding, folding: Folding | None = None
) -> Recipe[Arrays]:
    """How the manifest's photos become arrays, resized to a square.

    Memory does not grow with the number of photos: each is written straight to its place on disk.

    folding: for cross-validation; the splits are then those that `Arrays.hold_out` chooses.
    To make it raises PhotosError when a photo is gone or has changed since the manifest was made,
    or a class has too few pictures for the folds.
    """
    folding = folding if folding and folding.folds else None
    key = make_key(
        code=(__name__,),
        libraries=("numpy", "pillow"),
        manifest=manifest.content,
        folding=folding.model_dump() if folding else None,
        **decoding.model_dump(),
    )
    size = decoding.image_size
    return Recipe(Arrays, key, lambda folder: _write(folder, photos, manifest, size, folding))


def _write(
    folder: Path, photos: Photos, manifest: Manifest, size: int, folding: Folding | None
) -> Mapping[str, Any]:
    rows = manifest.rows()
    columns: tuple[str, ...] = ("path", "label")
    if folding:
        fold = assign_folds(manifest, folding, photos.origin)
        rows = [row | {"fold": str(fold[row["path"]])} for row in rows]
        splits, columns = {ALL: rows}, (*columns, "fold")
    else:
        splits = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    for split, chosen in splits.items():
        _write_images(folder / f"{split}_images.npy", photos.folder, chosen, size)
        labels = [manifest.classes.index(row["label"]) for row in chosen]
        np.save(folder / f"{split}_labels.npy", np.array(labels, dtype=np.int32))
        table = ([row[column] for column in columns] for row in chosen)
        write_csv(folder / f"{split}_photos.csv", columns, table)
    return {
        "classes": manifest.classes,
        "image_size": size,
        "counts": {split: len(chosen) for split, chosen in splits.items()},
        "folds": folding.folds if folding else None,
    }


def _write_images(target: Path, root: Path, rows: Sequence[Mapping[str, str]], size: int) -> None:
    shape = (len(rows), size, size, 3)
    images = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=shape)
    _reserve(target)

    def write(place: int) -> None:
        path, sha256 = rows[place]["path"], rows[place]["sha256"]
        with reading_photo(read_verified(root / path, sha256), path) as (photo, _):
            images[place] = resize(photo, size)

    in_threads(write, range(len(rows)))
    images.flush()


def _reserve(target: Path) -> None:
    """Claim the space now: on a full disk, writing to a memory map would kill the process."""
    if hasattr(os, "posix_fallocate"):
        with target.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, target.stat().st_size)
