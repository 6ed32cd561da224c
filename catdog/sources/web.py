"""Files on web servers: http:// and https://."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version

import httpx

from catdog.addresses import has_host, without_secrets
from catdog.errors import SettingsError, SourceError
from catdog.machine import DISTRIBUTION
from catdog.sources.fetch import (
    WITHOUT_NETWORK,
    Remote,
    Stream,
    TryAgainError,
    UnreachableError,
    Version,
)
from catdog.wording import quoted

LONGEST_WAIT = 60.0
"""Seconds. A server that asks for more is given up on."""
_SPAN = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
"""What no disk and no file has more of, and no 64-bit number; longer ones take quadratic time."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_NO_HEAD = (403, 405, 501)
"""What servers answer that know no HEAD."""
_PASSING = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError)
"""Troubles that may be gone at the next try."""


def _without_secrets(record: logging.LogRecord) -> bool:
    given = record.args if isinstance(record.args, tuple) else ()
    shown = (without_secrets(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in given)
    record.args = tuple(shown) or record.args
    return True


logging.getLogger("httpx").addFilter(_without_secrets)  # it tells each address as it is

_certificates = cache(httpx.create_ssl_context)
"""Loading them takes a tenth of a second: once is enough."""


class WebFile(Remote):
    """A file on a web server."""

    looks = 3
    """Fewer than for a download: with no network one should hear of it within a few seconds."""

    def __init__(self, url: str, timeout: httpx.Timeout = TIMEOUT) -> None:
        super().__init__(url)
        self._timeout = timeout

    def _look(self) -> Version:
        with self._answer("HEAD", but=_NO_HEAD) as response:
            if response.is_success:
                return _version(response)
        with self._answer("GET") as response:
            return _version(response)

    @contextmanager
    def open(self, start: int, validator: str) -> Iterator[Stream]:
        """The file from a byte on."""
        rest = {"Range": f"bytes={start}-", "If-Range": validator} if start else None
        with self._answer("GET", rest, but=(416,) if start else ()) as response:
            place, version = _place(response), _version(response)
            if place and (place != start or version.validator not in (None, validator)):
                place = None
            yield Stream(place, version, response.iter_raw())

    @contextmanager
    def _answer(
        self, method: str, headers: Mapping[str, str] | None = None, but: Collection[int] = ()
    ) -> Iterator[httpx.Response]:
        """What the server answers, while it is read; no failure `but` these."""
        try:
            with (
                _client(self._timeout) as client,
                client.stream(method, self.url, headers=headers) as response,
            ):
                if response.status_code not in but:
                    _check_status(response)
                yield response
        except _PASSING as error:
            raise TryAgainError(quoted(error) or type(error).__name__) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise SourceError(
                f"{self.shown} cannot be fetched ({quoted(error)}).", "Check the address."
            ) from error


def require_host(address: str) -> None:
    """Raise SourceError for an address of no host."""
    if not has_host(address):
        raise SourceError(f"{without_secrets(address)} is not an address.", "Check it.")


def _require_host(request: httpx.Request) -> None:
    """For each request, also one that another answer has led to."""
    require_host(str(request.url))


def require_proxies() -> None:
    """Raise SettingsError when the environment names a proxy that cannot be used."""
    _client(TIMEOUT).close()


def _client(timeout: httpx.Timeout) -> httpx.Client:
    headers = {
        "User-Agent": f"catdog/{version(DISTRIBUTION)}",
        "Accept-Encoding": "identity",  # The size and the checksum are those of the bytes sent.
    }
    try:
        return httpx.Client(
            timeout=timeout,
            headers=headers,
            follow_redirects=True,
            verify=_certificates(),
            event_hooks={"request": [_require_host]},
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise SettingsError(
            f"The proxy that the environment names cannot be used ({error}).",
            "Mend or unset http_proxy, https_proxy or all_proxy.",
        ) from error


def _version(response: httpx.Response) -> Version:
    span, headers = _span(response), response.headers
    size = span[2] if span else headers.get("Content-Length", "")
    whole = int(size) if _NUMBER.fullmatch(size) else None
    return Version(headers.get("ETag"), headers.get("Last-Modified"), whole)


def _place(response: httpx.Response) -> int | None:
    """The byte of the file that a response's body begins with; None when it holds none."""
    span = _span(response)
    return int(span[1]) if span else 0 if response.is_success else None


def _span(response: httpx.Response) -> re.Match[str] | None:
    """Which bytes of how many a part of a file has."""
    part = response.status_code == httpx.codes.PARTIAL_CONTENT
    return _SPAN.fullmatch(response.headers.get("Content-Range", "")) if part else None


def _check_status(response: httpx.Response) -> None:
    if response.is_success:
        return
    status = response.status_code
    answer = f"{status} {quoted(response.reason_phrase)}".strip()
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
        left = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)
    except (ValueError, OverflowError):  # no date, or one that another time zone has not
        return 0.0
    return max(0.0, left.total_seconds())
