"""Downloads over HTTP that go on where they were cut off."""

import logging
import re
import shutil
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from catdog.addresses import without_secrets
from catdog.errors import SettingsError, SourceError
from catdog.machine import DISTRIBUTION
from catdog.store.digest import file_digest

log = logging.getLogger(__name__)

FETCH_ATTEMPTS = 6
LOOK_ATTEMPTS = 3
"""Fewer: with no network the user should hear of it within a few seconds."""
LONGEST_WAIT = 60.0
"""Seconds. A server that asks for more is given up on."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
SLOWEST = 1_000
"""Bytes a second: a tenth of what GPRS gave; the official archive would take 19 hours."""
WINDOW_SECONDS = 60
"""So long a server may be slower: a proxy that scans for viruses keeps a file that long."""
WITHOUT_NETWORK = "With no network, give --source a local file or folder, or 'sample'."

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in all, which may be unknown."""
T = TypeVar("T")


class UnreachableError(SourceError):
    """The server did not answer, or only with errors of its own, however often it was asked."""


class TryAgainError(Exception):
    """A failure that may be gone at the next try. after: seconds the server asks to wait."""

    def __init__(self, problem: str, after: float = 0.0) -> None:
        super().__init__(problem)
        self.after = after


_TRANSIENT = (
    TryAgainError,
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
)


class Version(NamedTuple):
    """What a server tells of a file that changes when the file does."""

    etag: str | None
    modified: str | None
    bytes: int | None

    @classmethod
    def of(cls, response: httpx.Response) -> "Version":
        size = response.headers.get("Content-Length", "")
        return cls(
            response.headers.get("ETag"),
            response.headers.get("Last-Modified"),
            int(size) if size.isdecimal() else None,
        )

    @property
    def validator(self) -> str | None:
        """For `If-Range`, which allows no weak ETag; a header can be sent in ASCII only."""
        strong = None if self.etag and self.etag.startswith("W/") else self.etag
        return next((text for text in (strong, self.modified) if text and text.isascii()), None)


def look(url: str) -> Version:
    """The version of the file that a server has at an address, without fetching it.

    Raises UnreachableError when there is no answer, SourceError when there is no such file.
    """

    def ask(client: httpx.Client) -> Version:
        response = client.head(url)
        if response.status_code not in (403, 405, 501):
            _check_status(response)
            return Version.of(response)
        with client.stream("GET", url) as response:  # Some servers know no HEAD.
            _check_status(response)
            return Version.of(response)

    return _persist(url, ask, attempts=LOOK_ATTEMPTS)


def fetch(
    url: str,
    partial: Path,
    *,
    size: int | None,
    sha256: str | None = None,
    on_bytes: OnBytes = lambda done, total: None,
    attempts: int = FETCH_ATTEMPTS,
    timeout: httpx.Timeout = TIMEOUT,
) -> str:
    """Download into the file `partial`, going on from what it holds; its SHA-256.

    size, sha256: what the file must have, when known.
    An interruption leaves `partial` for the next call. A finished file with a wrong size or
    checksum is deleted. Raises UnreachableError after many tries, SourceError for good.
    """
    download = _Download(url, partial, size, on_bytes)
    _persist(url, download.go_on, attempts=attempts, timeout=timeout)
    try:
        return require_checksum(url, partial, sha256)
    except SourceError:
        download.discard()
        raise


@dataclass(frozen=True)
class _Download:
    url: str
    partial: Path
    size: int | None
    on_bytes: OnBytes

    @property
    def validator(self) -> Path:
        """The file beside it that tells which version it is a part of."""
        return self.partial.with_name(f"{self.partial.name}.validator")

    def discard(self) -> None:
        """Remove what was fetched so far."""
        self.partial.unlink(missing_ok=True)
        self.validator.unlink(missing_ok=True)

    def go_on(self, client: httpx.Client) -> None:
        """One try: fetch what is missing."""
        known = self.validator.read_text() if self.validator.is_file() else ""
        start = self.partial.stat().st_size if known and self.partial.is_file() else 0
        headers = {"Range": f"bytes={start}-", "If-Range": known} if start else {}
        with client.stream("GET", self.url, headers=headers) as response:
            _check_status(response, but=416 if start else 200)
            offset, total = _place(response)
            found = Version.of(response).validator
            if offset != start or (start and found not in (None, known)):
                self.discard()
                if response.status_code != httpx.codes.OK:
                    raise TryAgainError("it does not go on where it was cut off")
                start = 0
            self._check_size(total)
            if not start:
                self.discard()
                self.validator.write_text(found or "")
            self._save(response, start, total)

    def _save(self, response: httpx.Response, done: int, total: int | None) -> None:
        most = self._most(done, total)
        in_time = pace(done)
        with self.partial.open("ab") as file:
            for block in response.iter_raw():
                file.write(block)
                done += len(block)
                self.on_bytes(done, total)
                if done > most:
                    break
                in_time(done)
        if self.size is None and done > most:
            self.discard()
            raise too_large(self.url, f"sent {done:,} bytes and did not end", self.partial.parent)
        if total is not None and done != total:
            raise TryAgainError(f"it sent {done:,} of {total:,} bytes")
        self._check_size(done)

    def _most(self, done: int, total: int | None) -> int:
        """So many bytes at most; a file of unknown size may take half of the free disk."""
        free = shutil.disk_usage(self.partial.parent).free
        if total is not None and total - done > free:
            self.discard()
            raise too_large(self.url, f"has {total:,} bytes", self.partial.parent)
        known = total if self.size is None else self.size
        return done + free // 2 if known is None else known

    def _check_size(self, seen: int | None) -> None:
        if self.size is not None and seen is not None and seen != self.size:
            self.discard()
            raise SourceError(
                f"{without_secrets(self.url)} has {seen:,} bytes instead of {self.size:,}.",
                "It has changed, or something on the way changes it: give --source a local file.",
            )


def require_checksum(url: str, partial: Path, sha256: str | None) -> str:
    """The SHA-256 of a finished download. Raises SourceError where it is not as asked."""
    seen = file_digest(partial)
    if sha256 and seen != sha256:
        raise SourceError(
            f"{without_secrets(url)} has the SHA-256 {seen} instead of {sha256}.",
            "Check the address and the checksum; what was fetched is deleted.",
        )
    return seen


def too_large(url: str, what: str, folder: Path) -> SourceError:
    """What to tell of a download that the disk of a folder has no room for."""
    return SourceError(
        f"{without_secrets(url)} {what}: the disk of {folder} is too small.",
        "Check the address, or set CATDOG_HOME to a larger disk.",
    )


def pace(before: int) -> Callable[[int], None]:
    """What is told how many bytes there are; raises TryAgainError when they come too slowly."""
    began = time.monotonic()

    def check(done: int) -> None:
        nonlocal began, before
        now = time.monotonic()
        if now - began < WINDOW_SECONDS:
            return
        if done - before < SLOWEST * (now - began):
            raise TryAgainError(f"it sends less than {SLOWEST:,} bytes a second")
        began, before = now, done

    return check


def _place(response: httpx.Response) -> tuple[int, int | None]:
    """Where in the file a response's body begins, and the size of the whole file."""
    place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code == httpx.codes.PARTIAL_CONTENT and place:
        return int(place[1]), None if place[2] == "*" else int(place[2])
    return 0, Version.of(response).bytes


def _persist(
    url: str,
    work: Callable[[httpx.Client], T],
    *,
    attempts: int,
    timeout: httpx.Timeout = TIMEOUT,
) -> T:
    """Try again, with growing waits, what may work the next time. Errors name the address."""
    shown = without_secrets(url)
    retrying = Retrying(
        retry=retry_if_exception_type(_TRANSIENT),
        stop=stop_after_attempt(attempts),
        wait=wait,
        before_sleep=before_sleep_log(log, logging.INFO),
        reraise=True,
    )
    headers = {
        "User-Agent": f"catdog/{version(DISTRIBUTION)}",
        "Accept-Encoding": "identity",  # The size and the checksum are those of the bytes sent.
    }
    require_proxies()
    try:
        with httpx.Client(
            timeout=timeout, headers=headers, follow_redirects=True, verify=_certificates()
        ) as client:
            return retrying(work, client)
    except _TRANSIENT as error:
        problem = str(error) or type(error).__name__
        tried = "once" if attempts == 1 else f"{attempts} times"
        raise UnreachableError(
            f"{shown} could not be fetched, tried {tried} ({problem}).",
            WITHOUT_NETWORK,
        ) from error
    except httpx.HTTPError as error:
        raise SourceError(f"{shown} cannot be fetched ({error}).", "Check the address.") from error


def require_proxies() -> None:
    """Raise SettingsError when the environment names a proxy that cannot be used."""
    try:
        httpx.Client(verify=_certificates()).close()
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise SettingsError(
            f"The proxy that the environment names cannot be used ({error}).",
            "Mend or unset http_proxy, https_proxy or all_proxy.",
        ) from error


@cache
def _certificates() -> ssl.SSLContext:
    """Loading them takes a tenth of a second: once is enough."""
    return httpx.create_ssl_context()


_backoff = wait_exponential(multiplier=0.5, max=20) + wait_random(0, 0.5)


def wait(state: RetryCallState) -> float:
    """Seconds before the next try: what the server asks for, or longer each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, TryAgainError) else 0.0
    return max(asked, _backoff(state))


def _check_status(response: httpx.Response, *, but: int = 200) -> None:
    status = response.status_code
    if response.is_success or status == but:
        return
    answer = f"{status} {response.reason_phrase}".strip()
    shown = without_secrets(str(response.url))
    if status in (408, 429) or response.is_server_error:
        after = _retry_after(response)
        if after > LONGEST_WAIT:
            raise UnreachableError(
                f"{shown} answers {answer} and asks to wait {after:,.0f} seconds.",
                f"Try again then. {WITHOUT_NETWORK}",
            )
        raise TryAgainError(f"it answers {answer}", after)
    raise SourceError(
        f"{shown} answers {answer}.",
        "Check the address, or fetch the file in another way and give its path to --source.",
    )


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; RFC 9110 allows a number or a date."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
