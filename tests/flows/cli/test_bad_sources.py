"""What bad photos, archives, disks and networks get for an answer, and that they leave nothing."""

import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_command import (
    Command,
    assert_one_clear_line,
    empty_folder,
    folder,
    photo,
)
from limits import files_up_to
from PIL import Image

from catdog.store.housekeeping import interrupted_items, stored_items
from catdog.store.store import Store
from flows.server.private import free_port


def users_files(root: Path, home: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if not path.is_relative_to(home))


def assert_nothing_half_made(home: Path) -> None:
    store = Store(home)
    assert stored_items(store) == []
    assert interrupted_items(store) == []
    assert [path for path in home.rglob("*") if "making" in path.parts and path.is_file()] == []


def huge_png() -> bytes:
    """The header of a picture of 30,000 x 30,000 pixels."""
    small = io.BytesIO()
    Image.new("L", (1, 1)).save(small, "PNG")
    data = bytearray(small.getvalue())
    data[16:24] = (30_000).to_bytes(4) * 2

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    return bytes(data)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def good_members() -> dict[str, bytes]:
    members = {}
    for number in range(24):
        data = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(data, "JPEG")
        members[f"{('cats', 'dogs')[number % 2]}/{number}.jpg"] = data.getvalue()
    return members


def one_class(root: Path) -> Path:
    return folder(root, cats=9)


def too_few(root: Path) -> Path:
    return folder(root, cats=12, dogs=1)


def no_good_photo_of_a_class(root: Path) -> Path:
    folder(root, cats=12)
    for number in range(12):
        (root / "dogs").mkdir(exist_ok=True)
        (root / "dogs" / f"{number}.jpg").write_bytes(b"")
    return root


def no_class_folders(root: Path) -> Path:
    photo(root / "1.jpg", 1)
    return root


def leading_out(root: Path) -> Path:
    return zipped(root.with_suffix(".zip"), {"../out.jpg": b"1", **good_members()})


def absolute(root: Path) -> Path:
    return zipped(root.with_suffix(".zip"), {"/etc/out.jpg": b"1", **good_members()})


def with_a_link(root: Path) -> Path:
    path = root.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, content in good_members().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("cats/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def bomb(root: Path) -> Path:
    return zipped(root.with_suffix(".zip"), {"cats/1.jpg": bytes(30_000_000), **good_members()})


def truncated(root: Path) -> Path:
    path = zipped(root.with_suffix(".zip"), good_members())
    path.write_bytes(path.read_bytes()[:-1_000])
    return path


def no_archive(root: Path) -> Path:
    path = root.with_suffix(".zip")
    path.write_text("this is text")
    return path


def two_lines(root: Path) -> Path:
    return folder(root, **{"ca\nts": 4}, dogs=4)


def two_lines_of_metadata(root: Path) -> Path:
    (folder(root, pets=4) / "metadata.csv").write_text('file_name,label\npets/0.jpg,"ca\u2028ts"\n')
    return root


def missing(root: Path) -> Path:
    return root / "nowhere"


BAD_SOURCES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an empty folder": (empty_folder, "no photo files"),
    "one class only": (one_class, "only one class, 'cats'"),
    "a class with too few photos": (too_few, "'dogs'"),
    "a class of unreadable photos": (no_good_photo_of_a_class, "'dogs'"),
    "no class folders": (no_class_folders, "no class folders"),
    "paths that lead out": (leading_out, "../out.jpg"),
    "absolute paths": (absolute, "/etc/out.jpg"),
    "links": (with_a_link, "cats/link.jpg"),
    "a bomb": (bomb, "unpack"),
    "a truncated archive": (truncated, ""),
    "a text called .zip": (no_archive, ""),
    "a class with a line break": (two_lines, r"'ca\nts/0.jpg' has a control character"),
    "a label with a line break": (
        two_lines_of_metadata,
        r"line 2 of metadata.csv has the label 'ca\u2028ts'",
    ),
    "nothing there": (missing, "is not a file or folder"),
}


@pytest.mark.usefixtures("data_only")
@pytest.mark.parametrize(("make", "words"), BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_a_bad_source_is_one_line_and_leaves_nothing(
    make: Callable[[Path], Path], words: str, command: Command, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    source = make(tmp_path / "photos")
    before = users_files(tmp_path, home)
    answer = command("run", "--source", source)
    assert_one_clear_line(answer, str(source), words)
    store = Store(home)
    assert [item.kind for item in stored_items(store)] in ([], ["photos"])
    assert interrupted_items(store) == []
    assert users_files(tmp_path, home) == before


@pytest.mark.usefixtures("data_only")
def test_bad_photos_cost_no_good_one(command: Command, tmp_path: Path) -> None:
    source = folder(tmp_path / "photos", cats=12, dogs=12)
    good = photo(tmp_path / "whole.jpg", 99, side=120).read_bytes()
    bad = {"cut.jpg": good[: len(good) // 2], "empty.jpg": b"", "text.jpg": b"words"}
    for name, content in (bad | {"huge.png": huge_png()}).items():
        (source / "cats" / name).write_bytes(content)
    answer = command("run", "--source", source, "--image-size", "32")
    assert (answer.code, answer.err) == (0, "")
    assert "24 good, 4 bad" in answer.out


@pytest.mark.usefixtures("data_only")
def test_no_network_is_one_line_that_tells_what_works_without(command: Command, home: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/photos.zip"
    answer = command("run", "--source", url)
    assert_one_clear_line(answer, url, "could not be fetched", "'sample'")
    assert_nothing_half_made(home)


@pytest.mark.usefixtures("data_only")
def test_a_full_disk_is_one_line_and_a_later_run_succeeds(
    command: Command, home: Path, tmp_path: Path
) -> None:
    source = folder(tmp_path / "photos", cats=12, dogs=12)
    with files_up_to(200_000):
        answer = command("run", "--source", source)
    assert_one_clear_line(answer, str(home), "No space left", "catdog cache prune")
    assert [item.kind for item in stored_items(Store(home))] == ["manifest", "photos"]
    assert interrupted_items(Store(home)) == []
    assert command("run", "--source", source).code == 0


@pytest.mark.parametrize("place", ["a file", "below a file", "read-only"])
def test_a_home_that_cannot_be_written_is_one_line(
    place: str, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    home = {"a file": file, "below a file": file / "home", "read-only": locked / "home"}[place]
    if place == "read-only" and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    answer = command("run", "--source", "sample", "--home", home)
    assert_one_clear_line(answer, str(home), "CATDOG_HOME")
    assert file.read_text() == "mine"
