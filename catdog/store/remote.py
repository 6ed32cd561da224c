"""A bucket that several homes share: what one of them has made, the others find there.

Layout, as that of a home: `NAME/entry.json` says what a folder holds, and which object next to it
has the bytes of its files, one after the other. That object comes first and is never changed, so
no entry tells of half a folder. Where two homes write the same name, only one of them creates it,
or replaces the version that it has read: no lock is needed between them.
"""

import json
import logging
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

from pydantic import TypeAdapter, ValidationError

from catdog.addresses import BUCKET, without_secrets
from catdog.errors import SettingsError, StoreError
from catdog.store.files import ENTRY, Checkpoint
from catdog.wording import quoted

log = logging.getLogger(__name__)

TOLD = {
    "client_options": {
        "allow_http": True,  # of an endpoint that the user names, such as one on this machine
        "connect_timeout": "5s",
        "read_timeout": "60s",
        "timeout": "1h",
    },
    "retry_config": {"max_retries": 4, "retry_timeout": timedelta(seconds=30)},
}
"""A request may last as long as bytes come. Four tries again bridge a second or two: what takes
longer is done without the bucket, and later."""
TRIES = 5
"""To read on where the bytes of an object were cut off and none came since, or the object has been
replaced."""
BLOCK = 1 << 20
PART = 8 << 20
AT_ONCE = 4
"""Parts that are brought together: 32 MiB in 60 seconds is a line of 4 Mbit/s."""
MOST_PARTS = 9_000
"""S3 takes 10,000 of an object, and 5 TB in all: they are larger for more than 75 GB."""
AWAY_SECONDS = 30
"""A bucket that did not answer is not asked again for so long, so that nothing waits for it at
each step."""
MISSING = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
SAID = re.compile(r"status code: (\d+ [\w ]+)|HTTP error: ([\w ]+)")
"""What is told of an error: all else may hold an address with a signature."""
FORBIDDEN = re.compile(r"40[13]\b")
"""So obstore says it of a listing, for which it has no error of its own."""

_away: dict[str, float] = {}
"""When each bucket that did not answer is asked again, by the clock of this process."""


class RemoteError(StoreError):
    """The bucket did not do what it was asked for."""


class RefusedError(RemoteError):
    """It is not there, or it does not allow it."""


class ForbiddenError(RefusedError):
    """It does not allow it."""


class DamagedError(Exception):
    """What an entry tells of is not whole."""


class Version(NamedTuple):
    """One state of an object."""

    e_tag: str | None
    number: str | None

    def mode(self) -> Any:
        """As `obstore.put` takes it, to replace no other state."""
        known = {"e_tag": self.e_tag, "version": self.number}
        return {name: text for name, text in known.items() if text}


class Object(NamedTuple):
    """An object of a listing."""

    path: str
    bytes: int
    modified: datetime


class Shelved(Checkpoint):
    """The entry.json of a folder in a bucket."""

    part: str
    """The object next to it that has the bytes."""
    record: dict[str, Any]
    kind: NotRequired[str]
    """Of an artifact, as the two below."""
    key: NotRequired[str]
    created: NotRequired[str]


class Remote:
    """A folder in a bucket. Its methods raise RemoteError, and RefusedError for good.

    The login is taken from where obstore looks: the environment, or the machine's own.
    """

    def __init__(self, url: str, place: str = "") -> None:
        """place: the folder below the address."""
        found = re.fullmatch(BUCKET, url)
        if not found:
            raise SettingsError(
                f"remote: {quoted(without_secrets(url))} is no bucket.",
                "Write s3://BUCKET/FOLDER, gs://... or az://CONTAINER/FOLDER.",
            )
        self.url = url
        self.scheme, self._name, folder = found.groups()
        self._prefix = "/".join(filter(None, [folder.strip("/"), place]))

    @cached_property
    def _bucket(self) -> Any:
        from obstore import store

        kinds = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}
        with self._asking("used"):
            return kinds[self.scheme](self._name, prefix=self._prefix or None, **TOLD)

    def read(self, path: str) -> tuple[bytes, Version] | None:
        """The bytes of a small object; None where there is none."""
        import obstore

        with self._asking("read"):
            try:
                found = obstore.get(self._bucket, path)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return None
            return bytes(found.bytes()), _version(found.meta)

    def write(self, path: str, content: bytes, over: Version | None = None) -> bool:
        """Create a small object, or replace this version; False where another one is there."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._asking("written"):
            try:
                obstore.put(self._bucket, path, content, mode=over.mode() if over else "create")
            except (AlreadyExistsError, PreconditionError):
                found = self.read(path)  # a try whose answer was lost may have come through
                return found is not None and found[0] == content
            except FileNotFoundError as error:
                self._require_bucket(error)
                return False  # it is gone that was to be replaced
            return True

    def names(self, folder: str) -> list[str]:
        """What the folders in a folder are called."""
        return [path.rpartition("/")[2] for path in self._list(folder)["common_prefixes"]]

    def files(self, folder: str) -> list[str]:
        """What the objects in a folder are called, without those in folders in it."""
        return [found["path"].rpartition("/")[2] for found in self._list(folder)["objects"]]

    def objects(self, folder: str) -> Iterator[Object]:
        """All objects below a folder."""
        import obstore

        with self._asking("listed"):
            for found in obstore.list(self._bucket, folder):
                for each in found:
                    yield Object(each["path"], each["size"], each["last_modified"])

    def remove(self, paths: Iterable[str]) -> None:
        """Remove objects; those that are gone do not matter."""
        import obstore

        with self._asking("written"):
            for path in paths:
                with suppress(FileNotFoundError):
                    obstore.delete(self._bucket, path)

    def entry(self, name: str) -> tuple[Shelved, Version] | None:
        """What is known of a folder, without its files; None where there is none."""
        found = self.read(f"{name}/{ENTRY}")
        if found is None:
            return None
        try:
            return TypeAdapter(Shelved).validate_json(found[0]), found[1]
        except ValidationError as error:
            raise DamagedError(f"{self.url}: {name}/{ENTRY} is not whole") from error

    def publish(
        self, name: str, folder: Path, entry: Mapping[str, Any], *, replace: bool = False
    ) -> bool:
        """Bring a folder here; False where it is here already, or another home was faster.

        entry: as it is to be found, but for the part.
        replace: it takes the place of what is here.
        """
        before = self._replaceable(name)
        if before and not replace:
            return False
        part = uuid.uuid4().hex
        self._send(f"{name}/{part}", [folder / file for file in entry["files"]])
        text = json.dumps({**entry, "part": part}, ensure_ascii=False, allow_nan=False)
        written = self.write(f"{name}/{ENTRY}", text.encode(), before and before[1])
        left = part if not written else before[0] if before else ""
        if left:
            self.remove([f"{name}/{left}"])
        return written

    def fetch(self, name: str, folder: Path) -> Shelved | None:
        """Bring the files of a folder from here; None where it is not here.

        Their digests are for the caller to check. Raises DamagedError where their bytes are gone.
        """
        for _ in range(TRIES):
            found = self.entry(name)
            if found is None:
                return None
            try:
                self._receive(f"{name}/{found[0]['part']}", found[0], folder)
            except FileNotFoundError:  # it was replaced meanwhile
                continue
            return found[0]
        raise DamagedError(f"{self.url}: the bytes of {name} are gone")

    def discard(self, name: str) -> None:
        """Remove a folder: its entry first, so that nobody finds half of it."""
        paths = [found.path for found in self.objects(name)]
        self.remove(sorted(paths, key=lambda path: path != f"{name}/{ENTRY}"))

    def _replaceable(self, name: str) -> tuple[str, Version] | None:
        """Object and version of what is here, whole or not."""
        found = self.read(f"{name}/{ENTRY}")
        if found is None:
            return None
        with suppress(ValidationError):
            return TypeAdapter(Shelved).validate_json(found[0])["part"], found[1]
        return "", found[1]

    def _send(self, path: str, files: list[Path]) -> None:
        """Write an object that has the bytes of these files."""
        import obstore

        total = sum(file.stat().st_size for file in files)
        part = max(PART, total // MOST_PARTS)
        small = total <= PART
        content: Any = b"".join(file.read_bytes() for file in files) if small else _blocks(files)
        with self._asking("written"):
            try:
                obstore.put(self._bucket, path, content, chunk_size=part, max_concurrency=AT_ONCE)
            except FileNotFoundError as error:
                self._require_bucket(error)
                raise

    def _receive(self, path: str, entry: Checkpoint, folder: Path) -> None:
        """Write the files whose bytes an object has."""
        blocks = _Reader(self._stream(path))
        for name, facts in entry["files"].items():
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise DamagedError(f"{self.url}: {quoted(name)} leads out of the folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                blocks.copy(file, facts["bytes"])

    def _stream(self, path: str) -> Iterator[memoryview]:
        """The bytes of an object, from where they were cut off on if they are."""
        import obstore

        done, total, left = 0, 1, TRIES
        while done < total and left:
            left, before = left - 1, done
            try:
                with self._asking("read"):
                    rest: Any = {"range": {"offset": done}} if done else None
                    found = obstore.get(self._bucket, path, options=rest)
                    total = found.meta["size"]
                    for block in found.stream(min_chunk_size=BLOCK):
                        yield memoryview(block)
                        done += len(block)
            except RefusedError:
                raise
            except RemoteError:
                if not left and done == before:
                    raise
                _away.pop(self.url, None)
            if done > before:
                left = TRIES

    def _list(self, folder: str) -> Any:
        import obstore

        with self._asking("listed"):
            return obstore.list_with_delimiter(self._bucket, folder)

    def _require_bucket(self, error: Exception) -> None:
        if MISSING.search(str(error)):
            raise RefusedError(f"{self.url} is not there: there is no such bucket.", CHECK)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn what obstore raises into one line, and ask no more of a bucket that is away."""
        from obstore.exceptions import (
            BaseError,
            InvalidPathError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        forbidden = (PermissionDeniedError, UnauthenticatedError)
        if _away.get(self.url, 0) > time.monotonic():
            raise RemoteError(f"{self.url} did not answer.", LATER)
        try:
            yield
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of our own disk
            said = _said(error)
            if isinstance(error, forbidden) or FORBIDDEN.match(said):
                raise ForbiddenError(
                    f"{self.url} may not be {what} ({said}).",
                    "Check the login, which is taken from the environment: 'catdog doctor'.",
                ) from error
            self._require_bucket(error)
            if not isinstance(error, InvalidPathError):
                _away[self.url] = time.monotonic() + AWAY_SECONDS
            raise RemoteError(f"{self.url} could not be {what} ({said}).", LATER) from error


CHECK = "Check --remote, or CATDOG_REMOTE: 'catdog doctor'."
LATER = "Run the command again later: what is done is kept."


class _Reader:
    """Reads so many bytes at a time from blocks of any size."""

    def __init__(self, blocks: Iterator[memoryview]) -> None:
        self._blocks = blocks
        self._left = memoryview(b"")

    def copy(self, file: Any, wanted: int) -> None:
        """Write so many of the next bytes to a file."""
        while wanted:
            if not self._left:
                self._left = next(self._blocks, memoryview(b""))
            if not self._left:
                raise DamagedError("an object is shorter than its entry says")
            written = file.write(self._left[:wanted])
            self._left, wanted = self._left[written:], wanted - written


def _blocks(files: Iterable[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block


def _version(meta: Mapping[str, Any]) -> Version:
    return Version(meta.get("e_tag"), meta.get("version"))


def _said(error: Exception) -> str:
    """An error in a few words, of which none can be a secret."""
    found = SAID.search(str(error))
    return next(filter(None, found.groups())) if found else type(error).__name__
