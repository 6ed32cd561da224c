"""Where photos come from, and how they get into the store.

A source is named by one string: `official`, `sample`, a folder, an archive, the URL of an archive,
with its checksum as `URL#sha256=HEX` where it is known, or that of a folder in an object store.
"""

import logging
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from catdog.addresses import telling_query, without_secrets
from catdog.errors import SourceError, StoreError
from catdog.sample.facts import SEED, TRAIN, VALIDATION
from catdog.sources import official
from catdog.sources.archives import DamagedArchiveError, extract
from catdog.sources.cloud import CloudPath
from catdog.sources.fetch import Download, OnBytes, Remote, UnreachableError
from catdog.sources.inventory import Inventory, reading, take_inventory
from catdog.sources.parquet import is_table, tables_in, unpack_tables
from catdog.sources.web import WebFile, require_host
from catdog.store.artifacts import Archive, Photos, place_of, write_csv
from catdog.store.digest import digest_once, make_key, value_digest
from catdog.store.files import read_entry, write_text, writing
from catdog.store.store import Recipe, Store

log = logging.getLogger(__name__)

_CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CHOICES = "Give 'official', 'sample', a folder, an archive, or the URL of one."


def require_source(source: str) -> None:
    """Refuse at once, before anything slow starts, what names no source. Raises SourceError."""
    if source in ("sample", "official"):
        return
    if _WEB.match(source):
        _parse_url(source)
    elif _SCHEME.match(source):
        CloudPath(source.partition("#")[0])  # To make it is to check it.
    else:
        _local_path(source)


def recipe(
    source: str, *, store: Store, progress: OnBytes = lambda done, total: None
) -> Recipe[Photos]:
    """How the photos of a source are fetched and unpacked; a folder is listed, not copied.

    A folder counts by the names and bytes of its photos, wherever it is; an archive by its bytes;
    the sample by the code that draws it; a URL by its checksum when given, else by what the server
    tells of the file. A server that tells nothing is asked for the file each time,
    here, and its bytes count. When the server cannot be reached, the newest archive of that
    URL in the store counts. An archive that arrived damaged is not kept, so that it is fetched
    again; one with the right checksum is, since it would arrive so again.

    progress: called with the bytes fetched so far and in all (None when not known).
    Raises SourceError when they cannot be fetched, unpacked or found, and StoreError; so does
    making it.
    """
    if source == "sample":
        return _sample()
    address = official.URL if source == "official" else source
    if _SCHEME.match(address):
        return _remote(*_parse_url(address), store, progress)
    return _local(source, store)


def _sample() -> Recipe[Photos]:
    size = {"train": TRAIN, "validation": VALIDATION, "seed": SEED}

    def make(folder: Path) -> Mapping[str, Any]:
        from catdog.sample.draw import draw

        photos = folder / "photos"
        draw(photos, **size)
        return _record(folder, take_inventory(photos, name="The sample"), "sample")

    key = make_key(code=(__name__,), libraries=("numpy", "pillow"), **size)
    return Recipe(Photos, key, make)


def _local(source: str, store: Store) -> Recipe[Photos]:
    path = _local_path(source)
    with reading():
        if path.is_dir():
            return _folder(source, path, store)
        sha256 = digest_once(path)

    return _unpacked(sha256, lambda folder: (sha256, _unpack(path, folder, source)), source)


def _local_path(source: str) -> Path:
    with reading():
        try:
            path = Path(source).expanduser().resolve()
        except RuntimeError as error:
            raise SourceError(f"{_shown(source)} leads nowhere.", _CHOICES) from error
        if not path.is_dir() and not path.is_file():
            raise SourceError(f"{_shown(source)} is not a file or folder here.", _CHOICES)
    return path


def _shown(path: str) -> str:
    """A path that is none may be an address without its `https://`, with all its secrets."""
    address = ":" in path.rpartition("@")[0] or "?" in path.rpartition("=")[0]
    return without_secrets(f"://{path}").removeprefix("://") if address else path


def _folder(source: str, path: Path, store: Store) -> Recipe[Photos]:
    if tables := tables_in(path):
        listed = [(table.relative_to(path).as_posix(), digest_once(table)) for table in tables]
        whole = value_digest(listed)
        return _unpacked(
            whole, lambda folder: ("", unpack_tables(tables, path, folder, source)), source
        )
    inventory = take_inventory(path, name=source)
    store.work("places")
    with writing(store.home):
        write_text(place_of(store.home, inventory.digest), str(inventory.root))
    key = make_key(code=(__name__,), inventory=inventory.digest, note=inventory.left_out)
    return Recipe(Photos, key, lambda folder: _record(folder, inventory, source))


def _remote(url: str, sha256: str | None, store: Store, progress: OnBytes) -> Recipe[Photos]:
    there = WebFile(url) if _WEB.match(url) else CloudPath(url)
    if isinstance(there, CloudPath) and not sha256 and there.is_folder():
        return _cloud_folder(there, store, progress)
    return _archive(there, sha256, store, progress)


def _cloud_folder(there: CloudPath, store: Store, progress: OnBytes) -> Recipe[Photos]:
    files, digest = there.list_folder()
    key = make_key(code=(__name__,), url=there.shown, listing=digest)

    def make(folder: Path) -> Mapping[str, Any]:
        work = store.unfinished(Photos, key)
        there.fetch_folder(files, work, on_bytes=progress)
        log.info("Fetched %s: %d files", there.shown, len(files))
        fetched = work.replace(folder / "photos")
        note = _unpack_tables(fetched, there.shown)
        return _record(folder, take_inventory(fetched, name=there.shown), there.shown, note)

    return Recipe(Photos, key, make)


def _archive(there: Remote, sha256: str | None, store: Store, progress: OnBytes) -> Recipe[Photos]:
    shown = there.shown
    query = value_digest(asked) if (asked := telling_query(there.url)) else ""
    known: dict[str, Any] = {"sha256": sha256}
    told = True
    if not sha256:
        try:
            version = there.look()._asdict()
        except UnreachableError as error:
            return _offline(shown, query, store, error)
        told = any(value is not None for value in version.values())
        known = {"url": shown, **version} | ({"query": query} if query else {})
    # No code: the bytes are those that were served, whatever fetched them.
    key = make_key(code=(), **known)

    def make(folder: Path) -> Mapping[str, Any]:
        work = store.unfinished(Archive, key)
        part = work / "archive.part"
        size = official.BYTES if there.url == official.URL else None
        seen = Download(there, part, size, sha256, progress).run()
        bytes_ = part.replace(folder / "archive").stat().st_size
        shutil.rmtree(work, ignore_errors=True)
        log.info("Fetched %s: %d bytes, SHA-256 %s", shown, bytes_, seen)
        return {"url": shown, "query": query, "sha256": seen, "bytes": bytes_}

    archive = Recipe(Archive, key, make)
    if not told:
        return _untold(archive, shown, store)
    if not sha256:
        return _stored(lambda: store.obtain(archive), key, shown, store)

    def unpack(folder: Path) -> tuple[str, str]:
        return sha256, _unpack(store.obtain(archive).file("archive"), folder, shown)

    return _unpacked(sha256, unpack, shown, origin=f"{shown}#sha256={sha256}")


def _untold(recipe: Recipe[Archive], url: str, store: Store) -> Recipe[Photos]:
    """The archive as it is now, of a server that does not tell whether it has changed."""
    note = (
        f"The server of {url} does not tell whether the archive has changed, so that each run "
        "fetches it again; URL#sha256=HEX fetches it once."
    )
    log.warning("%s", note)
    archive = store.renew(recipe)
    return _stored(lambda: archive, archive.sha256, url, store, note=note)


def _parse_url(source: str) -> tuple[str, str | None]:
    """The address and the checksum of `URL#sha256=HEX`."""
    url, _, fragment = source.partition("#")
    if _WEB.match(url):
        require_host(url)
    if not fragment:
        return url, None
    checksum = _CHECKSUM.fullmatch(fragment)
    if not checksum:
        raise SourceError(
            f"{without_secrets(source)} does not end in a checksum.",
            "Write URL#sha256= and 64 hex digits.",
        )
    return url, checksum[1].lower()


def _offline(url: str, query: str, store: Store, error: UnreachableError) -> Recipe[Photos]:
    """The newest archive that was ever fetched from this URL; how old it is goes on record."""
    stored = (path for path in store.folders(Archive) if _of(path) == (url, query))
    known = (store.find(Archive, path.name) for path in stored)
    archive = max(filter(None, known), key=lambda archive: archive.number, default=None)
    if not archive:
        raise error
    fetched = f"{archive.created:%Y-%m-%d}"
    note = f"{url} could not be reached; its archive that was fetched on {fetched} is used."
    log.warning("%s (%s)", note, error.problem)
    return _stored(lambda: archive, archive.sha256, url, store, note=note)


def _of(archive: Path) -> tuple[str, str] | None:
    """URL and query of a stored archive; None where its entry cannot be read."""
    try:
        record = read_entry(archive)["record"]
        return record["url"], record.get("query", "")
    except (StoreError, KeyError):
        return None


def _stored(
    obtain: Callable[[], Archive], identity: str, url: str, store: Store, *, note: str = ""
) -> Recipe[Photos]:
    """How an archive of the store becomes photos; one that arrived damaged is removed there."""

    def unpack(folder: Path) -> tuple[str, str]:
        archive = obtain()
        try:
            left_out = _unpack(archive.file("archive"), folder, url)
        except DamagedArchiveError as error:
            store.drop(archive)
            raise SourceError(error.problem, "It is not kept: run again to download it.") from error
        return archive.sha256, left_out

    return _unpacked(identity, unpack, url, note=note)


def _unpacked(
    identity: str,
    unpack: Callable[[Path], tuple[str, str]],
    name: str,
    *,
    origin: str = "",
    note: str = "",
) -> Recipe[Photos]:
    """How an archive, or Parquet files, become photos.

    identity: what stands for it in the key. unpack: fills a folder, and tells the SHA-256 of the
    archive, if it is one, and what was left out.
    """

    def make(folder: Path) -> Mapping[str, Any]:
        photos = folder / "photos"
        photos.mkdir()
        sha256, left_out = unpack(photos)
        told = " ".join(filter(None, [note, left_out]))
        record = _record(folder, take_inventory(photos, name=name), origin or name, told)
        return record | {"archive_sha256": sha256}

    return Recipe(Photos, make_key(code=(__name__,), archive=identity, note=note), make)


def _unpack(file: Path, folder: Path, name: str) -> str:
    """Unpack an archive or a Parquet file; what was left out."""
    if is_table(file):
        return unpack_tables([file], file, folder, name)
    extract(file, folder, name=name)
    return _unpack_tables(folder, name)


def _unpack_tables(folder: Path, name: str) -> str:
    """Put photos in the place of Parquet files without photos next to them; what was left out."""
    tables = tables_in(folder)
    if not tables:
        return ""
    packed = folder.rename(folder.with_name("tables"))
    folder.mkdir()
    moved = [packed / table.relative_to(folder) for table in tables]
    left_out = unpack_tables(moved, packed, folder, name)
    shutil.rmtree(packed)
    return left_out


def _record(folder: Path, inventory: Inventory, origin: str, note: str = "") -> dict[str, Any]:
    columns: tuple[str, ...] = ("path", "bytes", "sha256")
    rows: Iterable[tuple[object, ...]] = inventory.rows
    told = {"place": inventory.places, "group": inventory.groups, "facts": inventory.facts}
    for column, values in told.items():
        if values:
            columns = (*columns, column)
            rows = [(*row, value) for row, value in zip(rows, values, strict=True)]
    write_csv(folder / "photos.csv", columns, rows)
    own = inventory.root.is_relative_to(folder)
    return {
        "origin": origin,
        "root": inventory.root.relative_to(folder) if own else None,
        "inventory": inventory.digest,
        "count": len(inventory.rows),
        "note": " ".join(filter(None, [note, inventory.left_out])),
    }
