"""Which photos a folder holds."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pets import NAMES, Fetcher, as_folder, listed, zipped

from catdog.errors import SourceError


def test_every_kind_of_photo_and_name(tmp_path: Path, get: Fetcher) -> None:
    names = sorted(
        ["Кошки/мой кот.JPG", "犬/ポチ.jpeg", "a b/c.Png", "a b/e\u0301.webp", "a b/é.gif"]
        + [f"a b/x, y'{suffix}" for suffix in (".bmp", ".tif", ".TIFF")]
    )
    folder = as_folder(tmp_path / "pets", names)
    as_folder(folder, ["notes.txt", "a b/.hidden.jpg", "__MACOSX/x.jpg", ".cache/x.jpg", "a b/jpg"])
    found = get(str(folder))
    assert listed(found) == names
    assert found.note.endswith("left out: 1 of .txt, 1 of no suffix.")


def test_files_of_a_kind_that_is_not_read_are_never_left_out_in_silence(
    tmp_path: Path, get: Fetcher
) -> None:
    folder = as_folder(tmp_path / "pets", ["cats/a.jpg", "dogs/b.jfif"])
    first = get(str(folder))
    assert listed(first) == ["cats/a.jpg", "dogs/b.jfif"]
    assert first.note == ""
    as_folder(folder, ["cats/c.HEIC", "dogs/d.heic"])
    second = get(str(folder))
    assert "2 of .heic" in second.note
    assert second.inventory == first.inventory


def test_a_linked_class_folder_counts_and_a_circle_ends(tmp_path: Path, get: Fetcher) -> None:
    folder = as_folder(tmp_path / "pets", ["cats/a.jpg"])
    as_folder(tmp_path / "elsewhere", ["b.jpg"])
    (folder / "dogs").symlink_to(tmp_path / "elsewhere")
    (folder / "cats" / "circle").symlink_to(folder)
    assert listed(get(str(folder))) == ["cats/a.jpg", "dogs/b.jpg"]


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (["cats/a.jpg", "dogs/b.jpg"], ""),
        (["pets/cats/a.jpg", "pets/dogs/b.jpg"], "pets"),
        (["x/pets/train/cats/a.jpg", "x/pets/validation/cats/b.jpg"], "x/pets"),
        (["pets/train/cats/a.jpg", "pets/train/dogs/b.jpg"], "pets"),
        (["cats/a.jpg"], ""),
        (["pets/cats/a.jpg"], "pets"),
        (["pets/a.jpg", "pets/cats/b.jpg"], ""),
        (["a.jpg"], ""),
        (["cats/a.jpg", "cats 2/b.jpg"], ""),
    ],
)
def test_wrappers_are_left_out_but_no_split_or_class(
    tmp_path: Path, get: Fetcher, names: list[str], root: str
) -> None:
    folder = as_folder(tmp_path / "source", names)
    assert get(str(folder)).folder == folder / root


@pytest.mark.parametrize("names", [[], ["notes.txt", "cats/.a.jpg"]])
def test_a_folder_without_photos(tmp_path: Path, get: Fetcher, names: list[str]) -> None:
    folder = as_folder(tmp_path / "pets", names)
    folder.mkdir(exist_ok=True)
    with pytest.raises(SourceError, match=r"pets holds no photo files.*one folder per class"):
        get(str(folder))


def test_a_name_that_is_no_utf8(tmp_path: Path, get: Fetcher) -> None:
    (tmp_path / "cats").mkdir()
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "cats") + b"/\xff.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("this disk has only UTF-8 names")
    with pytest.raises(SourceError, match=r"not valid UTF-8.*Rename it"):
        get(str(tmp_path / "cats"))


def test_a_photo_that_cannot_be_read(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = as_folder(tmp_path / "pets", NAMES)
    real = Path.open

    def opened(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == Path(NAMES[0]).name:  # Permissions do not stop root.
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(SourceError, match=r"cats 0\.jpg cannot be read \(Permission denied\)"):
        get(str(folder))


def test_an_unchanged_folder_is_read_once(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = as_folder(tmp_path / "pets", NAMES)
    real, opened = Path.open, []

    def counting(path: Path, *args: Any, **options: Any) -> Any:
        opened.append(path)
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", counting)
    get.key(str(folder))
    get(str(folder))
    assert sum(path.is_relative_to(folder) for path in opened) == len(NAMES)


def test_photos_a_thousand_folders_deep_are_found(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = as_folder(tmp_path / "pets", ["cats/a.jpg", "dogs/b.jpg"])
    deep = folder / "cats" / Path(*"d" * 1_200)
    subprocess.run(["mkdir", "-p", deep], check=True)  # noqa: S603, S607  Path calls itself
    (deep / "c.jpg").write_bytes(b"c")
    try:
        assert len(listed(get(str(folder)))) == 3
    finally:
        subprocess.run(["rm", "-r", folder], check=True)  # noqa: S603, S607


@pytest.mark.parametrize(
    ("place", "char"),
    [("ca{}ts/a.jpg", char) for char in "\n\r\v\f\t\x1b\x1c\x7f\x85\u2028\u2029"]
    + [("cats/a{}.jpg", "\n"), ("pets{}/cats/a.jpg", "\n")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_name_that_would_end_a_row_or_steer_a_terminal_is_named(
    tmp_path: Path, get: Fetcher, place: str, char: str, packed: bool
) -> None:
    names = [place.format(char), "dogs/b.jpg"]
    source = tmp_path / "pets.zip" if packed else as_folder(tmp_path / "pets", names)
    if packed:
        source.write_bytes(zipped(names, ""))
    with pytest.raises(SourceError, match=r"control character.*Rename it") as caught:
        get(str(source))
    assert str(caught.value).startswith(f"{source}: ")
    shown = char.encode("unicode_escape").decode()
    assert place.format(shown) in caught.value.problem
    assert len(str(caught.value).splitlines()) == 1


def test_the_name_of_a_file_that_is_no_photo_may_be_odd(tmp_path: Path, get: Fetcher) -> None:
    folder = as_folder(tmp_path / "pets", ["cats/a.jpg", "dogs/b.jpg", "Icon\r", "c.\n"])
    assert get(str(folder)).note.endswith("1 of no suffix, 1 of .\\n.")
