"""Photos from a server, a file, a folder and the sample, with all that goes wrong on the way."""

import csv
import hashlib
import io
import os
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from catdog.errors import SourceError, StoreError
from catdog.sources import download as sources
from catdog.sources.download import recipe
from catdog.sources.fetch import FETCH_ATTEMPTS, LOOK_ATTEMPTS, UnreachableError
from catdog.store.artifacts import Photos
from catdog.store.store import Store

NAMES = [
    f"{split}/{label}/{label} {number}.jpg"
    for split in ("train", "validation")
    for label in ("cats", "dogs")
    for number in range(3)
]


def zipped(names: list[str], wrapper: str = "pets/") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(wrapper + name, hashlib.sha512(name.encode()).digest() * 500)
    return packed.getvalue()


BODY = zipped(NAMES)
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Site:
    """What the test server serves, how it misbehaves, and what it was asked."""

    body: bytes = BODY
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    knows_head: bool = True
    sends_size: bool = True
    pause: float = 0.0
    cuts: list[int] = field(default_factory=list)
    """For each of the next GETs, after how many bytes the line breaks."""
    failures: list[int] = field(default_factory=list)
    """The status of each of the next answers."""
    retry_after: str | None = None
    moved_to: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Method and Range of each request."""
    agents: set[str] = field(default_factory=set)
    url: str = ""
    server: ThreadingHTTPServer | None = None

    def close(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def gets(self) -> list[str | None]:
        return [span for method, span in self.asked if method == "GET"]


class Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        site = self.site
        site.asked.append((self.command, self.headers["Range"]))
        site.agents.add(self.headers["User-Agent"])
        if site.failures:
            self.reply(site.failures.pop(0), **{"Retry-After": site.retry_after})
        elif self.command == "HEAD" and not site.knows_head:
            self.reply(405)
        elif site.moved_to and self.path != site.moved_to:
            self.reply(302, Location=site.moved_to)
        else:
            self.serve()

    def reply(self, status: int, **headers: str | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def serve(self) -> None:
        site, start = self.site, 0
        span = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        if span and site.ranges and self.headers["If-Range"] in (site.etag, site.modified):
            start = int(span[1])
        end = len(site.body)
        if start >= end:
            self.reply(416, **{"Content-Range": f"bytes */{end}"})
            return
        headers = {"ETag": site.etag, "Last-Modified": site.modified}
        if site.sends_size:
            headers["Content-Length"] = str(end - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        self.reply(206 if start else 200, **headers)
        if self.command == "GET":
            self.send_body(site.body[start:])

    def send_body(self, body: bytes) -> None:
        if self.site.cuts:
            body = body[: self.site.cuts.pop(0)]
        step = max(1, len(body) // 4)
        for place in range(0, len(body), step):
            time.sleep(self.site.pause)
            self.wfile.write(body[place : place + step])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    here = Site()
    handler = type("SiteHandler", (Handler,), {"site": here})
    here.server = Server(("127.0.0.1", 0), handler)
    here.url = f"http://127.0.0.1:{here.server.server_port}/pets.zip"
    thread = threading.Thread(target=here.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield here
    here.close()
    thread.join()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def waits() -> list[float]:
    """The seconds that were waited, or would have been."""
    return []


def download(source: str, *, store: Store, **options: Any) -> Photos:
    return store.obtain(recipe(source, store=store, **options))


@dataclass
class Fetcher:
    store: Store
    waits: list[float]
    seen: list[tuple[int, int | None]] = field(default_factory=list)

    def __call__(self, source: str) -> Photos:
        return download(
            source,
            store=self.store,
            progress=lambda done, total: self.seen.append((done, total)),
            sleep=self.waits.append,
        )

    def key(self, source: str) -> str:
        return recipe(source, store=self.store, sleep=self.waits.append).key


@pytest.fixture
def get(store: Store, waits: list[float]) -> Fetcher:
    return Fetcher(store, waits)


def listed(photos: Photos) -> list[str]:
    with photos.file("photos.csv").open(encoding="utf-8", newline="") as file:
        return [row["path"] for row in csv.DictReader(file)]


def leftovers(store: Store) -> list[Path]:
    return [path for path in (store.home / "work").rglob("*") if path.is_file()]


def as_folder(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


# Over HTTP


def test_fetches_unpacks_and_records(site: Site, get: Fetcher, store: Store) -> None:
    photos = get(site.url)
    assert listed(photos) == NAMES
    assert all((photos.folder / name).is_file() for name in NAMES)
    assert photos.root == Path("photos/pets")
    assert (photos.origin, photos.count, photos.note) == (site.url, len(NAMES), "")
    assert photos.archive_sha256 == SHA256
    assert get.seen[-1] == (len(BODY), len(BODY))
    assert all(re.fullmatch(r"catdog/\d[\w.]+", agent) for agent in site.agents)
    assert not leftovers(store)


def test_the_key_is_known_before_and_the_second_time_nothing_is_fetched(
    site: Site, get: Fetcher
) -> None:
    key = get.key(site.url)
    assert site.gets == []
    assert get(site.url).key == key == get(site.url).key
    assert site.gets == [None]


def test_two_runs_at_once_fetch_once(site: Site, store: Store) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: download(site.url, store=store), range(2))
    assert one == two
    assert site.gets == [None]


def test_goes_on_where_it_was_cut_off(site: Site, get: Fetcher, waits: list[float]) -> None:
    site.cuts = [1000, 5000]
    assert get(site.url).archive_sha256 == SHA256
    assert site.gets == [None, "bytes=1000-", "bytes=6000-"]
    assert len(waits) == 2
    assert waits[1] > waits[0] > 0


def test_goes_on_in_a_later_run(site: Site, get: Fetcher, store: Store) -> None:
    class Interrupt(BaseException):
        pass

    def stop(done: int, total: int | None) -> None:
        raise Interrupt

    with pytest.raises(Interrupt):
        download(site.url, store=store, progress=stop)
    (part,) = [path for path in leftovers(store) if path.suffix == ".part"]
    had = part.stat().st_size
    assert 0 < had < len(BODY)
    assert get(site.url).archive_sha256 == SHA256
    assert site.gets == [None, f"bytes={had}-"]
    assert not leftovers(store)


def test_a_whole_partial_file_is_fetched_afresh(site: Site, get: Fetcher, store: Store) -> None:
    site.cuts = [1000] + [0] * (FETCH_ATTEMPTS - 1)
    with pytest.raises(UnreachableError):
        get(site.url)
    (part,) = [path for path in leftovers(store) if path.suffix == ".part"]
    part.write_bytes(BODY)
    assert get(site.url).archive_sha256 == SHA256


@pytest.mark.parametrize("etag", ['"v1"', 'W/"weak"', None])
def test_starts_over_where_it_must(site: Site, get: Fetcher, etag: str | None) -> None:
    site.ranges, site.etag, site.cuts = False, etag, [1000]
    assert get(site.url).archive_sha256 == SHA256
    assert site.gets == [None, "bytes=1000-" if etag == '"v1"' else None]


def test_a_date_will_do_where_there_is_no_etag(site: Site, get: Fetcher) -> None:
    site.etag, site.modified, site.cuts = None, formatdate(0, usegmt=True), [1000]
    assert get(site.url).archive_sha256 == SHA256
    assert site.gets == [None, "bytes=1000-"]


def test_never_joins_two_versions(site: Site, get: Fetcher, waits: list[float]) -> None:
    """The file changes on the server while the line is down."""
    newer = zipped(NAMES[::-1])
    site.cuts = [1000]

    def change(seconds: float) -> None:
        site.body, site.etag = newer, '"v2"'

    photos = download(site.url, store=get.store, sleep=change)
    assert photos.archive_sha256 == hashlib.sha256(newer).hexdigest()


def test_no_size_from_the_server(site: Site, get: Fetcher) -> None:
    site.sends_size = False
    assert get(site.url).archive_sha256 == SHA256
    assert get.seen[-1] == (len(BODY), None)


def test_slow_server(site: Site, get: Fetcher) -> None:
    site.pause = 0.01
    assert get(site.url).count == len(NAMES)
    assert len(get.seen) > 1
    assert get.seen == sorted(get.seen)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_are_final(site: Site, get: Fetcher, waits: list[float], status: int) -> None:
    site.failures = [status] * 9
    with pytest.raises(SourceError, match=rf"pets\.zip answers {status} .*Check the address"):
        get(site.url)
    assert waits == []


def test_404_in_the_middle(site: Site, get: Fetcher) -> None:
    site.failures = [200, 404]
    with pytest.raises(SourceError, match="404"):
        get(site.url)
    assert list(get.store.folder("photos", "").glob("*")) == []


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_troubles_pass(site: Site, get: Fetcher, waits: list[float], status: int) -> None:
    site.failures = [status, status]
    assert get(site.url).count == len(NAMES)
    assert len(waits) == 2


def test_a_failure_while_going_on_loses_nothing(site: Site, get: Fetcher) -> None:
    site.cuts = [1000]

    def fail_once(seconds: float) -> None:
        if len(site.gets) == 1:
            site.failures = [500]

    download(site.url, store=get.store, sleep=fail_once)
    assert site.gets == [None, "bytes=1000-", "bytes=1000-"]


def test_waits_as_long_as_it_is_asked_to(site: Site, get: Fetcher, waits: list[float]) -> None:
    site.failures, site.retry_after = [503], "7"
    get(site.url)
    assert waits == [7]


def test_retry_after_may_be_a_date(site: Site, get: Fetcher, waits: list[float]) -> None:
    site.failures, site.retry_after = [503], formatdate(time.time() + 30, usegmt=True)
    get(site.url)
    assert waits[0] == pytest.approx(30, abs=3)


def test_does_not_wait_for_an_hour(site: Site, get: Fetcher, waits: list[float]) -> None:
    site.failures, site.retry_after = [429], "3600"
    with pytest.raises(UnreachableError, match=r"wait 3,600 seconds.*Try again then"):
        get(site.url)
    assert waits == []


def test_gives_up_in_the_end(site: Site, get: Fetcher, waits: list[float]) -> None:
    site.failures = [500] * 99
    with pytest.raises(UnreachableError, match=r"pets\.zip could not be .* 500 .*'sample'"):
        get(site.url)
    assert len(waits) == LOOK_ATTEMPTS - 1


def test_no_server(site: Site, get: Fetcher) -> None:
    site.close()
    with pytest.raises(UnreachableError, match=r"pets\.zip could not be .*--source a local file"):
        get(site.url)


def test_wrong_size(site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "OFFICIAL", site.url)
    with pytest.raises(SourceError, match=rf"has {len(BODY):,} bytes instead of 68,606,236"):
        get("official")
    assert not leftovers(get.store)


def test_official_is_a_short_name_of_its_url(
    site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "OFFICIAL", site.url)
    monkeypatch.setattr(sources, "OFFICIAL_BYTES", len(BODY))
    assert get("official") == get(site.url)


def test_right_checksum(site: Site, get: Fetcher) -> None:
    source = f"{site.url}#sha256={SHA256.upper()}"
    photos = get(source)
    site.close()
    assert get(source) == photos
    assert get.key(source) == photos.key
    assert [method for method, _ in site.asked] == ["GET"]


def test_wrong_checksum(site: Site, get: Fetcher) -> None:
    wrong = "0" * 64
    with pytest.raises(SourceError, match=f"SHA-256 {SHA256} instead of {wrong}"):
        get(f"{site.url}#sha256={wrong}")
    assert not leftovers(get.store)
    assert list(get.store.folder("archive", "").glob("*")) == []


@pytest.mark.parametrize("fragment", ["sha256=12", "md5=00", "top"])
def test_what_is_no_checksum(site: Site, get: Fetcher, fragment: str) -> None:
    with pytest.raises(SourceError, match=rf"'#{fragment}' is not a checksum"):
        get(f"{site.url}#{fragment}")


def test_follows_redirects(site: Site, get: Fetcher) -> None:
    site.moved_to = "/elsewhere/pets.zip"
    photos = get(site.url)
    assert photos.archive_sha256 == SHA256
    assert photos.origin == site.url


def test_endless_redirects(site: Site, get: Fetcher, waits: list[float]) -> None:
    site.moved_to = "/else where"  # Never what the client asks for: spaces are escaped.
    with pytest.raises(SourceError, match=r"pets\.zip cannot be fetched .*Check the address"):
        get(site.url)
    assert waits == []


def test_a_server_without_head(site: Site, get: Fetcher) -> None:
    site.knows_head = False
    photos = get(site.url)
    assert photos.archive_sha256 == SHA256
    assert get(site.url) == photos


def test_a_changed_file_is_fetched_again(site: Site, get: Fetcher) -> None:
    first = get(site.url)
    site.body, site.etag = zipped([*NAMES, "train/cats/new.png"]), '"v2"'
    second = get(site.url)
    assert second.count == first.count + 1
    assert second.key != first.key


def test_the_same_photos_have_the_same_inventory(site: Site, get: Fetcher) -> None:
    first = get(site.url)
    site.body, site.etag = zipped(NAMES, wrapper="other/wrapper/"), '"v2"'
    assert get(site.url).inventory == first.inventory


def test_without_network_the_newest_archive_serves_and_says_so(site: Site, get: Fetcher) -> None:
    get(site.url)
    site.body, site.etag = zipped([*NAMES, "train/cats/new.png"]), '"v2"'
    newest = get(site.url)
    _make_older(get.store, SHA256)
    site.close()
    key = get.key(site.url)
    photos = get(site.url)
    assert photos.key == key
    assert photos.inventory == newest.inventory
    assert photos.note.startswith(f"{site.url} could not be reached; its archive")
    assert get(site.url) == photos


def test_without_network_another_url_does_not_serve(site: Site, get: Fetcher) -> None:
    get(site.url)
    site.close()
    with pytest.raises(UnreachableError):
        get(site.url + "?other")


def test_a_damaged_archive_does_not_serve(site: Site, get: Fetcher) -> None:
    get(site.url)
    site.close()
    (archive,) = get.store.folder("archive", "").glob("*/archive")
    archive.write_bytes(b"rubbish")
    with pytest.raises(UnreachableError):
        get(site.url)


def _make_older(store: Store, sha256: str) -> None:
    for entry in store.folder("archive", "").glob("*/entry.json"):
        text = entry.read_text()
        if sha256 in text:
            entry.write_text(re.sub(r'"created": "\d{4}', '"created": "2001', text))


def test_secrets_in_an_address_are_not_written_down(site: Site, get: Fetcher) -> None:
    photos = get(site.url.replace("//", "//me:secret@"))
    assert photos.origin == site.url
    for entry in get.store.home.rglob("entry.json"):
        assert "secret" not in entry.read_text()


def test_a_web_page_is_not_an_archive(site: Site, get: Fetcher) -> None:
    site.body = b"<!DOCTYPE html><title>Please log in</title>"
    with pytest.raises(SourceError, match=rf"{site.url} is not a zip .*<!DOCTYP"):
        get(site.url)
    assert list(get.store.folder("photos", "").glob("*")) == []


def test_a_full_disk(site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk:
        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *args: object) -> None: ...

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    real = Path.open

    def opened(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        return FullDisk() if path.suffix == ".part" else real(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(StoreError, match="No space left"):
        get(site.url)


@pytest.mark.parametrize("source", ["ftp://host/a.zip", "s3://bucket/a.zip", "file:///a.zip"])
def test_other_schemes(get: Fetcher, source: str) -> None:
    with pytest.raises(SourceError, match=rf"{source}: catdog fetches from http"):
        get(source)


@pytest.mark.parametrize("source", ["http://host:port/a.zip", "http://[::1/a.zip#sha256=0"])
def test_an_address_that_is_none(get: Fetcher, source: str) -> None:
    with pytest.raises(SourceError, match="is not an address"):
        get(source)


# A local archive


def test_a_local_archive(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "my pets.zip"
    archive.write_bytes(BODY)
    photos = get(str(archive))
    assert listed(photos) == NAMES
    assert photos.key == get.key(str(archive))
    assert (photos.origin, photos.archive_sha256) == (str(archive), SHA256)


def test_a_moved_archive_is_not_unpacked_again(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(BODY)
    key = get.key(str(archive))
    assert get.key(str(archive.rename(tmp_path / "moved"))) == key


def test_a_changed_archive_has_another_key(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(BODY)
    key = get.key(str(archive))
    archive.write_bytes(zipped(NAMES[1:]))
    assert get.key(str(archive)) != key


def test_a_bad_archive_leaves_nothing(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(zipped([*NAMES, "../../evil.jpg"], wrapper=""))
    with pytest.raises(SourceError, match=r"pets\.zip: its member '\.\./\.\./evil\.jpg'"):
        get(str(archive))
    assert not leftovers(get.store)
    assert not list(tmp_path.rglob("evil.jpg"))


def test_a_deleted_photo_is_unpacked_again(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(BODY)
    photos = get(str(archive))
    (photos.folder / NAMES[0]).unlink()
    assert (get(str(archive)).folder / NAMES[0]).is_file()


def test_what_is_no_archive(tmp_path: Path, get: Fetcher) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no photos here")
    with pytest.raises(SourceError, match=r"notes\.txt is not a zip or tar archive"):
        get(str(text))


def test_an_archive_without_photos(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(zipped(["readme.txt"]))
    with pytest.raises(SourceError, match=r"pets\.zip holds no photo files"):
        get(str(archive))


def test_a_path_that_does_not_exist(get: Fetcher) -> None:
    with pytest.raises(SourceError, match=r"offical is not a file or folder.*Give 'official'"):
        get("offical")


def test_a_path_that_leads_nowhere(tmp_path: Path, get: Fetcher) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    for source in (str(circle), "~nobody-of-this-name/pets", "/dev/null"):
        with pytest.raises(SourceError, match=source):
            get(source)


# A local folder


def test_a_folder_is_listed_not_copied(tmp_path: Path, get: Fetcher) -> None:
    folder = as_folder(tmp_path / "pets", NAMES)
    photos = get(str(folder))
    assert listed(photos) == NAMES
    assert photos.folder == folder
    assert photos.key == get.key(str(folder))
    assert sorted(path.name for path in photos.path.iterdir()) == ["entry.json", "photos.csv"]


def test_a_folder_and_its_archive_have_the_same_inventory(tmp_path: Path, get: Fetcher) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(BODY)
    unpacked = get(str(archive))
    shutil.unpack_archive(archive, tmp_path / "deep" / "er")
    assert get(str(tmp_path / "deep")).inventory == unpacked.inventory


def test_a_changed_photo_changes_the_key(tmp_path: Path, get: Fetcher) -> None:
    folder = as_folder(tmp_path / "pets", NAMES)
    first = get(str(folder))
    (folder / NAMES[0]).write_bytes(b"another photo")
    second = get(str(folder))
    assert second.key != first.key
    assert second.inventory != first.inventory


def test_every_kind_of_photo_and_name(tmp_path: Path, get: Fetcher) -> None:
    names = sorted(
        ["Кошки/мой кот.JPG", "犬/ポチ.jpeg", "a b/c.Png", "a b/e\u0301.webp", "a b/é.gif"]
        + [f"a b/x, y'{suffix}" for suffix in (".bmp", ".tif", ".TIFF")]
    )
    folder = as_folder(tmp_path / "pets", names)
    as_folder(folder, ["notes.txt", "a b/.hidden.jpg", "__MACOSX/x.jpg", ".cache/x.jpg", "a b/jpg"])
    found = get(str(folder))
    assert listed(found) == names
    assert found.note.endswith("left out: 1 of .txt, 1 of no suffix.")


def test_files_of_a_kind_that_is_not_read_are_never_left_out_in_silence(
    tmp_path: Path, get: Fetcher
) -> None:
    folder = as_folder(tmp_path / "pets", ["cats/a.jpg", "dogs/b.jfif"])
    first = get(str(folder))
    assert listed(first) == ["cats/a.jpg", "dogs/b.jfif"]
    assert first.note == ""
    as_folder(folder, ["cats/c.HEIC", "dogs/d.heic"])
    second = get(str(folder))
    assert "2 of .heic" in second.note
    assert second.inventory == first.inventory


def test_a_linked_class_folder_counts_and_a_circle_ends(tmp_path: Path, get: Fetcher) -> None:
    folder = as_folder(tmp_path / "pets", ["cats/a.jpg"])
    as_folder(tmp_path / "elsewhere", ["b.jpg"])
    (folder / "dogs").symlink_to(tmp_path / "elsewhere")
    (folder / "cats" / "circle").symlink_to(folder)
    assert listed(get(str(folder))) == ["cats/a.jpg", "dogs/b.jpg"]


@pytest.mark.parametrize(
    ("names", "root"),
    [
        (["cats/a.jpg", "dogs/b.jpg"], ""),
        (["pets/cats/a.jpg", "pets/dogs/b.jpg"], "pets"),
        (["x/pets/train/cats/a.jpg", "x/pets/validation/cats/b.jpg"], "x/pets"),
        (["pets/train/cats/a.jpg", "pets/train/dogs/b.jpg"], "pets"),
        (["cats/a.jpg"], ""),
        (["pets/cats/a.jpg"], "pets"),
        (["pets/a.jpg", "pets/cats/b.jpg"], ""),
        (["a.jpg"], ""),
        (["cats/a.jpg", "cats 2/b.jpg"], ""),
    ],
)
def test_wrappers_are_left_out_but_no_split_or_class(
    tmp_path: Path, get: Fetcher, names: list[str], root: str
) -> None:
    folder = as_folder(tmp_path / "source", names)
    assert get(str(folder)).folder == folder / root


@pytest.mark.parametrize("names", [[], ["notes.txt", "cats/.a.jpg"]])
def test_a_folder_without_photos(tmp_path: Path, get: Fetcher, names: list[str]) -> None:
    folder = as_folder(tmp_path / "pets", names)
    folder.mkdir(exist_ok=True)
    with pytest.raises(SourceError, match=r"pets holds no photo files.*one folder per class"):
        get(str(folder))


def test_a_name_that_is_no_utf8(tmp_path: Path, get: Fetcher) -> None:
    (tmp_path / "cats").mkdir()
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "cats") + b"/\xff.jpg")).write_bytes(b"x")
    except OSError:
        pytest.skip("this disk has only UTF-8 names")
    with pytest.raises(SourceError, match=r"not valid UTF-8.*Rename it"):
        get(str(tmp_path / "cats"))


def test_a_photo_that_cannot_be_read(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = as_folder(tmp_path / "pets", NAMES)
    real = Path.open

    def opened(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == Path(NAMES[0]).name:  # Permissions do not stop root.
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(SourceError, match=r"cats 0\.jpg cannot be read \(Permission denied\)"):
        get(str(folder))


def test_an_unchanged_folder_is_read_once(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = as_folder(tmp_path / "pets", NAMES)
    real, opened = Path.open, []

    def counting(path: Path, *args: Any, **options: Any) -> Any:
        opened.append(path)
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", counting)
    get.key(str(folder))
    get(str(folder))
    assert sum(path.is_relative_to(folder) for path in opened) == len(NAMES)


# The sample


@pytest.fixture
def fake_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Stands in for the drawing, which takes seconds; holds what it was asked for."""
    from catdog.sample import draw as sample

    calls: list[tuple[int, int, int]] = []

    def draw(folder: Path, *, train: int, validation: int, seed: int) -> None:
        calls.append((train, validation, seed))
        as_folder(folder, NAMES)

    monkeypatch.setattr(sample, "draw", draw)
    return calls


def test_the_sample_is_drawn_once(fake_sample: list[tuple[int, int, int]], get: Fetcher) -> None:
    photos = get("sample")
    assert listed(photos) == NAMES
    assert get("sample") == photos
    assert (photos.key, photos.origin, photos.archive_sha256) == (get.key("sample"), "sample", None)
    assert fake_sample == [(600, 200, sources.SAMPLE_SEED)]


# The real photos


@pytest.mark.slow
def test_the_real_photos_over_http(site: Site, get: Fetcher) -> None:
    if "REAL_PHOTOS" not in os.environ:
        pytest.skip("REAL_PHOTOS does not name the archive of the real photos")
    site.body = Path(os.environ["REAL_PHOTOS"]).read_bytes()
    site.cuts = [len(site.body) // 3]
    photos = get(site.url)
    names = listed(photos)
    assert sum(name.startswith("train/") for name in names) == 1_999
    assert sum(name.startswith("validation/") for name in names) == 1_000
    assert photos.archive_sha256 == hashlib.sha256(site.body).hexdigest()
    assert site.gets == [None, f"bytes={len(site.body) // 3}-"]
