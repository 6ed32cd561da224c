"""Files and folders that a user names stand for the photos in them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catdog.errors import PhotosError
from catdog.sources.named_photos import find_photos

TEXT = "not a photo"


def save(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path)
    return path


def test_a_folder_stands_for_the_photos_in_it_sorted(tmp_path: Path) -> None:
    names = ["b.jpg", "a/2.PNG", "a/1.webp", "c d/ü.jpeg"]
    for name in names:
        save(tmp_path / "folder" / name)
    (tmp_path / "folder" / "notes.txt").write_text(TEXT)
    save(tmp_path / "folder" / "__MACOSX" / "1.jpg")
    save(tmp_path / "folder" / "._b.jpg")
    single = save(tmp_path / "z.jpg")
    found = find_photos([single, tmp_path / "folder"])
    assert found == [single, *sorted(tmp_path / "folder" / name for name in names)]


def test_a_file_is_tried_whatever_it_is_called(tmp_path: Path) -> None:
    odd = tmp_path / "photo.dat"
    odd.touch()
    assert find_photos([odd]) == [odd]


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match=r"nowhere\.jpg is not a file or folder here"):
        find_photos([save(tmp_path / "a.jpg"), tmp_path / "nowhere.jpg"])


def test_a_folder_without_photos_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(TEXT)
    with pytest.raises(PhotosError, match="holds no photos"):
        find_photos([tmp_path])


def test_a_folder_that_is_called_like_a_photo_is_no_photo(tmp_path: Path) -> None:
    inside = save(tmp_path / "folder.jpg" / "a.jpg")
    assert find_photos([tmp_path]) == [inside]
