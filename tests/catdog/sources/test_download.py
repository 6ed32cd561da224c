"""Photos from a server, a file, a folder and the sample: what is kept, and under which key."""

import hashlib
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pets import BODY, NAMES, SHA256, Fetcher, as_folder, leftovers, listed, zipped
from website import Site

from catdog.errors import SourceError
from catdog.sample.facts import SEED
from catdog.sources import official
from catdog.sources.fetch import UnreachableError
from catdog.store.artifacts import Archive
from catdog.store.store import Store


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
        one, two = pool.map(lambda _: Fetcher(store)(site.url), range(2))
    assert one == two
    assert site.gets == [None]


def test_official_is_a_short_name_of_its_url(
    site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "URL", site.url)
    monkeypatch.setattr(official, "BYTES", len(BODY))
    assert get("official") == get(site.url)


def test_right_checksum(site: Site, get: Fetcher) -> None:
    source = f"{site.url}#sha256={SHA256.upper()}"
    photos = get(source)
    site.close()
    assert get(source) == photos
    assert get.key(source) == photos.key
    assert [method for method, _ in site.asked] == ["GET"]


@pytest.mark.parametrize("fragment", ["sha256=12", "md5=00", "top"])
def test_what_is_no_checksum(site: Site, get: Fetcher, fragment: str) -> None:
    with pytest.raises(SourceError, match="does not end in a checksum"):
        get(f"{site.url}#{fragment}")


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


@pytest.mark.parametrize("bad", [BODY[:-500], bytes(len(BODY)), b"<title>Please log in</title>"])
def test_what_arrived_damaged_is_fetched_again(site: Site, get: Fetcher, bad: bytes) -> None:
    site.body = bad
    for _ in range(2):
        with pytest.raises(SourceError, match=rf"{site.url} is .* run again to download it"):
            get(site.url)
    assert site.gets == [None, None]
    assert not list(get.store.folder("archive", "").glob("*/"))
    site.body = BODY
    assert listed(get(site.url)) == NAMES


def test_what_can_only_arrive_so_is_not_fetched_again(site: Site, get: Fetcher) -> None:
    climbing = zipped(["../evil.jpg"], wrapper="")
    site.body = climbing
    with pytest.raises(SourceError, match="leads out"):
        get(site.url)
    site.body, site.etag = BODY[:-500], '"v2"'
    source = f"{site.url}#sha256={hashlib.sha256(site.body).hexdigest()}"
    for _ in range(2):
        with pytest.raises(SourceError, match="damaged or incomplete"):
            get(source)
    site.body, site.etag = climbing, '"v1"'
    with pytest.raises(SourceError, match="leads out"):
        get(site.url)
    assert site.gets == [None, None]


def _make_older(store: Store, sha256: str) -> None:
    for entry in store.folder("archive", "").glob("*/entry.json"):
        text = entry.read_text()
        if sha256 in text:
            entry.write_text(re.sub(r'"number": \d+', '"number": 0', text))


def test_secrets_in_an_address_are_not_written_down(site: Site, get: Fetcher) -> None:
    photos = get(site.url.replace("//", "//me:secret@"))
    assert photos.origin == site.url
    for entry in get.store.home.rglob("entry.json"):
        assert "secret" not in entry.read_text()


def test_a_file_of_which_the_server_tells_nothing_is_fetched_again(
    site: Site, get: Fetcher
) -> None:
    site.etag, site.sends_size = None, False
    first, again = get(site.url), get(site.url)
    assert site.gets == [None, None]
    assert again == first, "the bytes are the same"
    assert "does not tell" in first.note
    site.body = zipped(NAMES[:-1])
    assert get(site.url).count == first.count - 1
    assert len(get.store.folders(Archive)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "http://me:SECRET@[/a.zip",
        "http://me:SEC/RET@host/a.zip",
        "http://host/a.zip?pwd=SECRET#sha256=12",
        "http://host/a.zip#SECRET",
        "ftp://me:SECRET@host/a.zip",
        "me:SECRET@host/a.zip",
        "host/a.zip?auth=SECRET",
    ],
)
def test_an_error_shows_no_secret_of_a_bad_address(get: Fetcher, source: str) -> None:
    with pytest.raises(SourceError) as caught:
        get(source)
    assert "SEC" not in str(caught.value)


def test_two_queries_of_one_address_are_two_files(site: Site, get: Fetcher) -> None:
    get(f"{site.url}?id=1&token=a")
    get(f"{site.url}?id=1&token=b")
    assert len(get.store.folders(Archive)) == 1
    get(f"{site.url}?id=2&token=b")
    assert len(get.store.folders(Archive)) == 2
    site.close()
    assert get(f"{site.url}?id=2&token=c").note
    with pytest.raises(SourceError):
        get(f"{site.url}?id=3&token=b")


def test_a_web_page_is_not_an_archive(site: Site, get: Fetcher) -> None:
    site.body = b"<!DOCTYPE html><title>Please log in</title>"
    with pytest.raises(SourceError, match=rf"{site.url} is not a zip .*<!DOCTYP"):
        get(site.url)
    assert list(get.store.folder("photos", "").glob("*")) == []


@pytest.mark.parametrize("source", ["http://host:port/a.zip", "http://[::1/a.zip#sha256=0"])
def test_an_address_that_is_none(get: Fetcher, source: str) -> None:
    with pytest.raises(SourceError, match="is not an address"):
        get(source)


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
    with pytest.raises(SourceError, match="leads nowhere"):
        get("~" + ":" * 1_000_000)  # ten minutes, where the time is quadratic


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
    assert fake_sample == [(600, 200, SEED)]


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
