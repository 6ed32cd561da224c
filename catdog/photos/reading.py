"""Read one photo: whole, upright, in RGB; and resize it as Keras does."""

import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from catdog.errors import PhotosError
from catdog.machine import available_cores

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What cameras and the web make; Pillow's rarer decoders (PostScript, ...) only add risk."""
MAX_PIXELS = 2**28 // 3
"""256 MiB as RGB: above every common camera, and where Pillow too suspects an attack."""
MAX_SIDE = 65_535
"""What a JPEG can have. To resize a line of 89 million pixels takes 40 GB."""
MAX_SCANS = 100
"""Of a progressive JPEG, each of which goes over all pixels; libjpeg makes 10, libtiff reads 100
(LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER)."""
MAX_SCANS_OF_LARGEST = 20
"""Of one with MAX_PIXELS, and in between by size: 3 seconds where the scans are plain."""
MAX_SEGMENTS = 1_000
"""Of a JPEG. A phone's photo with a depth map in its metadata has about 100."""
MAX_PARTS_OF_HEAD = 4_096
"""Of a file, before its pixels: Pillow reads up to four for a segment, chunk or tag, and one for
each byte between them, of which 30 MB take it 10 seconds. Photos have about 50. Segments of EXIF,
which Pillow joins, can take 2 seconds in 32 MiB."""
MAX_PARTS = 100_000
"""Of a whole file: a PNG of 200 MB in libpng's chunks of 8 KiB."""
BYTES_A_PIXEL = 12
"""What reading one takes at the most: 4 bytes a channel."""
BYTES_A_PIXEL_OF_WEBP = 24
"""libwebp holds two frames, and Pillow a third and the file again: a WebP may be an animation."""
MEMORY = 2**28 * max(4, available_cores())
"""Bytes that the photos which all threads read at a moment take together: 256 MiB a core, in which
a photo of 22 megapixels never waits, and at least 1 GiB, in which the largest has room. A WebP of
more than 44 megapixels may need more, and is read alone."""
STRIP = 2**20
"""Pixels that are converted at a time."""
CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\f\r"))
"""Bytes that text does not have, and the head of a picture does."""

_JPEG = b"\xff\xd8"
_SCAN = b"\xda"
_END = b"\xd9"
_WITHOUT_LENGTH = (b"\x01", b"\xc8", b"\xd8", _END, *(bytes([code]) for code in range(0xF0, 0xFE)))
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
"""Zero, and the restarts that are left out here, stand within a scan. Any number of FF may stand
before it: repeated here, it would be tried from each of them."""

T = TypeVar("T")
R = TypeVar("R")
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


class UnreadablePhotoError(PhotosError):
    """One file that is no photo, or is not a whole one; `reason` is short enough for a table."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be read as a photo: {reason}.", "Replace or remove it.")
        self.reason = reason


def read_photo(source: Path | bytes, name: str | None = None) -> Image.Image:
    """A photo as an upright RGB image, decoded to its last row.

    EXIF orientation is applied; CMYK, grey, palette and 16-bit pixels are converted, transparent
    ones laid over white; of an animation it is the first frame. Colour profiles are ignored, as
    TensorFlow's decoders do.

    source: a file, or a file's bytes. name: what errors call it; the path when None.
    Raises UnreadablePhotoError when it cannot be decoded whole, has more than MAX_PIXELS or
    MAX_SIDE, or is in so many parts or scans that they would take very long.
    """
    with reading_photo(source, name) as (image, _):
        return image


@contextmanager
def reading_photo(
    source: Path | bytes, name: str | None = None, *, max_pixels: int = MAX_PIXELS
) -> Iterator[tuple[Image.Image, str]]:
    """As `read_photo`, with Pillow's name of the kind of pixels in the file, such as "CMYK".

    A photo waits until what other threads read leaves it room in MEMORY, and keeps that room until
    the body ends. max_pixels: MAX_PIXELS or less.
    """
    shown = name or ("photo" if isinstance(source, bytes) else str(source))
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise UnreadablePhotoError(shown, (error.strerror or str(error)).lower()) from error
    image = _open(data, shown, max_pixels)
    mode = image.mode
    size = BYTES_A_PIXEL_OF_WEBP if image.format == "WEBP" else BYTES_A_PIXEL
    with _ROOM.taking(image.width * image.height * size):
        image = upright_rgb(image, shown)  # that of the file is not kept meanwhile
        yield image, mode


class Room:
    """So much memory, of which threads take what they need, in turn, and wait until it is free."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Take so much while the body runs; who needs more than there is takes all of it."""
        share = min(size, self._size)
        with self._turn, self._changed:  # who waits is not overtaken by those who need less
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify()


_ROOM = Room(MEMORY)


def upright_rgb(image: Image.Image, name: str = "photo") -> Image.Image:
    """An opened picture as `read_photo` gives it. Raises UnreadablePhotoError as that does."""
    try:
        image.load()
        with suppress(Exception):  # Damaged EXIF data says nothing about the picture itself.
            ImageOps.exif_transpose(image, in_place=True)
        return _rgb(image, name)
    except UnreadablePhotoError:
        raise
    except Exception as error:  # decoders raise all kinds; the file is to blame
        truncated = "truncated" in str(error).lower()
        reason = f"{'truncated' if truncated else 'damaged'} {image.format or 'picture'}"
        raise UnreadablePhotoError(name, reason) from error


def read_verified(path: Path, sha256: str) -> bytes:
    """The bytes of a photo file, which must still be those that the inventory saw.

    Raises PhotosError when the file has changed since, is gone or may not be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PhotosError(
            f"{path} cannot be read any more ({error.strerror}).",
            "Check that the photos are still there, and run again.",
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PhotosError(
            f"{path} has changed since the photos were listed.",
            "Leave the photos alone while catdog reads them, and run again.",
        )
    return data


def in_threads(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Apply a function to each item, in order; decoders free the GIL, so threads are enough."""
    with ThreadPoolExecutor(available_cores(), "photos") as pool:
        return list(pool.map(function, items))


def resize(photo: Image.Image | npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """The photo (RGB, or height x width x 3) as uint8, size x size x 3, its sides stretched to fit.

    Bilinear with half-pixel centres and without antialiasing, then rounded: what Keras's
    `image_dataset_from_directory` does through `tf.image.resize`. Source of the formula:
    TensorFlow, compute_interpolation_weights with HalfPixelScaler (image_resizer_state.h).
    """
    pixels = np.asarray(photo)
    top, bottom, down = _neighbours(pixels.shape[0], size)
    left, right, across = _neighbours(pixels.shape[1], size)

    def line(rows: Indices) -> Floats:
        lines = pixels.take(rows, axis=0)
        return _blend(lines.take(left, axis=1), lines.take(right, axis=1), across[None, :, None])

    return np.rint(_blend(line(top), line(bottom), down[:, None, None])).astype(np.uint8)


def _neighbours(length: int, size: int) -> tuple[Indices, Indices, Floats]:
    """Indices of the two source pixels around each target pixel, and the second one's weight."""
    scale = np.float32(length) / np.float32(size)
    position = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(position)
    first = np.maximum(floor, 0).astype(np.intp)
    second = np.minimum(np.ceil(position), length - 1).astype(np.intp)
    return first, second, position - floor


def _blend(a: npt.NDArray[Any], b: npt.NDArray[Any], weight: Floats) -> Floats:
    """Go from a to b by this weight; in place, because most of the time goes into memory."""
    first, second = a.astype(np.float32), b.astype(np.float32)
    second -= first
    second *= weight
    first += second
    return first


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    if not data:
        raise UnreadablePhotoError(name, "empty file")
    file = _Parts(data, name)
    try:
        image = Image.open(file, formats=FORMATS)
    except UnreadablePhotoError:
        raise
    except Image.DecompressionBombError as error:
        reason = f"more than {MAX_PIXELS:,} pixels: make it smaller"
        raise UnreadablePhotoError(name, reason) from error
    except UnidentifiedImageError as error:
        text = not any(byte in CONTROL_BYTES for byte in data[:1024])
        reason = "not an image (text?)" if text else f"not a whole {' or '.join(FORMATS)} file"
        raise UnreadablePhotoError(name, reason) from error
    except Exception as error:  # decoders raise all kinds; the file is to blame
        raise UnreadablePhotoError(name, "damaged or truncated image") from error
    if problem := _too_large(image, max_pixels) or _slow_to_decode(data, image):
        raise UnreadablePhotoError(name, problem)
    file.most = MAX_PARTS
    return image


class _Parts(io.BytesIO):
    """A file's bytes, for decoders that would read it in any number of parts."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.shown, self.most, self.taken = name, MAX_PARTS_OF_HEAD, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.taken += 1
        if self.taken > self.most:
            raise UnreadablePhotoError(self.shown, f"a file of more than {self.most:,} parts")
        return super().read(size)


def _too_large(image: Image.Image, max_pixels: int) -> str | None:
    if image.width * image.height > max_pixels:
        return f"more than {max_pixels:,} pixels: make it smaller"
    if max(image.size) > MAX_SIDE:
        return f"a side of more than {MAX_SIDE:,} pixels: make it smaller"
    return None


def _slow_to_decode(data: bytes, image: Image.Image) -> str | None:
    """Whether a JPEG has more scans than one of its size may have; nothing is decoded."""
    allowed = min(MAX_SCANS, MAX_SCANS_OF_LARGEST * MAX_PIXELS // (image.width * image.height))
    if data.count(b"\xff" + _SCAN) <= allowed:
        return None
    # The same bytes may stand in metadata, and in a film that follows the picture.
    scans = 0
    for number, code in enumerate(_segments(data)):
        scans += code == _SCAN
        if scans > allowed:
            return f"a JPEG of more than {allowed} scans"
        if number > MAX_SEGMENTS:
            return f"a JPEG of more than {MAX_SEGMENTS:,} segments"
        if code == _END:
            break
    return None


def _segments(data: bytes) -> Iterator[bytes]:
    """The code of each marker of a JPEG; nothing for another format."""
    if not data.startswith(_JPEG):
        return
    place = len(_JPEG)
    while marker := _MARKER.search(data, place):
        yield marker[1]
        place = marker.end()
        if marker[1] not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """A strip at a time, since some conversions take a copy for each of their steps."""
    if image.mode == "F":  # 0 to 1, 0 to 255, or a measurement
        raise UnreadablePhotoError(name, "floating-point pixels have no certain meaning in RGB")
    if image.mode == "RGB" and not image.has_transparency_data:
        # A WebP's own image holds its decoder, and that two frames.
        return image.copy() if image.format == "WEBP" else image
    width, height = image.size
    rows = max(1, STRIP // width)
    whole = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        whole.paste(_strip_in_rgb(strip, name), (0, top))
    return whole


def _strip_in_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_16_bits(image, name)
    if image.mode == "La":  # Pillow takes the alpha out of it, and goes no further at once.
        image = image.convert("LA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _from_16_bits(image: Image.Image, name: str) -> Image.Image:
    """Grey of 0 to 65,535 as 0 to 255; Pillow's own conversion would clip it."""
    values = np.asarray(image).astype(np.int32)
    if values.min() < 0 or values.max() > 65_535:
        reason = "grey values beyond 16 bits have no certain meaning in RGB"
        raise UnreadablePhotoError(name, reason)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))  # rounded: 257 is odd
