"""Photos in object stores: s3://, gs://, az://, hf://datasets/, by what fsspec has for each.

An address is that of an archive or of a folder. Logins come from where the store's own tools take
them, such as environment variables; the package that reads a store is named when it is missing.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from shutil import disk_usage
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
)

from catdog.addresses import without_secrets
from catdog.errors import CatdogError, SourceError
from catdog.sources.fetch import (
    FETCH_ATTEMPTS,
    WITHOUT_NETWORK,
    OnBytes,
    UnreachableError,
    Version,
    pace,
    require_checksum,
    too_large,
    wait,
)
from catdog.sources.inventory import hidden
from catdog.store.digest import value_digest

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "hf", "memory")
"""`memory` is fsspec's own, for tests. Others that fsspec knows, such as those that read an address
within another, are too many ways in for who may choose only the source of a run."""
BLOCK = 1 << 20
AT_ONCE = 64
"""Photos of a folder that are asked for together: stores answer slowly, but many at a time."""
T = TypeVar("T")


class Listing(NamedTuple):
    """The files of a folder in a store."""

    files: Mapping[str, int]
    """Bytes by the path below the folder (POSIX), hidden files left out."""
    digest: str
    """Of all that the store tells of them: another one when a file has changed."""

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(self.files.values())


def require_store(url: str) -> None:
    """Raise SourceError at once where the address is none, or the package for it is missing."""
    _open(url)


def is_folder(url: str) -> bool:
    """Whether an address is that of a folder; also False where that cannot be told."""
    try:
        filesystem, path = _open(url)
        return bool(filesystem.isdir(path))
    except CatdogError:
        raise
    except Exception:  # noqa: BLE001  each store has its own; `look` asks again, and tells
        return False


def look(url: str) -> Version:
    """The version of the archive at an address, without fetching it. Raises as `fetch.look`."""
    filesystem, path = _open(url)

    def ask() -> Version:
        info = filesystem.info(path)
        return Version(value_digest(_facts(info)), None, info.get("size"))

    return _persist(url, ask, attempts=1)


def fetch(
    url: str,
    part: Path,
    *,
    size: int | None,
    sha256: str | None = None,
    on_bytes: OnBytes = lambda done, total: None,
) -> str:
    """Download an archive, going on from what `part` holds; its SHA-256. As `fetch.fetch`."""
    filesystem, path = _open(url)
    version = part.with_name(f"{part.name}.version")

    def go_on() -> None:
        info = filesystem.info(path)
        now, total = value_digest(_facts(info)), info.get("size") or size
        known = version.is_file() and version.read_text() == now
        done = part.stat().st_size if known and part.is_file() else 0
        room = disk_usage(part.parent).free
        if total is not None and total - done > room:
            raise too_large(url, f"has {total:,} bytes", part.parent)
        version.write_text(now)
        most, in_time = done + room // 2 if total is None else total, pace(done)
        with (
            filesystem.open(path, "rb", block_size=BLOCK, cache_type="readahead") as there,
            part.open("ab" if done else "wb") as here,
        ):
            there.seek(done)
            while done <= most and (block := there.read(BLOCK)):
                here.write(block)
                done += len(block)
                on_bytes(done, total)
                in_time(done)
        if total is None and done > most:
            raise too_large(url, f"sent {done:,} bytes and did not end", part.parent)
        if total is not None and done != total:
            raise OSError(f"it sent {done:,} of {total:,} bytes")

    _persist(url, go_on, attempts=FETCH_ATTEMPTS)
    version.unlink()
    try:
        return require_checksum(url, part, sha256)
    except SourceError:
        part.unlink()
        raise


def list_folder(url: str) -> Listing:
    """All files of a folder. Raises as `look`, and SourceError for a name that is no safe one."""
    filesystem, path = _open(url)
    found = _persist(url, lambda: filesystem.find(path, detail=True), attempts=1)
    facts = {PurePosixPath(name).relative_to(path): info for name, info in found.items()}
    folders = {parent for each in facts for parent in each.parents}
    facts = {each: info for each, info in facts.items() if info.get("size") or each not in folders}
    for each in facts:
        if ".." in each.parts or each in folders:
            told = "has the name of a folder" if each in folders else "leads out of the folder"
            raise SourceError(
                f"{without_secrets(url)}: its file '{each}' {told}.", "Rename it there."
            )
    seen = {name: info for name, info in sorted(facts.items()) if not any(map(hidden, name.parts))}
    return Listing(
        {name.as_posix(): int(info.get("size") or 0) for name, info in seen.items()},
        value_digest([(name.as_posix(), _facts(info)) for name, info in seen.items()]),
    )


def fetch_folder(url: str, listing: Listing, folder: Path, *, on_bytes: OnBytes) -> None:
    """Download the files of a folder; those that `folder` holds whole are not fetched again."""
    filesystem, path = _open(url)
    if listing.bytes > disk_usage(folder).free:
        raise too_large(url, f"has {listing.bytes:,} bytes", folder)
    missing = [
        name
        for name, size in listing.files.items()
        if not (folder / name).is_file() or (folder / name).stat().st_size != size
    ]
    done = listing.bytes - sum(listing.files[name] for name in missing)
    for start in range(0, len(missing), AT_ONCE):
        names = missing[start : start + AT_ONCE]
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
        there, here = [f"{path}/{name}" for name in names], [str(folder / n) for n in names]
        _persist(url, partial(filesystem.get, there, here), attempts=FETCH_ATTEMPTS)
        for name in names:
            if (size := (folder / name).stat().st_size) != listing.files[name]:
                raise SourceError(
                    f"{without_secrets(url)}: {name} has {size:,} bytes instead of "
                    f"{listing.files[name]:,}.",
                    "It changed meanwhile: run again.",
                )
            done += size
        on_bytes(done, listing.bytes)


def _open(url: str) -> "tuple[AbstractFileSystem, str]":
    """The store of an address, and the path there."""
    import fsspec

    shown = without_secrets(url)
    scheme = url.partition("://")[0].lower()
    if scheme not in STORES or "::" in url:
        known = ", ".join(("http", "https", *STORES))
        raise SourceError(f"{shown} has not one of the schemes {known}.", "Check the address.")
    try:
        filesystem, path = fsspec.url_to_fs(url)
    except ImportError as error:
        package = f"{error}".rstrip(".")
        raise SourceError(f"{shown} needs another package ({package}).", "Install it.") from error
    except Exception as error:  # each store has its own
        raise SourceError(
            f"{shown} cannot be opened ({_told(url, error)}).", "Check it."
        ) from error
    filesystem.invalidate_cache()  # What this process was told of a folder before may be old.
    return filesystem, path.rstrip("/")


def _persist(url: str, work: Callable[[], T], *, attempts: int) -> T:
    """Try again, with growing waits, what may work the next time. Errors name the address.

    A question is asked once: most stores' packages ask several times by themselves.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(Exception)  # else Ctrl-C too
        & retry_if_not_exception_type((FileNotFoundError, PermissionError, CatdogError)),
        stop=stop_after_attempt(attempts),
        wait=wait,
        before_sleep=before_sleep_log(log, logging.INFO),
        reraise=True,
    )
    shown = without_secrets(url)
    try:
        return retrying(work)
    except CatdogError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{shown} is not there.", "Check the address.") from error
    except PermissionError as error:
        raise SourceError(
            f"{shown} may not be read ({_told(url, error)}).",
            "Log in as the store's own tools do, such as by their environment variables.",
        ) from error
    except Exception as error:  # each store has its own
        raise UnreachableError(
            f"{shown} could not be read ({_told(url, error)}).",
            "Check the login, which is taken from where the store's own tools take it. "
            f"{WITHOUT_NETWORK}",
        ) from error


def _told(url: str, error: Exception) -> str:
    """An error's first line, without what the address lets in."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    return line.replace(url, without_secrets(url))


def _facts(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a store tells of a file, as text."""
    return sorted((key, str(value)) for key, value in info.items())
