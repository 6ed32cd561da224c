"""Photos in an object store; the store is fsspec's own in memory, which is one like the others."""

import errno
import sys
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pets import BODY, NAMES, SHA256, Fetcher, leftovers, listed, zipped

from catdog.errors import SourceError, StoreError
from catdog.sources import cloud
from catdog.sources.cloud import CloudPath
from catdog.sources.download import recipe, require_source
from catdog.sources.fetch import WINDOW_SECONDS, Download, UnreachableError
from catdog.store.store import Store

ARCHIVE = "memory://bucket/pets.zip"
FOLDER = "memory://bucket/pets"


@pytest.fixture
def bucket() -> Iterator[MemoryFileSystem]:
    """An empty store."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    yield filesystem
    filesystem.store.clear()


@pytest.fixture
def folder(bucket: MemoryFileSystem) -> MemoryFileSystem:
    for name in NAMES:
        bucket.pipe(f"/bucket/pets/{name}", name.encode() * 1_000)
    return bucket


def test_an_archive_is_fetched_once_and_recorded(bucket: MemoryFileSystem, get: Fetcher) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    photos = get(ARCHIVE)
    assert listed(photos) == NAMES
    assert (photos.origin, photos.archive_sha256) == (ARCHIVE, SHA256)
    assert get.seen[-1] == (len(BODY), len(BODY))
    assert not leftovers(get.store)
    get.seen.clear()
    assert get(ARCHIVE) == photos
    assert not get.seen


def test_a_changed_archive_is_fetched_again(bucket: MemoryFileSystem, get: Fetcher) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    before = get(ARCHIVE)
    bucket.pipe("/bucket/pets.zip", zipped(NAMES[:-1]))
    assert get(ARCHIVE).count == before.count - 1


@pytest.mark.parametrize(
    ("given", "fine"), [(SHA256, True), ("0" * 64, False)], ids=["right", "wrong"]
)
def test_the_checksum_is_checked(
    bucket: MemoryFileSystem, get: Fetcher, given: str, fine: bool
) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    source = f"{ARCHIVE}#sha256={given}"
    if fine:
        assert get(source).archive_sha256 == SHA256
    else:
        with pytest.raises(SourceError, match=f"SHA-256 {SHA256} instead of 000"):
            get(source)


def test_an_interrupted_download_goes_on(
    bucket: MemoryFileSystem, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    monkeypatch.setattr(cloud, "BLOCK", 10_000)
    seen: list[int] = []

    def stop(done: int, total: int | None) -> None:
        seen.append(done)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain(recipe(ARCHIVE, store=store, progress=stop))
    assert seen == [10_000, 20_000, 30_000]
    photos = store.obtain(recipe(ARCHIVE, store=store, progress=stop))
    assert seen[3] == 40_000
    assert photos.archive_sha256 == SHA256


def test_a_version_that_came_meanwhile_is_fetched_from_the_start(
    bucket: MemoryFileSystem, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/bucket/pets.zip", b"x" * len(BODY))
    monkeypatch.setattr(cloud, "BLOCK", 10_000)
    part = store.work("test") / "part"

    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Download(CloudPath(ARCHIVE), part, on_bytes=stop).run()
    bucket.pipe("/bucket/pets.zip", BODY)
    assert Download(CloudPath(ARCHIVE), part).run() == SHA256


def test_a_full_disk_is_no_fault_of_the_store(
    bucket: MemoryFileSystem, get: Fetcher, waits: list[float], full_disk: None
) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    with pytest.raises(StoreError, match="No space left"):
        get(ARCHIVE)
    assert waits == []


def test_a_full_disk_is_no_fault_of_a_store_s_folder(
    folder: MemoryFileSystem,
    get: Fetcher,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fill(there: list[str], here: list[str]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder, "get", fill)
    with pytest.raises(StoreError, match="No space left"):
        get(FOLDER)
    assert waits == []


def test_an_archive_of_unknown_size_may_take_half_of_the_disk(
    bucket: MemoryFileSystem, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    info = bucket.info
    monkeypatch.setattr(bucket, "info", lambda path: info(path) | {"size": None})
    assert get(ARCHIVE).archive_sha256 == SHA256
    bucket.pipe("/bucket/pets.zip", zipped(NAMES[::-1]))
    monkeypatch.setattr(
        "catdog.sources.fetch.shutil.disk_usage", lambda _: SimpleNamespace(free=len(BODY))
    )
    with pytest.raises(SourceError, match=r"did not end: the disk of .* is too small"):
        get(ARCHIVE)
    assert not leftovers(get.store)


def test_a_store_that_drips_is_given_up_on(
    bucket: MemoryFileSystem, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    monkeypatch.setattr(cloud, "BLOCK", 10_000)
    ticking = count(step=100 * WINDOW_SECONDS)
    monkeypatch.setattr("catdog.sources.fetch.time", SimpleNamespace(monotonic=ticking.__next__))
    with pytest.raises(UnreachableError, match="less than"):
        get(ARCHIVE)


def test_a_folder_is_fetched_file_by_file_without_hidden_ones(
    folder: MemoryFileSystem, get: Fetcher
) -> None:
    folder.pipe("/bucket/pets/train/cats/.hidden.jpg", b"1")
    folder.pipe("/bucket/pets/README.md", b"1")
    photos = get(FOLDER)
    assert listed(photos) == NAMES
    assert (photos.folder / NAMES[0]).read_bytes() == NAMES[0].encode() * 1_000
    assert photos.note == "Files that catdog does not read as photos were left out: 1 of .md."
    get.seen.clear()
    assert get(FOLDER) == photos
    assert not get.seen


def test_a_changed_file_of_a_folder_changes_the_key(folder: MemoryFileSystem, get: Fetcher) -> None:
    before = get.key(FOLDER)
    folder.pipe(f"/bucket/pets/{NAMES[0]}", b"2")
    assert get.key(FOLDER) != before


def test_what_is_there_of_an_interrupted_folder_is_not_fetched_again(
    folder: MemoryFileSystem, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "AT_ONCE", 5)
    seen: list[int] = []

    def stop(done: int, total: int | None) -> None:
        seen.append(done)
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain(recipe(FOLDER, store=store, progress=stop))
    photos = store.obtain(recipe(FOLDER, store=store, progress=stop))
    assert listed(photos) == NAMES
    assert len(seen) == 3, "5 of the 12 photos, then 5, then 2"


def test_the_disk_need_hold_only_what_is_missing_of_a_folder(
    folder: MemoryFileSystem, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud, "AT_ONCE", 5)

    def fill(done: int, total: int | None) -> None:
        assert total
        monkeypatch.setattr(cloud, "disk_usage", lambda _: SimpleNamespace(free=total - done))
        if done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.obtain(recipe(FOLDER, store=store, progress=fill))
    assert listed(store.obtain(recipe(FOLDER, store=store))) == NAMES


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../../evil.jpg", "leads out of the folder"),
        ("train/cats", "has the name of a folder"),
        ("train/cats/a\0.jpg", "has a null character"),
        ("train/cats/\ud800.jpg", "is no text"),
        (f"train/cats/{'a' * 300}.jpg", "is too long"),
        (f"train/{'a' * 300}/a.jpg", "is too long"),
    ],
)
def test_a_name_that_no_disk_can_have_is_refused(
    folder: MemoryFileSystem, get: Fetcher, name: str, told: str
) -> None:
    folder.store[f"/bucket/pets/{name}"] = folder.store[f"/bucket/pets/{NAMES[0]}"]
    with pytest.raises(SourceError, match=rf"its file '.*' {told}.*Rename it there") as raised:
        get(FOLDER)
    assert len(str(raised.value)) < 500
    assert str(raised.value).isprintable()


def test_what_is_not_there(bucket: MemoryFileSystem, get: Fetcher) -> None:
    with pytest.raises(SourceError, match=f"{ARCHIVE} is not there"):
        get(ARCHIVE)


def test_a_store_that_does_not_answer_is_named_and_what_came_from_it_serves(
    bucket: MemoryFileSystem, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.pipe("/bucket/pets.zip", BODY)
    get(ARCHIVE)

    def refuse(path: str, **_: object) -> None:
        raise ConnectionError("no route to the store")

    monkeypatch.setattr(bucket, "info", refuse)
    monkeypatch.setattr(bucket, "isdir", refuse)
    assert "could not be reached; its archive" in get(ARCHIVE).note
    with pytest.raises(UnreachableError, match=r"other.zip could .*no route to the store"):
        get("memory://bucket/other.zip")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("s3://bucket/a.zip", "s3fs"),
        ("gs://bucket/a.zip", "gcsfs"),
        ("az://container/a.zip", "adlfs"),
        ("hf://datasets/owner/pets", "huggingface_hub"),
    ],
)
def test_a_missing_package_is_named_before_anything_starts(
    source: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, told, None)
    with pytest.raises(SourceError, match=rf"{source} needs another package \(.*{told}"):
        require_source(source)


@pytest.mark.parametrize(
    "source", ["nosuch://host/a.zip", "ftp://host/a.zip", "file:///a.zip", "memory://a::memory://b"]
)
def test_other_schemes(source: str) -> None:
    with pytest.raises(SourceError, match="has not one of the schemes http, https, s3"):
        require_source(source)


def test_a_login_in_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError) as raised:
        require_source("nosuch://user:hunter2@host/a.zip?token=hunter2")
    assert "hunter2" not in str(raised.value)
