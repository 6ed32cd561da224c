"""Unpacking: what is good comes out whole, what is not is refused and named."""

import contextlib
import gzip
import io
import lzma
import shutil
import string
import struct
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from catdog.errors import SourceError
from catdog.sources import archives
from catdog.sources.archives import extract

PHOTOS = {"pets/cats/a.jpg": b"cat" * 50, "pets/dogs/b.jpg": bytes(range(256)) * 20}
TARS = {"tar": "w:", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
Pack = Callable[[Mapping[str, bytes]], bytes]


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w:") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


PACKERS: dict[str, Pack] = {
    "zip": zipped,
    **{name: lambda files, mode=mode: tarred(files, mode) for name, mode in TARS.items()},  # type: ignore[misc]
}


def unpack(tmp_path: Path, packed: bytes) -> dict[str, bytes]:
    archive = tmp_path / "photos.archive"
    archive.write_bytes(packed)
    folder = tmp_path / "out"
    folder.mkdir()
    extract(archive, folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", PACKERS)
def test_unpacks_whatever_the_file_is_called(tmp_path: Path, kind: str) -> None:
    assert unpack(tmp_path, PACKERS[kind](PHOTOS)) == PHOTOS


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_leaves_out_hidden_files(tmp_path: Path, kind: str) -> None:
    litter = {"__MACOSX/pets/cats/._a.jpg": b"x", "pets/.DS_Store": b"x", ".git/a.jpg": b"x"}
    assert unpack(tmp_path, PACKERS[kind]({**PHOTOS, **litter})) == PHOTOS


def test_a_leading_dot_folder_is_not_hidden(tmp_path: Path) -> None:
    assert unpack(tmp_path, tarred({"./cats/a.jpg": b"cat"})) == {"cats/a.jpg": b"cat"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "member",
    [
        "../out.jpg",
        "cats/../../out.jpg",
        "/etc/out.jpg",
        "C:/out.jpg",
        "c:out.jpg",
        "..\\out.jpg",
        "\\\\server\\share\\out.jpg",
        "cats/.. /out.jpg",
        "__MACOSX/../../out.jpg",
    ],
)
def test_refuses_paths_that_lead_out(tmp_path: Path, kind: str, member: str) -> None:
    with pytest.raises(SourceError, match=r"photos\.archive: its member .*leads out") as caught:
        unpack(tmp_path, PACKERS[kind]({"cats/a.jpg": b"cat", member: b"bad"}))
    assert repr(member) in caught.value.problem
    assert caught.value.remedy
    assert not list(tmp_path.rglob("*out.jpg"))


def test_backslashes_are_folders(tmp_path: Path) -> None:
    assert unpack(tmp_path, zipped({"train\\cats\\a.jpg": b"cat"})) == {"train/cats/a.jpg": b"cat"}


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_refuses_links_and_devices_in_tars(tmp_path: Path, kind: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("cats/link.jpg")
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(SourceError, match=r"'cats/link\.jpg' is a link or a device"):
        unpack(tmp_path, packed.getvalue())


def test_refuses_links_in_zips(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("cats/link.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SourceError, match=r"'cats/link\.jpg' is a link or a device"):
        unpack(tmp_path, packed.getvalue())


def test_refuses_encrypted_zips(tmp_path: Path) -> None:
    packed = bytearray(zipped(PHOTOS))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SourceError, match=r"'pets/cats/a\.jpg' is encrypted"):
        unpack(tmp_path, bytes(packed))


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_refuses_absurd_sizes(tmp_path: Path, kind: str) -> None:
    packed = PACKERS[kind]({"cats/bomb.bmp": bytes(archives.MIN_LIMIT + 1)})
    with pytest.raises(SourceError, match=r"unpacks to more than 10,000,000 bytes"):
        unpack(tmp_path, packed)
    assert not list((tmp_path / "out").rglob("*"))


def test_small_flat_pictures_are_fine(tmp_path: Path) -> None:
    flat = {"cats/flat.bmp": bytes(1_000_000)}
    packed = zipped(flat)
    assert len(packed) * archives.MAX_RATIO < 1_000_000
    assert unpack(tmp_path, packed) == flat


def test_counts_real_bytes_where_the_header_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MIN_LIMIT", 50_000)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("cats/a.jpg")  # It declares no bytes, but a header of many.
        info.pax_headers = {"comment": "x" * 1_000_000}
        archive.addfile(info)
    with pytest.raises(SourceError, match="unpacks to more than"):
        unpack(tmp_path, packed.getvalue())


def test_a_zip_that_declares_less_than_it_holds_is_damaged(tmp_path: Path) -> None:
    packed = bytearray(zipped({"cats/a.jpg": bytes(5000)}))
    directory = packed.index(b"PK\x01\x02")
    packed[directory + 24 : directory + 28] = struct.pack("<I", 10)
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpack(tmp_path, bytes(packed))


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_refuses_more_than_the_disk_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 100))
    with pytest.raises(SourceError, match=r"has only 100 free.*Free some space"):
        unpack(tmp_path, PACKERS[kind](PHOTOS))


@pytest.mark.parametrize("kind", PACKERS)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_archive_never_passes(kind: str, share: float) -> None:
    packed = PACKERS[kind](PHOTOS)
    ends = packed.rstrip(b"\0") if kind == "tar" else packed  # A tar ends in padding.
    with tempfile.TemporaryDirectory() as folder, pytest.raises(SourceError):
        unpack(Path(folder), packed[: int(share * len(ends))])


@pytest.mark.parametrize("kind", PACKERS)
@given(data=st.data())
def test_a_damaged_archive_gives_nothing_wrong(kind: str, data: st.DataObject) -> None:
    packed = bytearray(PACKERS[kind](PHOTOS))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = unpack(Path(folder), bytes(packed))
        except SourceError:
            return
        if kind != "tar":  # A plain tar has no checksum of its data.
            assert set(found.values()) <= set(PHOTOS.values())


def test_a_zip_whose_members_begin_before_the_file_is_damaged(tmp_path: Path) -> None:
    packed = bytearray(PACKERS["zip"](PHOTOS))
    offset_of_directory = slice(len(packed) - 6, len(packed) - 2)  # the end record has no comment
    claimed = int.from_bytes(packed[offset_of_directory], "little") + 1000
    packed[offset_of_directory] = claimed.to_bytes(4, "little")
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpack(tmp_path, bytes(packed))


def test_a_tar_with_a_broken_header_in_the_middle_is_damaged(tmp_path: Path) -> None:
    packed = bytearray(tarred(PHOTOS))
    packed[1024 + 5] ^= 1
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpack(tmp_path, bytes(packed))


def block(
    kind: bytes,
    data: bytes = b"",
    *,
    name: bytes = b"a.jpg",
    size: bytes | None = None,
    **at: bytes,
) -> bytes:
    """A header of a tar with a right checksum, and what follows it."""
    header = bytearray(512)
    fields = {0: name, 124: size or b"%011o" % len(data), 156: kind, 148: b" " * 8}
    fields |= {int(place[1:]): value for place, value in at.items()}
    for place, value in fields.items():
        header[place : place + len(value)] = value
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + data + bytes(-len(data) % 512)


def record(keyword: bytes, value: bytes) -> bytes:
    rest = b" %s=%s\n" % (keyword, value)
    length = next(n for n in range(len(rest), len(rest) + 9) if n == len(str(n)) + len(rest))
    return b"%d%s" % (length, rest)


END = bytes(1024)
PHOTO = block(b"0", b"cat")


@pytest.mark.parametrize(
    "header", [block(b"x", record(b"comment", b"no")), block(b"L", b"other.jpg\0")]
)
def test_any_number_of_headers_before_a_member(tmp_path: Path, header: bytes) -> None:
    last = block(b"x", record(b"path", b"cats/b.jpg"))
    assert unpack(tmp_path, header * 2_000 + last + PHOTO + END) == {"cats/b.jpg": b"cat"}


def test_headers_tell_of_the_next_member_or_of_all(tmp_path: Path) -> None:
    long = "cats/" + "ä" * 60 + ".jpg"
    packed = (
        block(b"g", record(b"comment", b"of all"))
        + block(b"L", long.encode() + b"\0")
        + block(b"0", b"one")
        + block(b"x", record(b"path", b"cats/x.jpg") + record(b"size", b"3"))
        + block(b"0", b"two", size=b"%011o" % 0)
        + block(b"0", b"three")
        + END
    )
    found = unpack(tmp_path, packed)
    assert found == {long: b"one", "cats/x.jpg": b"two", "a.jpg": b"three"}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_refuses_folders_too_deep_to_remove(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match="lies more than 100 folders deep") as caught:
        unpack(tmp_path, PACKERS[kind]({"d/" * 1_500 + "a.jpg": b"cat"}))
    assert len(caught.value.problem) < 500
    (tmp_path / "out").rmdir()
    assert unpack(tmp_path, PACKERS[kind]({"d/" * 99 + "a.jpg": b"cat"}))


NEGATIVE = b"\xff" * 12
ENDLESS = b"\x80" + b"\xff" * 11
HOSTILE = {
    "a negative size": block(b"0", size=NEGATIVE) + END,
    "a negative size in pax": block(b"x", record(b"size", b"-512")) + PHOTO + END,
    "a size that is none": block(b"x", record(b"size", b"9" * 5_000)) + PHOTO + END,
    "an endless size": block(b"0", size=ENDLESS) + END,
    "a negative header": block(b"x", size=NEGATIVE) + PHOTO + END,
    "an endless header": block(b"x", size=ENDLESS) + PHOTO + END,
    "an endless name": block(b"L", size=ENDLESS) + PHOTO + END,
    "a header of digits": block(b"x", b"1" * 1_000_000) + PHOTO + END,
    "a header of short records": block(b"x", b"2 " * 500_000) + PHOTO + END,
    "a header of records of no length": block(b"x", b"0 a=b\n") + PHOTO + END,
    "an endless list of holes": block(b"S", _482=b"\1", _483=b"7" * 11),
    "holes in pax 0.0": block(b"x", record(b"GNU.sparse.size", b"9" * 4_000)) + PHOTO + END,
    "holes in pax 0.1": block(b"x", record(b"GNU.sparse.map", b"1," * 9)) + PHOTO + END,
    "holes in pax 1.0": block(
        b"x", record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")
    )
    + block(b"0", b"9" * 600 + b"\n"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_header_ends_soon_in_one_line(
    tmp_path: Path, what: str, pack: Callable[[bytes], bytes]
) -> None:
    started = time.perf_counter()
    with pytest.raises(SourceError, match=r"damaged|cannot read|absurd|not a zip or tar") as caught:
        unpack(tmp_path, pack(HOSTILE[what]))
    assert time.perf_counter() - started < 5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><html>", b"7z\xbc\xaf\x27\x1c", b"x" * 999]
)
def test_what_is_no_archive_is_named_so(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"photos\.archive is not a zip or tar archive"):
        unpack(tmp_path, content)


def test_a_compressed_file_that_is_no_tar(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpack(tmp_path, PACKERS["tar.gz"]({})[:4] + b"rubbish")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    packed = zipped({"cats/a.jpg": b"one", "cats//a.jpg": b"two"})
    with pytest.raises(SourceError, match=r"'cats//a\.jpg' has the name of another member"):
        unpack(tmp_path, packed)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SourceError, match="has the name of another member"):
        unpack(tmp_path, PACKERS[kind]({"cats": b"file", "cats/a.jpg": b"photo"}))


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has a name that this disk cannot store"):
        unpack(tmp_path, zipped({"cats/" + "a" * 300 + ".jpg": b"photo"}))


def with_raw_name(packed: bytes, placeholder: bytes, raw: bytes) -> bytes:
    assert len(placeholder) == len(raw)
    return packed.replace(placeholder, raw)


def test_names_in_other_alphabets(tmp_path: Path) -> None:
    files = {"Кошки/мой кот.jpg": b"1", "犬/ポチ 1.jpg": b"2", "Ka\u0308tzchen/e\u0301.jpg": b"3"}
    assert unpack(tmp_path / "zip", _in(tmp_path / "zip", zipped(files))) == files
    assert unpack(tmp_path / "tar", _in(tmp_path / "tar", tarred(files))) == files


def _in(folder: Path, packed: bytes) -> bytes:
    folder.mkdir()
    return packed


def test_a_zip_with_utf8_names_that_does_not_say_so(tmp_path: Path) -> None:
    raw = "Кот".encode()
    packed = with_raw_name(zipped({"cats/" + "?" * len(raw): b"cat"}), b"?" * len(raw), raw)
    assert unpack(tmp_path, packed) == {"cats/Кот": b"cat"}


def test_a_zip_with_dos_names(tmp_path: Path) -> None:
    packed = with_raw_name(zipped({"cats/K?tzchen.jpg": b"cat"}), b"K?tz", "Kätz".encode("cp437"))
    assert unpack(tmp_path, packed) == {"cats/Kätzchen.jpg": b"cat"}


def test_a_tar_with_latin1_names(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w:", format=tarfile.GNU_FORMAT, encoding="latin-1"
    ) as archive:
        info = tarfile.TarInfo("cats/Kätzchen.jpg")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"cat"))
    assert unpack(tmp_path, packed.getvalue()) == {"cats/Kätzchen.jpg": b"cat"}


@given(
    names=st.lists(
        st.text(
            st.sampled_from("./\\: ~" + string.ascii_letters + "äЖ犬"), min_size=1, max_size=12
        ),
        min_size=1,
        max_size=4,
        unique_by=str.casefold,
    ),
    kind=st.sampled_from(["zip", "tar"]),
)
def test_nothing_is_ever_written_outside(names: list[str], kind: str) -> None:
    assume(not any(name.endswith("/") for name in names))
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "deep" / "er"
        home.mkdir(parents=True)
        with contextlib.suppress(SourceError):
            unpack(home, PACKERS[kind](dict.fromkeys(names, b"x")))
        assert [path.name for path in Path(place).iterdir()] == ["deep"]
        assert [path.name for path in (Path(place) / "deep").iterdir()] == ["er"]
        assert {path.name for path in home.iterdir()} == {"photos.archive", "out"}


def empty_members(many: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as archive:
        for number in range(many):
            archive.addfile(tarfile.TarInfo(f"{number}.jpg"))
    return packed.getvalue()


def test_more_members_than_an_archive_of_its_size_can_mean_are_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MIN_MEMBERS", 10)
    (tmp_path / "a").write_bytes(empty_members(2_000))
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceError, match=r"has more than [\d,]+ members"):
        archives.extract(tmp_path / "a", tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) < 200


@pytest.mark.parametrize("name", ["a" * 60_000, "\x1b" * 60_000, "\U000e0001" * 199])
def test_names_of_members_are_quoted_on_one_line_and_not_for_ever(
    tmp_path: Path, name: str
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, b"")
    whole = packed.getvalue()
    for data in (
        whole,
        whole[::-1].replace(name.encode()[::-1], b"b" + name.encode()[:0:-1], 1)[::-1],
    ):
        (tmp_path / "a").write_bytes(data)
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(SourceError) as raised:
            archives.extract(tmp_path / "a", tmp_path / "out", name="a.zip")
        assert len(str(raised.value)) < 500
        assert str(raised.value).isprintable()
