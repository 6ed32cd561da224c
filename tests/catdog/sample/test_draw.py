"""The drawn photos: the same everywhere, balanced, and no give-away but the animal."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catdog.sample.animals import CAT, DOG, Coat
from catdog.sample.draw import LONGEST, SHORTEST, SPECIES, draw, photo
from catdog.store.digest import file_digest


def digests(folder: Path) -> dict[str, str]:
    paths = folder.rglob("*.jpg")
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    draw(folder, train=8, validation=4, seed=3)
    return folder


def test_classes_are_balanced_in_both_splits(drawn: Path) -> None:
    counts = {
        f"{split}/{label}": len(list((drawn / split / label).iterdir()))
        for split in ("train", "validation")
        for label in ("cats", "dogs")
    }
    assert counts == {"train/cats": 4, "train/dogs": 4, "validation/cats": 2, "validation/dogs": 2}


def test_an_odd_photo_is_a_cat(tmp_path: Path) -> None:
    draw(tmp_path, train=1, validation=0, seed=0)
    assert list(digests(tmp_path)) == ["train/cats/drawn-cat-0001.jpg"]


def test_same_seed_draws_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    draw(tmp_path, train=8, validation=4, seed=3)
    assert digests(tmp_path) == digests(drawn)


def test_fewer_photos_are_the_first_of_more(drawn: Path, tmp_path: Path) -> None:
    draw(tmp_path, train=4, validation=2, seed=3)
    assert digests(tmp_path).items() < digests(drawn).items()


def test_every_photo_is_different(drawn: Path, tmp_path: Path) -> None:
    draw(tmp_path, train=2, validation=2, seed=4)
    every = [*digests(drawn).values(), *digests(tmp_path).values()]
    assert len(set(every)) == len(every)


def test_photos_are_colour_jpegs_of_photo_like_sizes(drawn: Path) -> None:
    sizes = set()
    for path in drawn.rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert SHORTEST <= min(image.size) <= max(image.size) <= LONGEST
            sizes.add(image.size)
    assert len(sizes) > 6


@pytest.mark.parametrize("measure", [lambda image: image.width, lambda image: image.height])
def test_size_does_not_tell_the_class(measure: Callable[[Image.Image], int]) -> None:
    def sizes(species: str) -> list[int]:
        return [measure(photo(species, np.random.default_rng(seed))) for seed in range(4)]

    assert sizes("cat") == sizes("dog")


def test_coat_does_not_tell_the_class() -> None:
    coats = [Coat.draw(np.random.default_rng(seed)) for seed in range(50)]
    assert len({coat.base for coat in coats}) > 20
    assert {coat.marking for coat in coats} == {"plain", "striped", "patched", "blazed"}


def test_cats_and_dogs_differ_in_form() -> None:
    assert CAT != DOG
    cat, dog = (np.asarray(photo(species, np.random.default_rng(5))) for species in SPECIES)
    assert cat.shape == dog.shape
    assert np.abs(cat.astype(int) - dog).mean() > 2
