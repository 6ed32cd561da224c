"""The program that is kept with a model of MLflow reads photos as catdog does, to the last bit."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catdog.photos.reading import reading_photo, resize
from catdog.tracking import catdog_answers

SIZE = 48
SIDES = [(48, 48), (31, 77), (160, 91), (1, 3)]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def drawn(side: tuple[int, int], mode: str = "RGBA") -> Image.Image:
    pixels = np.random.default_rng(sum(side)).integers(0, 256, (*side, 4), dtype=np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(drawn((40, 70), "RGB"), "JPEG", exif=exif)


def sixteen_bits() -> bytes:
    values = np.random.default_rng(0).integers(0, 65_536, (30, 50)).astype(np.uint16)
    return encoded(Image.fromarray(values), "PNG")


@pytest.mark.parametrize(
    "content",
    [
        *(encoded(drawn(side), "PNG") for side in SIDES),
        *(encoded(drawn((64, 64), mode), "PNG") for mode in ("RGB", "L", "LA", "P", "1")),
        encoded(drawn((64, 64), "CMYK"), "JPEG"),
        encoded(drawn((64, 64)), "WEBP"),
        turned(),
        sixteen_bits(),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_a_photo_becomes_the_same_pixels(content: bytes) -> None:
    with reading_photo(content) as (photo, _):
        expected = resize(photo, SIZE)
    found = catdog_answers._pixels(catdog_answers._rgb(content), SIZE)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
