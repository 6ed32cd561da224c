"""Unpacking zip and tar archives that come from strangers."""

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from catdog.errors import SourceError
from catdog.sources.inventory import hidden
from catdog.wording import quoted

MAX_RATIO = 100
"""An archive may unpack to so many times its own size..."""
MIN_LIMIT = 10_000_000
"""...or to so many bytes: tiny archives of flat pictures shrink more than that."""
MAX_DEPTH = 100
"""Folders around a file. Python makes, walks and removes folders by recursion, 1,000 deep."""
MAX_HEADER = 1 << 20
"""Bytes that a tar may tell of a member in a header before it; libarchive's limit of a name."""
MEMBER_BYTES = 100
"""An archive may have a member for so many of its bytes: an empty one takes 76 of a zip and twice
its name, and a photo takes more..."""
MIN_MEMBERS = 10_000
"""...or so many members: they cost a disk little."""
BLOCK = 1 << 20
TRUSTED = "If you trust it, unpack it yourself and give the folder."
SUPPORTED = "a zip or tar archive (plain, .gz, .bz2 or .xz)"
_DECOMPRESSORS: dict[bytes, Callable[[IO[bytes]], AbstractContextManager[Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
)
_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)


class DamagedArchiveError(SourceError):
    """Bytes that are no whole archive: another download may bring better ones."""


class Budget:
    """How much what is packed in so many bytes may write into a folder."""

    def __init__(self, size: int, folder: Path, name: str) -> None:
        self.folder, self.name, self.size = folder, name, size
        self.limit = max(MIN_LIMIT, MAX_RATIO * self.size)
        self.free = shutil.disk_usage(folder).free
        self.spent = 0
        self.members = 0

    def count(self, members: int) -> None:
        """Take note of members before they are written."""
        self.members += members
        most = max(MIN_MEMBERS, self.size // MEMBER_BYTES)
        if self.members > most:
            raise SourceError(
                f"{self.name} has more than {most:,} members, "
                f"which is absurd for an archive of {self.size:,} bytes.",
                TRUSTED,
            )

    def spend(self, size: int) -> None:
        """Count so many bytes more. Raises SourceError when they are too many."""
        self.spent += size
        self.allow(self.spent)

    def allow(self, size: int) -> None:
        """Raise SourceError when so many bytes in all would be too many."""
        if size > self.limit:
            raise SourceError(
                f"{self.name} unpacks to more than {self.limit:,} bytes, "
                f"which is absurd for an archive of {self.size:,}.",
                TRUSTED,
            )
        if size > self.free:
            raise SourceError(
                f"{self.name} unpacks to {size:,} bytes or more, "
                f"but the disk of {self.folder} has only {self.free:,} free.",
                "Free some space, or set CATDOG_HOME to a larger disk.",
            )


class _Unpacking(Budget):
    """One archive on its way into a folder."""

    def __init__(self, archive: Path, folder: Path, name: str) -> None:
        super().__init__(archive.stat().st_size, folder, name)

    def refuse(self, member: str, problem: str) -> SourceError:
        return SourceError(
            f"{self.name}: its member {quoted(repr(member))} {problem}.",
            "Unpack it yourself, look at what is in it, and give the folder.",
        )

    def target(self, member: str) -> Path | None:
        """Where a member goes; None when it is a hidden file. Raises SourceError outside."""
        plain = member.replace("\\", "/")
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        climbs = any(".." in part and not part.strip(". ") for part in parts)
        if plain.startswith("/") or climbs or PureWindowsPath("/".join(parts)).drive:
            raise self.refuse(member, "leads out of the folder that it is unpacked to")
        if len(parts) > MAX_DEPTH:
            raise self.refuse(member, f"lies more than {MAX_DEPTH} folders deep")
        if not parts or any(map(hidden, parts)):
            return None
        return self.folder.joinpath(PurePosixPath(*parts))

    def write(self, member: str, target: Path, blocks: Iterable[bytes]) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
                raise self.refuse(member, "has the name of another member") from error
            if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
                raise self.refuse(member, "has a name that this disk cannot store") from error
            raise
        with file:
            for block in blocks:
                file.write(block)


@dataclass
class _Counted:
    """A stream whose bytes are counted as they are unpacked."""

    stream: IO[bytes]
    job: _Unpacking

    def read(self, size: int) -> bytes:
        """At most so many bytes; they count when they are really unpacked: a header may lie."""
        block = self.stream.read(size)
        self.job.spend(len(block))
        return block

    def blocks(self) -> Iterator[bytes]:
        """All bytes to the end, a block at a time."""
        return iter(partial(self.read, BLOCK), b"")

    def take(self, size: int) -> bytes:
        """So many bytes; tarfile's error when there are not as many."""
        taken = self.read(size)
        if len(taken) < size:
            raise tarfile.ReadError("unexpected end of data")
        return taken


def extract(archive: Path, folder: Path, *, name: str | None = None) -> None:
    """Unpack an archive into an existing folder, which should be a temporary one.

    The kind is told by the content, not by the name. Hidden files and `__MACOSX` are left out.
    name: what errors call the archive; its path when None.
    Raises DamagedArchiveError for anything that is not an archive or is damaged, SourceError for
    one that is encrypted, holds sparse files, links, devices or paths that are too deep or lead
    out of the folder, or unpacks to an absurd size.
    """
    job = _Unpacking(archive, folder, name or str(archive))
    with archive.open("rb") as file, _damage_of(job):
        head = file.read(tarfile.BLOCKSIZE)
        file.seek(0)
        if head.startswith(_ZIP):
            _extract_zip(job, file)
        else:
            with _tar_in(file, head, job.name) as stream:
                _extract_tar(job, _Counted(stream, job))


@contextmanager
def _damage_of(job: _Unpacking) -> Iterator[None]:
    try:
        yield
    except NotImplementedError as error:
        raise SourceError(
            f"{job.name} is packed in a way that catdog cannot read ({quoted(error)}).",
            "Unpack it yourself and give the folder.",
        ) from error
    except (*_DAMAGED, OSError) as error:
        # The decompressors raise bare OSErrors; those of the operating system have a number. It
        # calls a place before the beginning of the file, which a damaged zip may name, invalid.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DamagedArchiveError(
            f"{job.name} is damaged or incomplete ({quoted(error)}).", "Fetch or pack it again."
        ) from error


def _extract_zip(job: _Unpacking, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        job.count(len(infos))
        job.allow(sum(info.file_size for info in infos))
        for info in infos:
            member = _zip_name(info)
            target = job.target(member)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise job.refuse(member, "is a link or a device")
            if info.flag_bits & 1:
                raise job.refuse(member, "is encrypted")
            if target and not member.endswith(("/", "\\")):
                with archive.open(info) as source:
                    job.write(member, target, _Counted(source, job).blocks())


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name; many packers write UTF-8 without the flag that says so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _tar_in(file: IO[bytes], head: bytes, name: str) -> AbstractContextManager[Any]:
    """The tar archive that a file is, or that is compressed in it."""
    for magic, decompress in _DECOMPRESSORS.items():
        if head.startswith(magic):
            return decompress(file)
    try:
        _tar_header(head)
    except tarfile.TarError as error:
        raise DamagedArchiveError(
            f"{name} is not {SUPPORTED}; it begins with {head[:8]!r}.",
            "Give such an archive, or unpack it and give the folder.",
        ) from error
    return nullcontext(file)


def _tar_header(block: bytes) -> tarfile.TarInfo:
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")


def _extract_tar(job: _Unpacking, stream: _Counted) -> None:
    declared = 0
    for info in _tar_members(stream):
        job.count(1)
        target = job.target(info.name)
        if not (info.isreg() or info.isdir()):
            raise job.refuse(info.name, "is a link or a device")
        size = info.size if info.isreg() else 0
        declared += size
        job.allow(declared)
        blocks = _tar_body(stream, size)
        if target and info.isreg():
            job.write(info.name, target, blocks)
        for _ in blocks:
            pass  # What is left out is read too: the next header comes after it.
    for _ in stream.blocks():
        pass  # The checksum of a compressed stream is checked at its end.


def _tar_members(stream: _Counted) -> Iterator[tarfile.TarInfo]:
    """The members of a tar, with the names and sizes that headers before them give.

    A member's body must be read before the next member is taken. tarfile reads headers itself, but
    nested ones by recursion, sparse ones for as long as they claim to go on, those of pax with
    expressions that take quadratic time (CVE-2024-6232), and a broken one as the end.
    """
    of_all: dict[bytes, bytes] = {}
    of_next: dict[bytes, bytes] = {}
    while any(block := stream.take(tarfile.BLOCKSIZE)):
        info = _tar_header(block)
        if info.type in _NAMES or info.type in _PAX:
            facts = of_all if info.type == tarfile.XGLTYPE else of_next
            facts |= _facts(info, stream)
            continue
        _apply(of_all | of_next, info)
        of_next = {}
        yield info


def _facts(info: tarfile.TarInfo, stream: _Counted) -> dict[bytes, bytes]:
    """What a header that stands before a member tells of it, as far as it matters here."""
    if not 0 <= info.size <= MAX_HEADER:
        raise tarfile.ReadError(f"a header of {info.size:,} bytes")
    data = b"".join(_tar_body(stream, info.size))
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {b"path": data.partition(b"\0")[0]}
    if info.type == tarfile.GNUTYPE_LONGLINK:
        return {}
    facts = dict(_pax_records(data))
    if any(keyword.startswith(b"GNU.sparse.") for keyword in facts):
        raise NotImplementedError("sparse files")
    return {keyword: facts[keyword] for keyword in (b"path", b"size") if keyword in facts}


def _pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keywords and values of a pax header: lines "LENGTH KEYWORD=VALUE", as POSIX has them."""
    start = 0
    while start < len(data):
        digits, space, _ = data[start : start + 20].partition(b" ")
        end = start + int(digits)
        keyword, equals, value = data[start + len(digits) + 1 : end].partition(b"=")
        if not (space and equals and value.endswith(b"\n") and end <= len(data)):
            raise tarfile.ReadError("bad pax header")
        yield keyword, value[:-1]
        start = end


def _apply(facts: dict[bytes, bytes], info: tarfile.TarInfo) -> None:
    if info.type == tarfile.GNUTYPE_SPARSE:
        raise NotImplementedError("sparse files")
    info.name = _tar_name(facts.get(b"path", info.name.encode("utf-8", "surrogateescape")))
    info.size = int(facts.get(b"size", info.size))
    if info.size < 0:
        raise tarfile.ReadError("a member of negative size")


def _tar_body(stream: _Counted, size: int) -> Iterator[bytes]:
    """The bytes that follow a header; they fill whole blocks."""
    for left in range(size, 0, -BLOCK):
        yield stream.take(min(left, BLOCK))
    stream.take(-size % tarfile.BLOCKSIZE)


def _tar_name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
