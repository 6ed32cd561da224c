"""Where photos come from, and how they get into the store.

A source is named by one string: `official`, `sample`, a folder, an archive, or the URL of an
archive, with its checksum as `URL#sha256=HEX` where it is known.
"""

import logging
import re
import shutil
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from catdog.addresses import without_secrets
from catdog.errors import SourceError, StoreError
from catdog.sources.archives import extract
from catdog.sources.fetch import Progress, Sleep, UnreachableError, fetch, look
from catdog.sources.inventory import Inventory, reading, take_inventory
from catdog.store.artifacts import Archive, Photos
from catdog.store.digest import digest_once, make_key
from catdog.store.files import read_entry, write_text
from catdog.store.store import Recipe, Store

log = logging.getLogger(__name__)

OFFICIAL = "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip"
OFFICIAL_BYTES = 68_606_236
"""Its publisher gives no checksum; the one that was seen is recorded."""
SAMPLE_TRAIN = 600
SAMPLE_VALIDATION = 200
SAMPLE_SEED = 1
"""Fixed: a run with another training seed is a run on the same photos."""

_CHECKSUM = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CHOICES = "Give 'official', 'sample', a folder, an archive, or the http(s) URL of an archive."


def require_source(source: str) -> None:
    """Refuse at once, before anything slow starts, what names no source. Raises SourceError."""
    if source not in ("sample", "official") and not _WEB.match(source):
        _local_path(source)


def recipe(
    source: str, *, store: Store, progress: Progress | None = None, sleep: Sleep = time.sleep
) -> Recipe[Photos]:
    """How the photos of a source are fetched and unpacked; a folder is listed, not copied.

    A folder counts by the names and bytes of its photos and by its place; an archive by its
    bytes; the sample by the code that draws it; a URL by its checksum when given, else by what
    the server tells of the file. When the server cannot be reached, the newest archive of that
    URL in the store counts.

    progress: called with the bytes fetched so far and in all (None when not known).
    sleep: waits so many seconds between two tries of a download.
    Raises SourceError when they cannot be fetched, unpacked or found, and StoreError; so does
    making it.
    """
    if source == "sample":
        return _sample()
    if source == "official":
        return _of_url(OFFICIAL, store, progress, sleep)
    if _WEB.match(source):
        return _of_url(source, store, progress, sleep)
    return _local(source)


def _sample() -> Recipe[Photos]:
    key = make_key(
        code=("catdog.sources.download",),
        libraries=("numpy", "pillow"),
        train=SAMPLE_TRAIN,
        validation=SAMPLE_VALIDATION,
        seed=SAMPLE_SEED,
    )
    return Recipe(Photos, key, _make_sample)


def _make_sample(folder: Path) -> Mapping[str, Any]:
    from catdog.sample.draw import draw

    photos = folder / "photos"
    photos.mkdir()
    draw(photos, train=SAMPLE_TRAIN, validation=SAMPLE_VALIDATION, seed=SAMPLE_SEED)
    return _record(folder, take_inventory(photos, name="The sample"), "sample")


def _local(source: str) -> Recipe[Photos]:
    path = _local_path(source)
    with reading():
        if path.is_dir():
            return _of_folder(source, path)
        sha256 = digest_once(path)
    return Recipe(
        Photos,
        _unpacked_key(sha256),
        lambda folder: _make_unpacked(folder, path, name=source, origin=source, sha256=sha256),
    )


def _local_path(source: str) -> Path:
    if _SCHEME.match(source):
        raise SourceError(f"{source}: catdog fetches from http:// and https:// only.", _CHOICES)
    with reading():
        try:
            path = Path(source).expanduser().resolve()
        except RuntimeError as error:
            raise SourceError(f"{source} leads nowhere ({error}).", _CHOICES) from error
        if not path.is_dir() and not path.is_file():
            raise SourceError(f"{source} is not a file or folder here.", _CHOICES)
    return path


def _of_folder(source: str, path: Path) -> Recipe[Photos]:
    inventory = take_inventory(path, name=source)
    key = make_key(
        code=("catdog.sources.download",),
        inventory=inventory.digest,
        root=str(inventory.root),
        note=inventory.left_out,
    )
    return Recipe(Photos, key, lambda folder: _record(folder, inventory, source))


def _of_url(source: str, store: Store, progress: Progress | None, sleep: Sleep) -> Recipe[Photos]:
    url, sha256 = _parse_url(source)
    shown = without_secrets(url)
    origin = f"{shown}#sha256={sha256}" if sha256 else shown
    if sha256:
        archive_key = _archive_key(sha256=sha256)
        key = _unpacked_key(sha256)
    else:
        try:
            seen = look(url, sleep=sleep)
        except UnreachableError as error:
            return _offline(shown, store, error)
        archive_key = _archive_key(url=shown, **seen.as_json())
        key = _unpacked_key(archive_key)

    def make(folder: Path) -> Mapping[str, Any]:
        work = store.unfinished(Archive, archive_key)
        fetching = partial(_make_archive, url, sha256, work, progress, sleep)
        archive = store.obtain(Recipe(Archive, archive_key, fetching))
        path = archive.file("archive")
        return _make_unpacked(folder, path, name=shown, origin=origin, sha256=archive.sha256)

    return Recipe(Photos, key, make)


def _parse_url(source: str) -> tuple[str, str | None]:
    """The address and the checksum of `URL#sha256=HEX`."""
    url, _, fragment = source.partition("#")
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceError(f"{source} is not an address ({error}).", "Check it.") from error
    if not fragment:
        return url, None
    checksum = _CHECKSUM.fullmatch(fragment)
    if not checksum:
        raise SourceError(
            f"{source}: '#{fragment}' is not a checksum.", "Write URL#sha256= and 64 hex digits."
        )
    return url, checksum[1].lower()


def _offline(url: str, store: Store, error: UnreachableError) -> Recipe[Photos]:
    """The newest archive that was ever fetched from this URL; how old it is goes on record."""
    found = _newest_archive(url, store)
    if not found:
        raise error
    archive, created = found
    note = f"{url} could not be reached; its archive that was fetched on {created[:10]} is used."
    log.warning("%s (%s)", note, error.problem)
    path = archive.file("archive")
    return Recipe(
        Photos,
        _unpacked_key(archive.sha256, note=note),
        lambda folder: _make_unpacked(
            folder, path, name=url, origin=url, sha256=archive.sha256, note=note
        ),
    )


def _newest_archive(url: str, store: Store) -> tuple[Archive, str] | None:
    found: list[tuple[str, str]] = []
    for path in store.folders(Archive):
        try:
            entry = read_entry(path)
        except StoreError:
            continue
        if entry["record"]["url"] == url:
            found.append((entry["created"], path.name))
    for created, key in sorted(found, reverse=True):
        if archive := store.find(Archive, key):
            return archive, created
    return None


def _archive_key(**known: Any) -> str:
    # No code: the bytes are those that were served, whatever fetched them.
    return make_key(code=(), **known)


def _unpacked_key(archive: str, *, note: str = "") -> str:
    return make_key(code=("catdog.sources.download",), archive=archive, note=note)


def _make_archive(
    url: str,
    sha256: str | None,
    work: Path,
    progress: Progress | None,
    sleep: Sleep,
    folder: Path,
) -> Mapping[str, Any]:
    part = work / "archive.part"
    size = OFFICIAL_BYTES if url == OFFICIAL else None
    seen = fetch(url, part, size=size, sha256=sha256, progress=progress, sleep=sleep)
    archive = part.replace(folder / "archive")
    shutil.rmtree(work, ignore_errors=True)
    shown = without_secrets(url)
    log.info("Fetched %s: %d bytes, SHA-256 %s", shown, archive.stat().st_size, seen)
    return {"url": shown, "sha256": seen, "bytes": archive.stat().st_size}


def _make_unpacked(
    folder: Path, archive: Path, *, name: str, origin: str, sha256: str, note: str = ""
) -> Mapping[str, Any]:
    photos = folder / "photos"
    photos.mkdir()
    extract(archive, photos, name=name)
    record = _record(folder, take_inventory(photos, name=name), origin)
    notes = filter(None, [note, record["note"]])
    return record | {"archive_sha256": sha256, "note": " ".join(notes)}


def _record(folder: Path, inventory: Inventory, origin: str) -> dict[str, Any]:
    write_text(folder / "photos.csv", inventory.csv)
    own = inventory.root.is_relative_to(folder)
    return {
        "origin": origin,
        "root": inventory.root.relative_to(folder) if own else inventory.root,
        "inventory": inventory.digest,
        "count": inventory.count,
        "note": inventory.left_out,
    }
