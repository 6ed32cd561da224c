import io
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from catdog.errors import PhotosError
from catdog.photos import reading
from catdog.photos.reading import (
    UnreadablePhotoError,
    read_photo,
    read_verified,
    reading_photo,
    resize,
)

WIDTH, HEIGHT = 60, 40
SCAN = b"\xff\xda"
EXIF = b"\xff\xe1" + struct.pack(">H", 502) + b"Exif\0\0" + bytes(494)


def picture(mode: str = "RGB") -> Image.Image:
    """Red above, blue below: a smooth picture that every format keeps recognisable."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, :, 0] = 200
    pixels[HEIGHT // 2 :, :, 2] = 200
    return Image.fromarray(pixels).convert(mode)


def noise(seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reason(data: bytes) -> str:
    with pytest.raises(UnreadablePhotoError) as caught:
        read_photo(data, "cats/one.jpg")
    assert "cats/one.jpg" in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_common_format_is_read(kind: str) -> None:
    photo = read_photo(encoded(picture(), kind))
    assert (photo.mode, photo.size) == ("RGB", (WIDTH, HEIGHT))
    np.testing.assert_allclose(np.asarray(photo)[5, 5], (200, 0, 0), atol=12)
    np.testing.assert_allclose(np.asarray(photo)[-5, 5], (0, 0, 200), atol=12)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("P", "PNG"), ("RGBA", "PNG"), ("YCbCr", "JPEG")],
)
def test_other_colour_models_keep_their_colours(mode: str, kind: str) -> None:
    photo = read_photo(encoded(picture(mode), kind))
    np.testing.assert_allclose(np.asarray(photo)[5, 5], (200, 0, 0), atol=12)


@pytest.mark.parametrize(("mode", "kind"), [("L", "JPEG"), ("1", "PNG"), ("LA", "PNG")])
def test_grey_becomes_equal_channels(mode: str, kind: str) -> None:
    white = Image.new("L", (8, 8), 255).convert(mode)
    assert (np.asarray(read_photo(encoded(white, kind))) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.array([[0, 257, 32_896, 65_535]], np.uint16)
    data = encoded(Image.fromarray(values), kind)
    if kind == "PPM":
        assert reason(data).startswith("not a whole JPEG")
    else:
        assert np.asarray(read_photo(data))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_values_without_a_certain_meaning_are_refused() -> None:
    assert "floating-point" in reason(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))
    assert "16 bits" in reason(encoded(Image.new("I", (4, 4), 1 << 20), "TIFF"))


def test_transparent_pixels_show_white() -> None:
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert (np.asarray(read_photo(encoded(clear, "PNG"))) == 255).all()
    palette = Image.new("P", (4, 4))
    palette.putpalette([9, 9, 9])
    assert (np.asarray(read_photo(encoded(palette, "PNG", transparency=0))) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(encoded(picture(), "JPEG", exif=exif))
    turned = orientation >= 5
    assert photo.size == ((HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT))
    pixels = np.asarray(photo).astype(int)
    red_first = {1: pixels[4, 4], 2: pixels[4, -4], 3: pixels[-4, -4], 4: pixels[-4, 4]}
    red_first |= {5: pixels[4, 4], 6: pixels[4, -4], 7: pixels[-4, -4], 8: pixels[-4, 4]}
    np.testing.assert_allclose(red_first[orientation], (200, 0, 0), atol=12)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_cost_the_photo() -> None:
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert read_photo(data).size == (WIDTH, HEIGHT)


def test_exif_that_cannot_be_written_again_does_not_cost_the_photo() -> None:
    maker_as_a_fraction = struct.pack("<HHII", 0x010F, 5, 1, 38)
    turned = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    entries = struct.pack("<H", 2) + maker_as_a_fraction + turned
    exif = b"Exif\0\0II*\0\x08\0\0\0" + entries + struct.pack("<III", 0, 72, 1)
    assert read_photo(encoded(picture(), "JPEG", exif=exif)).size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(np.asarray(read_photo(data))[8, 8], (255, 0, 0), atol=8)


def test_the_mode_is_that_of_the_file() -> None:
    with reading_photo(encoded(Image.new("L", (30, 20), 77), "PNG")) as (photo, mode):
        pass
    assert (photo.mode, mode) == ("RGB", "L")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_half_a_file_is_refused(kind: str) -> None:
    data = encoded(noise(), kind)
    assert "truncated" in reason(data[: len(data) // 2])


def test_reasons_fit_a_table() -> None:
    jpeg = encoded(noise(), "JPEG")
    assert reason(jpeg[:-500]) == "truncated JPEG"
    assert reason(b"") == "empty file"
    assert reason("Liebe Grüße\n".encode()) == "not an image (text?)"
    assert reason(b"<html>404</html>") == "not an image (text?)"
    assert reason(b"\0\1\2" * 99).startswith("not a whole JPEG or PNG")


def chunk(name: bytes, body: bytes = b"") -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def huge_png(side: int) -> bytes:
    """The header of a square picture, and no picture."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


def huge_webp(side: int) -> bytes:
    """As much of a lossless WebP."""
    header = b"\x2f" + struct.pack("<I", (side - 1) | (side - 1) << 14) + bytes(21)
    chunk = b"WEBPVP8L" + struct.pack("<I", len(header)) + header
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("header", "side"),
    [(huge_png, 30_000), (huge_png, 9_600), (huge_webp, 16_383), (huge_webp, 9_600)],
)
def test_a_huge_picture_is_refused_from_its_header(
    header: Callable[[int], bytes], side: int
) -> None:
    assert reason(header(side)) == "more than 89,478,485 pixels: make it smaller"


def test_a_line_is_no_photo() -> None:
    for size in [(65_536, 1), (1, 65_536)]:
        assert (
            reason(encoded(Image.new("L", size), "PNG"))
            == "a side of more than 65,535 pixels: make it smaller"
        )
    assert resize(read_photo(encoded(Image.new("L", (65_535, 1)), "PNG")), 8).shape == (8, 8, 3)


def with_scans(number: int) -> bytes:
    """A progressive JPEG whose first scan comes again and again, and changes nothing."""
    data = encoded(picture(), "JPEG", progressive=True)
    assert data.count(SCAN) == 10
    first = data.index(SCAN)
    next_tables = data.index(b"\xff\xc4", first)
    return data[:first] + data[first:next_tables] * (number - 10) + data[first:]


def test_a_jpeg_of_too_many_scans_is_refused_undecoded() -> None:
    np.testing.assert_array_equal(read_photo(with_scans(100)), read_photo(with_scans(10)))
    assert reason(with_scans(101)) == "a JPEG of more than 100 scans"
    assert reason(with_scans(200_000)) == "a JPEG of more than 100 scans"


def test_the_largest_jpegs_may_have_fewer_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", WIDTH * HEIGHT)
    assert read_photo(with_scans(20))
    assert reason(with_scans(21)) == "a JPEG of more than 20 scans"


def test_what_only_looks_like_scans_is_no_harm() -> None:
    looks = (SCAN + b"\0\2") * 1_000
    comment = b"\xff\xfe" + struct.pack(">H", len(looks) + 2) + looks
    data = with_scans(100)
    assert read_photo(data[:2] + comment + data[2:] + looks).size == (WIDTH, HEIGHT)


def with_head(junk: bytes) -> bytes:
    """A JPEG with something between its first bytes and its segments."""
    data = encoded(picture(), "JPEG")
    return data[:2] + junk + data[2:]


def with_chunks(chunk: bytes, before: bytes) -> bytes:
    """A PNG with one chunk again and again, before the first one of a name."""
    data = encoded(picture(), "PNG")
    place = data.index(before) - 4
    return data[:place] + chunk * 400_000 + data[place:]


def with_blocks(block: bytes) -> bytes:
    """A GIF with something again and again before its picture."""
    data = encoded(picture(), "GIF")
    place = data.index(b"\x2c\0\0\0\0")
    return data[:place] + block * 1_000_000 + data[place:]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: with_head(b"\xff" * 30_000_000), id="padding"),
        pytest.param(lambda: with_head(b"\xff" + bytes(30_000_000)), id="zeros"),
        pytest.param(lambda: with_head(b"\xff\xd9" * 15_000_000), id="ends"),
        pytest.param(lambda: with_head(b"\xff\xf0" * 15_000_000), id="unknown"),
        pytest.param(lambda: with_head(b"\xff\xfe\0\2" * 7_000_000), id="comments"),
        pytest.param(lambda: with_head(EXIF * 60_000), id="EXIF"),
        pytest.param(lambda: with_chunks(chunk(b"prVt"), b"IDAT"), id="PNG's chunks"),
        pytest.param(lambda: with_blocks(b"\x01"), id="GIF's junk"),
        pytest.param(lambda: with_blocks(b"\x21\xfe\x01a\0"), id="GIF's comments"),
    ],
)
def test_a_head_that_pillow_would_read_byte_by_byte_is_refused(data: Callable[[], bytes]) -> None:
    assert reason(data()) == "a file of more than 4,096 parts"


@pytest.mark.parametrize(("name", "before"), [(b"IDAT", b"IDAT"), (b"prVt", b"IEND")])
def test_pixels_in_very_many_chunks_are_refused(name: bytes, before: bytes) -> None:
    data = with_chunks(chunk(name), before)
    first = data.index(b"IDAT") - 4  # a chunk of pixels that tells Pillow where the head ends
    assert (
        reason(data[:first] + chunk(b"IDAT") + data[first:]) == "a file of more than 100,000 parts"
    )


def test_a_little_padding_and_many_segments_are_read() -> None:
    for junk in (b"\xff" * 4_000, b"\xff\xfe\0\2" * 1_000, EXIF * 900):
        assert read_photo(with_head(junk)).size == (WIDTH, HEIGHT)


def with_tail(unit: bytes) -> bytes:
    """A JPEG with 8 MiB of something after its scan, and reason to count its scans."""
    comment = b"\xff\xfe" + struct.pack(">H", 402) + SCAN * 200
    return encoded(picture(), "JPEG")[:-2] + comment + unit * (2**23 // len(unit))


@pytest.mark.parametrize("unit", [b"\xff", b"\xff\0", b"\xff\xd0", b"\xff\xff\0"])
def test_any_bytes_after_a_scan_are_read_in_linear_time(unit: bytes) -> None:
    """Not timed: where it is quadratic, so many take days."""
    assert read_photo(with_tail(unit)).size == (WIDTH, HEIGHT)


def test_very_many_segments_after_a_scan_are_refused() -> None:
    assert reason(with_tail(SCAN)) == "a JPEG of more than 100 scans"
    assert reason(with_tail(b"\xff\xfe\0\2")) == "a JPEG of more than 1,000 segments"


def test_grey_of_16_bits_is_rounded_as_its_share() -> None:
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257).astype(np.uint8)
    for photo in (read_photo(encoded(Image.fromarray(values), kind)) for kind in ("PNG", "TIFF")):
        np.testing.assert_array_equal(np.asarray(photo)[..., 1], expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I", "I;16"])
def test_a_photo_is_converted_alike_in_strips_and_at_once(
    monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    image = noise().convert("L" if mode.startswith("I;") else mode)
    if mode.startswith("I;"):
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        image.putalpha(noise(1).convert("L"))
    if mode in ("L", "P"):
        image.info["transparency"] = 7
    whole = reading._rgb(image.copy(), "photo")
    monkeypatch.setattr(reading, "STRIP", 3 * WIDTH)
    np.testing.assert_array_equal(reading._rgb(image, "photo"), whole)


PEAK = """
import sys
from pathlib import Path
from PIL import Image
from catdog.photos.reading import reading_photo, resize

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

for name in [sys.argv[1], *sys.argv[1:]]:  # the first one loads what all need
    data = Path(name).read_bytes()
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    with reading_photo(data) as (photo, _):
        resize(photo, 32)
        pixels = photo.width * photo.height
    print(name, (peak() - before) / pixels)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="tells of no peak")
def test_reading_takes_no_more_memory_than_it_takes_room_for(tmp_path: Path) -> None:
    kinds = ["RGB.JPEG", "CMYK.JPEG", "RGBA.PNG", "LA.PNG", "P.PNG", "I.TIFF", "RGBA.WEBP"]
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in kinds:
        mode, kind = name.split(".")
        large = Image.new("RGB", (2_400, 2_000), "red").convert(mode)
        large.save(tmp_path / name, kind, exif=exif)
    command = [sys.executable, "-c", PEAK, *kinds]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    for line in told.stdout.splitlines():
        name, most = line.split()
        room = reading.BYTES_A_PIXEL_OF_WEBP if "WEBP" in name else reading.BYTES_A_PIXEL
        assert float(most) <= room, line


def test_photos_wait_for_room_and_give_it_back() -> None:
    room = reading.Room(10)
    began, end = threading.Event(), threading.Event()

    def fail_later() -> None:
        with room.taking(6):
            began.set()
            end.wait(30)
            raise KeyError

    def take(size: int) -> str:
        with room.taking(size):
            return "first" if not end.is_set() else "last"

    with ThreadPoolExecutor(3) as pool:
        failing = pool.submit(fail_later)
        assert began.wait(30)
        assert take(4) == "first"
        waiting = pool.submit(take, 99)  # more than there is: alone
        assert wait([waiting], timeout=0.05).not_done
        end.set()
        assert waiting.result(30) == "last"
        with pytest.raises(KeyError):
            failing.result(30)
    assert take(10) == "last"


def test_a_large_photo_is_not_overtaken_for_ever() -> None:
    room = reading.Room(10)
    asked = threading.Event()

    def take(size: int) -> None:
        asked.set()
        with room.taking(size):
            pass

    with ThreadPoolExecutor(2) as pool:
        with room.taking(6):
            large = pool.submit(take, 10)
            assert asked.wait(30)
            assert wait([large], timeout=0.2).not_done
            small = pool.submit(take, 4)
            assert wait([small], timeout=0.2).not_done
        assert not wait([large, small], timeout=30).not_done


def test_premultiplied_grey_is_divided_by_its_alpha() -> None:
    straight = encoded(Image.new("LA", (4, 4), (64, 128)), "TIFF")
    kind_of_alpha = struct.pack("<HHI", 338, 3, 1)
    premultiplied = straight.replace(kind_of_alpha + b"\2", kind_of_alpha + b"\1")
    with reading_photo(premultiplied) as (photo, mode):
        pass
    assert mode == "La"
    np.testing.assert_allclose(np.asarray(photo), 64 + 255 - 128, atol=1)


@pytest.mark.parametrize("step", ["exif_transpose", "convert"])
@pytest.mark.parametrize("error", [AttributeError, RecursionError, Image.DecompressionBombError])
def test_whatever_a_photo_raises_is_no_error_but_its_own(
    monkeypatch: pytest.MonkeyPatch, step: str, error: type[Exception]
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error("of Pillow")

    data = encoded(picture("L"), "PNG")
    if step == "convert":
        monkeypatch.setattr(Image.Image, "convert", fail)
        assert reason(data) == "damaged PNG"
    else:
        monkeypatch.setattr(ImageOps, "exif_transpose", fail)
        assert read_photo(data).size == (WIDTH, HEIGHT)


def test_a_path_is_named_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "Мурка и 犬 & co.jpg"
    picture().save(path)
    assert read_photo(path).size == (WIDTH, HEIGHT)
    path.write_bytes(b"")
    with pytest.raises(UnreadablePhotoError, match=r"Мурка и 犬 & co\.jpg .* empty file"):
        read_photo(path)
    with pytest.raises(UnreadablePhotoError, match="no such file"):
        read_photo(tmp_path / "none.jpg")


def test_verified_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read_verified(path, right) == b"abc"
    with pytest.raises(PhotosError, match="has changed"):
        read_verified(path, "0" * 64)
    path.unlink()
    with pytest.raises(PhotosError, match="any more"):
        read_verified(path, right)


def test_resizing_needs_no_change_at_the_same_size_and_repeats_a_single_pixel() -> None:
    photo = noise(size=(32, 32))
    np.testing.assert_array_equal(resize(photo, 32), np.asarray(photo))
    one = Image.new("RGB", (1, 1), (7, 8, 9))
    assert (resize(one, 5) == (7, 8, 9)).all()


def test_resizing_is_bilinear_with_half_pixel_centres() -> None:
    row = np.repeat(np.array([[[0], [100]]], np.uint8), 3, axis=2)
    assert resize(Image.fromarray(row), 4)[0, :, 0].tolist() == [0, 25, 75, 100]


def test_resizing_is_that_of_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow")
    for seed, shape in enumerate([(40, 60), (375, 500), (161, 159), (3, 700)]):
        photo = noise(seed, shape)
        expected = tf.image.resize(np.asarray(photo), (160, 160), "bilinear", antialias=False)
        assert np.abs(resize(photo, 160) - expected.numpy()).max() <= 0.5 + 1e-3
