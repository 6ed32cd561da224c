"""Damage of all kinds to small real files: a right result or one line, and soon."""

import bz2
import gzip
import io
import lzma
import random
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from PIL import Image

from catdog.errors import CatdogError
from catdog.photos.reading import MAX_PIXELS, read_photo, resize
from catdog.sources.archives import extract

MUTATIONS = 2_000
SECONDS = 5
"""For one file, however damaged."""
T = TypeVar("T")
EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutations(data: bytes) -> Iterator[bytes]:
    """The same ones each time: bytes changed, or pieces cut, doubled, moved or blanked."""
    rng = random.Random(len(data))
    for _ in range(MUTATIONS):
        mutant = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            place = rng.choice((rng.randrange(len(data)), rng.randrange(min(512, len(data)))))
            piece = mutant[place : place + rng.choice((1, 4, 12, 100))]
            end = place + len(piece)
            match rng.randrange(6):
                case 0 | 1:
                    mutant[place : place + 1] = bytes([rng.randrange(256)])
                case 2:
                    mutant[place:end] = bytes([rng.choice(EDGES)]) * len(piece)
                case 3:
                    mutant[place:end] = b""
                case 4:
                    mutant[place:place] = piece * rng.choice((1, 2, 50))
                case 5:
                    mutant.extend(piece)
        yield bytes(mutant)


def soon(work: Callable[[], T]) -> T | None:
    """What comes of it in time; None when that is one line for the user."""
    started = time.perf_counter()
    result, line = None, ""
    try:
        result = work()
    except CatdogError as error:
        line = str(error)
    assert time.perf_counter() - started < SECONDS
    assert "\n" not in line
    return result


def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def photo(kind: str, mode: str = "RGB", **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels()).convert(mode).save(file, kind, exif=exif, **options)
    return file.getvalue()


PHOTOS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: photo("JPEG"),
    "progressive JPEG": lambda: photo("JPEG", progressive=True),
    "PNG": lambda: photo("PNG"),
    "palette PNG": lambda: photo("PNG", "P"),
    "WEBP": lambda: photo("WEBP"),
    "lossless WEBP": lambda: photo("WEBP", lossless=True),
    "GIF": lambda: photo("GIF", "P"),
    "BMP": lambda: photo("BMP"),
    "TIFF": lambda: photo("TIFF"),
    "LZW TIFF": lambda: photo("TIFF", "LA", compression="tiff_lzw"),
    "JPEG in TIFF": lambda: photo("TIFF", compression="jpeg"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PHOTOS)
def test_a_damaged_photo_is_read_or_set_aside(kind: str) -> None:
    for data in mutations(PHOTOS[kind]()):
        image = soon(partial(read_photo, data))
        if image:
            assert image.mode == "RGB"
            assert image.width * image.height <= MAX_PIXELS
            assert resize(image, 8).shape == (8, 8, 3)


FILES = {"cats/a.jpg": b"cat" * 50, f"dogs/{'ä' * 60}.jpg": bytes(range(256)) * 3}


def zipped(method: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(form: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def with_right_checksums(data: bytes) -> bytes:
    """A tar whose damaged headers do not show it."""
    mended = bytearray(data)
    for start in range(0, len(mended) - 511, 512):
        if mended[start + 257 : start + 262] == b"ustar":
            mended[start + 148 : start + 156] = b" " * 8
            mended[start + 148 : start + 156] = b"%06o\0 " % sum(mended[start : start + 512])
    return bytes(mended)


CHECKED: dict[str, Callable[[], bytes]] = {
    "stored zip": lambda: zipped(zipfile.ZIP_STORED),
    "deflated zip": lambda: zipped(zipfile.ZIP_DEFLATED),
    "LZMA zip": lambda: zipped(zipfile.ZIP_LZMA),
    "tar.gz": lambda: gzip.compress(tarred(), mtime=0),
    "tar.bz2": lambda: bz2.compress(tarred()),
    "tar.xz": lambda: lzma.compress(tarred()),
}
UNCHECKED = {
    "pax tar": tarred,
    "GNU tar": lambda: tarred(tarfile.GNU_FORMAT),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*CHECKED, *UNCHECKED])
def test_a_damaged_archive_is_unpacked_or_refused(tmp_path: Path, kind: str) -> None:
    archive, folder = tmp_path / "archive", tmp_path / "out"
    if kind in CHECKED:
        mutants = mutations(CHECKED[kind]())
    else:
        mutants = map(with_right_checksums, mutations(UNCHECKED[kind]()))
    for data in mutants:
        archive.write_bytes(data)
        folder.mkdir()
        if soon(lambda: extract(archive, folder) is None) and kind in CHECKED:
            found = {path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            # A zip whose directory has zeros for the checksum and both sizes tells of empty files.
            assert found <= {*FILES.values(), b""}
        shutil.rmtree(folder)
        assert [path.name for path in tmp_path.iterdir()] == ["archive"]
