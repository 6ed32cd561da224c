"""A download and all that goes wrong on the way."""

import hashlib
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from itertools import count
from types import SimpleNamespace

import httpx
import pytest
from pets import BODY, NAMES, SHA256, Fetcher, leftovers, zipped
from website import Site

from catdog.errors import SourceError, StoreError
from catdog.sources import official, web
from catdog.sources.download import recipe
from catdog.sources.fetch import ATTEMPTS, WINDOW_SECONDS, UnreachableError
from catdog.sources.web import WebFile
from catdog.store.store import Store

WhileWaiting = Callable[[Callable[[float], None]], None]


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
        store.obtain(recipe(site.url, store=store, progress=stop))
    (part,) = [path for path in leftovers(store) if path.suffix == ".part"]
    had = part.stat().st_size
    assert 0 < had < len(BODY)
    assert get(site.url).archive_sha256 == SHA256
    assert site.gets == [None, f"bytes={had}-"]
    assert not leftovers(store)


def test_a_part_of_nobody_knows_which_version_is_fetched_afresh(
    site: Site, get: Fetcher, store: Store
) -> None:
    site.cuts = [1000] + [0] * (ATTEMPTS - 1)
    with pytest.raises(UnreachableError):
        get(site.url)
    (told,) = [path for path in leftovers(store) if path.suffix == ".validator"]
    told.write_bytes(b"\xff")
    assert get(site.url).archive_sha256 == SHA256


def test_a_whole_partial_file_is_fetched_afresh(site: Site, get: Fetcher, store: Store) -> None:
    site.cuts = [1000] + [0] * (ATTEMPTS - 1)
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


@pytest.mark.parametrize("heeds_versions", [True, False])
def test_never_joins_two_versions(
    site: Site, get: Fetcher, while_waiting: WhileWaiting, heeds_versions: bool
) -> None:
    """The file changes on the server while the line is down."""
    newer = zipped(NAMES[::-1])
    site.cuts, site.heeds_versions = [1000], heeds_versions

    def change(seconds: float) -> None:
        site.body, site.etag = newer, '"v2"'

    while_waiting(change)
    assert get(site.url).archive_sha256 == hashlib.sha256(newer).hexdigest()


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


def test_a_failure_while_going_on_loses_nothing(
    site: Site, get: Fetcher, while_waiting: WhileWaiting
) -> None:
    site.cuts = [1000]

    def fail_once(seconds: float) -> None:
        if len(site.gets) == 1:
            site.failures = [500]

    while_waiting(fail_once)
    get(site.url)
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
    assert len(waits) == WebFile.looks - 1


def test_no_server(site: Site, get: Fetcher) -> None:
    site.close()
    with pytest.raises(UnreachableError, match=r"pets\.zip could not be .*--source a local file"):
        get(site.url)


def test_wrong_size(site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "URL", site.url)
    with pytest.raises(SourceError, match=rf"has {len(BODY):,} bytes instead of 68,606,236"):
        get("official")
    assert not leftovers(get.store)


def test_no_more_is_read_than_the_known_size(
    site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.sends_size, site.pause = False, 0.01
    monkeypatch.setattr(official, "URL", site.url)
    monkeypatch.setattr(official, "BYTES", 1000)
    with pytest.raises(SourceError, match=r"bytes instead of 1,000"):
        get("official")
    assert 1000 < get.seen[-1][0] < len(BODY)
    assert not leftovers(get.store)


def test_wrong_checksum(site: Site, get: Fetcher) -> None:
    wrong = "0" * 64
    with pytest.raises(SourceError, match=f"SHA-256 {SHA256} instead of {wrong}"):
        get(f"{site.url}#sha256={wrong}")
    assert not leftovers(get.store)
    assert list(get.store.folder("archive", "").glob("*")) == []


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


def test_a_full_disk(site: Site, get: Fetcher, full_disk: None) -> None:
    with pytest.raises(StoreError, match="No space left"):
        get(site.url)


def test_goes_on_although_the_etag_is_not_ascii(site: Site, get: Fetcher) -> None:
    site.etag, site.modified, site.cuts = '"caf\xe9"', formatdate(0, usegmt=True), [1000]
    assert get(site.url).archive_sha256 == SHA256
    assert site.gets == [None, "bytes=1000-"]


def test_a_server_that_drips_is_given_up_on(
    site: Site, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.body = bytes(10_000_000)
    ticking = count(step=100 * WINDOW_SECONDS)
    monkeypatch.setattr("catdog.sources.fetch.time", SimpleNamespace(monotonic=ticking.__next__))
    with pytest.raises(UnreachableError, match="less than"):
        get(site.url)


@pytest.mark.parametrize("sends_size", [True, False])
def test_a_body_that_is_too_large_for_the_disk_is_refused(
    sends_size: bool, site: Site, get: Fetcher, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "catdog.sources.fetch.shutil.disk_usage", lambda _: SimpleNamespace(free=len(BODY) - 1)
    )
    site.sends_size = sends_size
    with pytest.raises(SourceError, match=r"the disk of .* is too small"):
        get(site.url)
    assert not leftovers(store)


@pytest.mark.parametrize(
    "place", ["http://example..com/", f"http://{'a' * 64}.com/", "http://xn--/", "data:,cats"]
)
def test_a_redirect_to_no_host_is_one_line(
    site: Site, get: Fetcher, waits: list[float], place: str
) -> None:
    site.moved_to = place
    with pytest.raises(SourceError, match=r"is not an address|cannot be fetched|not be fetched"):
        get(site.url)


@pytest.mark.parametrize("digits", [19, 5_000])
def test_a_size_that_no_file_has_is_passed_over(digits: int) -> None:
    long = "9" * digits
    for headers in ({"Content-Range": f"bytes {long}-{long}/{long}"}, {"Content-Length": long}):
        answer = httpx.Response(206, headers=headers)
        assert web._version(answer).bytes is None
        assert web._place(answer) == 0


def test_a_date_that_no_clock_shows_is_no_wait(
    site: Site, get: Fetcher, waits: list[float]
) -> None:
    site.failures, site.retry_after = [503], f"Fri, 31 Dec {10**20} 23:59:59 GMT"
    assert get(site.url).archive_sha256 == SHA256
    (waited,) = waits
    assert waited < 2


def test_a_servers_words_are_quoted_on_one_line_and_not_for_ever() -> None:
    answer = httpx.Response(
        404,
        request=httpx.Request("GET", "http://localhost/a.zip"),
        extensions={"reason_phrase": b"\x1b[2J" + b"no " * 20_000},
    )
    with pytest.raises(SourceError) as raised:
        web._check_status(answer)
    assert r"answers 404 \x1b[2Jno no" in raised.value.problem
    assert len(raised.value.problem) < 300


def test_the_secrets_of_a_redirect_are_in_no_log(
    site: Site, get: Fetcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site.moved_to = "/elsewhere/pets.zip?token=a-secret&v=2"
    get(site.url)
    assert "elsewhere/pets.zip?token=HIDDEN" in caplog.text
    assert "a-secret" not in caplog.text
