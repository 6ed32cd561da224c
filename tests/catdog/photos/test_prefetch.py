import csv
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catdog.errors import PhotosError
from catdog.photos.prefetch import recipe
from catdog.photos.reading import read_photo, resize
from catdog.settings import Decoding
from catdog.store.artifacts import SPLITS, Arrays, Manifest, Photos
from catdog.store.store import Recipe, Store

SIZE = 32
DECODING = Decoding(image_size=SIZE)
HELD_OUT = {"train": 5, "validation": 3, "test": 2}
"""Photos of each class."""


def draw(root: Path) -> None:
    rng = np.random.default_rng(3)
    for split, count in HELD_OUT.items():
        for label in ("Кошки", "собаки и др"):
            for number in range(count):
                path = root / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                shape = (*rng.integers(9, 40, 2), 3)
                Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)


def write_csv(path: Path, header: str, rows: Iterable[Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def listed(root: Path, store: Store) -> tuple[Photos, Manifest]:
    """Photos and a manifest whose splits are the folders."""
    rows = [
        (path.relative_to(root).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(root.rglob("*.png"))
    ]

    def photos(folder: Path) -> dict[str, Any]:
        write_csv(folder / "photos.csv", "path,bytes,sha256", [(p, 1, s) for p, s in rows])
        return {"origin": "drawn", "root": root, "inventory": "0", "count": len(rows)}

    def manifest(folder: Path) -> dict[str, Any]:
        table = [(path, path.split("/")[1], path.split("/")[0], sha256) for path, sha256 in rows]
        write_csv(folder / "manifest.csv", "path,label,split,sha256", table)
        classes = tuple(sorted({row[1] for row in table}))
        return {"classes": classes, "counts": {}, "rejected": 0, "duplicates": 0}

    return store.obtain(Recipe(Photos, "p", photos)), store.obtain(Recipe(Manifest, "m", manifest))


def prefetch(photos: Photos, manifest: Manifest, store: Store) -> Arrays:
    return store.obtain(recipe(photos, manifest, DECODING))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw(tmp_path / "photos")
    return tmp_path / "photos"


def test_every_photo_is_resized_into_its_place(root: Path, store: Store) -> None:
    photos, manifest = listed(root, store)
    arrays = prefetch(photos, manifest, store)
    assert arrays.counts == {split: 2 * count for split, count in HELD_OUT.items()}
    assert (arrays.classes, arrays.image_size) == (manifest.classes, SIZE)
    for split in SPLITS:
        images, labels = arrays.images(split), arrays.labels(split)
        paths = arrays.paths(split)
        assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
        assert images.shape == (len(paths), SIZE, SIZE, 3) == (2 * HELD_OUT[split], SIZE, SIZE, 3)
        for path, image, label in zip(paths, images, labels, strict=True):
            assert path.split("/")[:2] == [split, arrays.classes[label]]
            np.testing.assert_array_equal(image, resize(read_photo(root / path), SIZE))


def test_images_are_mapped_and_cannot_be_changed(root: Path, store: Store) -> None:
    images = prefetch(*listed(root, store), store).images("train")
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_the_same_photos_are_resized_once_for_each_size(root: Path, store: Store) -> None:
    photos, manifest = listed(root, store)
    first = prefetch(photos, manifest, store)
    assert first.key == recipe(photos, manifest, DECODING).key
    (root / "train" / "Кошки" / "0.png").unlink()
    assert prefetch(photos, manifest, store) == first
    assert recipe(photos, manifest, Decoding(image_size=2 * SIZE)).key != first.key


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_a_photo_that_is_not_as_it_was_leaves_nothing_behind(
    root: Path, store: Store, change: Any
) -> None:
    photos, manifest = listed(root, store)
    change(root / "validation" / "Кошки" / "1.png")
    with pytest.raises(PhotosError, match=r"Кошки.1\.png"):
        prefetch(photos, manifest, store)
    assert store.find(type(manifest), "m") == manifest
    assert not list((store.home / "work").rglob("*.npy"))
    assert not list((store.home / "store" / "arrays").glob("*"))
