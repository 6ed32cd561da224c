"""Downloads that go on where they were cut off, wherever the file is."""

import logging
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar

import tenacity

from catdog.addresses import without_secrets
from catdog.errors import SourceError
from catdog.store.digest import file_digest

log = logging.getLogger(__name__)

ATTEMPTS = 6
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
    """A failure that may be gone at the next try.

    after: seconds the server asks to wait. remedy: for the user, when no try helps.
    """

    def __init__(self, problem: str, after: float = 0.0, remedy: str = WITHOUT_NETWORK) -> None:
        super().__init__(problem)
        self.after = after
        self.remedy = remedy


class Version(NamedTuple):
    """What a server tells of a file that changes when the file does."""

    etag: str | None
    modified: str | None
    bytes: int | None
    """Of the whole file."""

    @property
    def validator(self) -> str | None:
        """For `If-Range`, which allows no weak ETag; a header can be sent in ASCII only."""
        strong = None if self.etag and self.etag.startswith("W/") else self.etag
        return next((text for text in (strong, self.modified) if text and text.isascii()), None)


class Stream(NamedTuple):
    """A file from some byte on, while it is read."""

    start: int | None
    """That byte; None when it is not the one that was asked for."""
    version: Version
    blocks: Iterator[bytes]


class Remote(ABC):
    """A file elsewhere.

    shown: its address, as people may see it.
    """

    looks: ClassVar[int]
    """Times that it is asked for its version."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.shown = without_secrets(url)

    def look(self) -> Version:
        """The version that is there, without fetching it.

        Raises UnreachableError when there is no answer, SourceError when there is no such file.
        """
        return self.persist(self._look, attempts=self.looks)

    @abstractmethod
    def _look(self) -> Version:
        """One try of it. Raises TryAgainError, and SourceError for good."""

    @abstractmethod
    def open(self, start: int, validator: str) -> AbstractContextManager[Stream]:
        """The file from a byte on, or from its first where it is no more of that version.

        Raises, also while it is read, TryAgainError, and SourceError for good.
        """

    def persist(self, work: Callable[[], T], *, attempts: int = ATTEMPTS) -> T:
        """Try again, with growing waits, what may work the next time."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TryAgainError),
            stop=tenacity.stop_after_attempt(attempts),
            wait=_wait,
            before_sleep=tenacity.before_sleep_log(log, logging.INFO),
            reraise=True,
        )
        try:
            return retrying(work)
        except TryAgainError as error:
            tried = "once" if attempts == 1 else f"{attempts} times"
            raise UnreachableError(
                f"{self.shown} could not be fetched, tried {tried} ({error}).", error.remedy
            ) from error

    def too_large(self, what: str, folder: Path) -> SourceError:
        """What to tell of a download that the disk of a folder has no room for."""
        return SourceError(
            f"{self.shown} {what}: the disk of {folder} is too small.",
            "Check the address, or set CATDOG_HOME to a larger disk.",
        )


@dataclass(frozen=True)
class Download:
    """A file on its way; an interruption leaves what came of it for the next time."""

    remote: Remote
    partial: Path
    """What came so far. A file next to it tells of which version it is a part."""
    size: int | None = None
    """What the file must have, when known; so `sha256`."""
    sha256: str | None = None
    on_bytes: OnBytes = lambda done, total: None
    attempts: int = ATTEMPTS

    def run(self) -> str:
        """Fetch what is missing; the file's SHA-256.

        A finished file with a wrong size or checksum is deleted. Raises UnreachableError after
        many tries, SourceError for good.
        """
        self.remote.persist(self._go_on, attempts=self.attempts)
        seen = file_digest(self.partial)
        if self.sha256 and seen != self.sha256:
            self._discard()
            raise SourceError(
                f"{self.remote.shown} has the SHA-256 {seen} instead of {self.sha256}.",
                "Check the address and the checksum; what was fetched is deleted.",
            )
        self._validator.unlink()
        return seen

    @property
    def _validator(self) -> Path:
        return self.partial.with_name(f"{self.partial.name}.validator")

    def _discard(self) -> None:
        self.partial.unlink(missing_ok=True)
        self._validator.unlink(missing_ok=True)

    def _go_on(self) -> None:
        told = self._validator.read_text(errors="replace") if self._validator.is_file() else ""
        known = told if told.isascii() and told.isprintable() else ""
        start = self.partial.stat().st_size if known and self.partial.is_file() else 0
        with self.remote.open(start, known) as stream:
            if not stream.start:
                self._discard()
                self._validator.write_text(stream.version.validator or "")
            if stream.start is None:
                raise TryAgainError("it does not go on where it was cut off")
            self._check_size(stream.version.bytes)
            self._save(stream, stream.start)

    def _save(self, stream: Stream, done: int) -> None:
        total = stream.version.bytes
        expected = total if self.size is None else self.size
        most = self._most(done, expected)
        with self.partial.open("ab") as file:
            for block in _in_time(stream.blocks):
                file.write(block)
                done += len(block)
                self.on_bytes(done, total)
                if done > most:
                    break
        if expected is None and done > most:
            self._refuse(f"sent {done:,} bytes and did not end")
        if total is not None and done != total:
            raise TryAgainError(f"it sent {done:,} of {total:,} bytes")
        self._check_size(done)

    def _most(self, done: int, expected: int | None) -> int:
        """So many bytes at most; a file of unknown size may take half of the free disk."""
        free = shutil.disk_usage(self.partial.parent).free
        if expected is None:
            return done + free // 2
        if expected - done > free:
            self._refuse(f"has {expected:,} bytes")
        return expected

    def _refuse(self, what: str) -> None:
        self._discard()
        raise self.remote.too_large(what, self.partial.parent)

    def _check_size(self, seen: int | None) -> None:
        if self.size is not None and seen is not None and seen != self.size:
            self._discard()
            raise SourceError(
                f"{self.remote.shown} has {seen:,} bytes instead of {self.size:,}.",
                "It has changed, or something on the way changes it: give --source a local file.",
            )


def _in_time(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks. Raises TryAgainError when they come too slowly."""
    began, came = time.monotonic(), 0
    for block in blocks:
        yield block
        came += len(block)
        spent = time.monotonic() - began
        if spent < WINDOW_SECONDS:
            continue
        if came < SLOWEST * spent:
            raise TryAgainError(f"it sends less than {SLOWEST:,} bytes a second")
        began, came = time.monotonic(), 0


_backoff = tenacity.wait_exponential(multiplier=0.5, max=20) + tenacity.wait_random(0, 0.5)


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds before the next try: what the server asks for, or longer each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, TryAgainError) else 0.0
    return max(asked, _backoff(state))
