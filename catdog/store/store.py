"""The artifact store: what was made once is kept, verified when read, and reused.

Layout below `CATDOG_HOME`: `store/KIND/KEY/` holds an artifact's files and an `entry.json` with
its record and the size and SHA-256 of each file; `locks/` one lock a key; `work/` what is being
made or was interrupted.
"""

import errno
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from catdog.errors import StoreError
from catdog.store.digest import digest_once, file_digest, value_digest

log = logging.getLogger(__name__)

ENTRY = "entry.json"
UNWRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)


class Artifact(BaseModel):
    """A stored artifact: its record, and the folder that holds its files.

    Reading a record whose files are missing, damaged or made again raises a ValidationError, so a
    cached record never outlives what it stands for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]

    key: str
    path: Path
    content: str
    """Digest of the files: equal content gives equal keys to what is made from it."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if problem := damage(self.path):
            raise ValueError(problem)
        record = read_entry(self.path).get("record")
        if not isinstance(record, dict) or record.get("content") != self.content:
            raise ValueError(f"{self.path} was made again since")
        return self

    def file(self, name: str) -> Path:
        """The path of one of the artifact's files."""
        return self.path / name

    @property
    def created(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(read_entry(self.path)["created"])


A = TypeVar("A", bound=Artifact)


class Store:
    """All artifacts below one home folder; safe under several processes at once."""

    def __init__(self, home: Path) -> None:
        self.home = home.expanduser().absolute()
        self.made: set[Path] = set()
        """The folders of the artifacts that were made by way of this object, not found."""

    def obtain(self, cls: type[A], key: str, make: Callable[[Path], Mapping[str, Any]]) -> A:
        """The artifact under this key: read when it is there and whole, else made, once.

        make: writes the files into the folder that it is given and returns the record's fields.
        Raises StoreError when the home folder cannot be written or the disk is full.
        """
        if found := self.find(cls, key):
            return found
        with self.lock(f"{cls.kind}-{key}"):
            return self.find(cls, key) or self._make(cls, key, make)

    def find(self, cls: type[A], key: str) -> A | None:
        """The artifact under this key, or None when there is none or it is damaged."""
        path = self.folder(cls.kind, key)
        if not path.exists():
            return None
        try:
            return cls.model_validate({"key": key, "path": path, **read_entry(path)["record"]})
        except (ValidationError, StoreError, KeyError, TypeError) as error:
            log.warning(
                "%s %s is damaged and will be made again (%s)", cls.kind, key, _first(error)
            )
            return None

    def forget(self, cls: type[Artifact], key: str, *, before: datetime) -> None:
        """Remove the artifact under this key if it was made before some moment."""
        with self.lock(f"{cls.kind}-{key}"):
            found = self.find(cls, key)
            if found and found.created < before:
                discard(found.path)

    def folder(self, kind: str, key: str) -> Path:
        """Where the artifact of this kind and key lives, whether it exists or not."""
        return self.home / "store" / kind / key

    def work(self, name: str) -> Path:
        """A folder that survives an interruption, for what a later try can go on from."""
        with writing(self.home):
            path = self.home / "work" / name
            path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock between processes; the kernel frees it however its holder dies."""
        folder = self.home / "locks"
        with writing(self.home):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{name}.lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def is_locked(self, name: str) -> bool:
        """Whether some process holds this lock now."""
        path = self.home / "locks" / f"{name}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True

    def _make(self, cls: type[A], key: str, make: Callable[[Path], Mapping[str, Any]]) -> A:
        final = self.folder(cls.kind, key)
        with writing(self.home):
            final.parent.mkdir(parents=True, exist_ok=True)
            folder = self.work("making") / f"{cls.kind}-{key}"
            discard(folder)  # what a kill left half made
            folder.mkdir()
            try:
                record = dict(make(folder))
                files = describe_files(folder)
                record["content"] = value_digest(files)
                write_json(
                    folder / ENTRY,
                    {
                        "kind": cls.kind,
                        "key": key,
                        "created": datetime.now(UTC).isoformat(timespec="seconds"),
                        "record": _as_json(cls, record, key),
                        "files": files,
                    },
                )
                discard(final)
                folder.rename(final)
                self.made.add(final)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return cls.model_validate({"key": key, "path": final, **record})


def _as_json(cls: type[Artifact], record: Mapping[str, Any], key: str) -> Any:
    whole = cls.model_construct(key=key, path=Path(), **record)
    return whole.model_dump(mode="json", exclude={"key", "path"})


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size in bytes and SHA-256 of each file below a folder, by its relative POSIX path."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": file_digest(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ENTRY
    }


def read_entry(path: Path) -> dict[str, Any]:
    """The entry.json of an artifact's folder. Raises StoreError when it cannot be read."""
    try:
        entry: dict[str, Any] = json.loads((path / ENTRY).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path / ENTRY} cannot be read ({error}).") from error
    return entry


def damage(path: Path) -> str | None:
    """What is wrong with an artifact's files, or None when each is there with its SHA-256."""
    try:
        recorded = [
            (path / name, expected["bytes"], expected["sha256"])
            for name, expected in read_entry(path)["files"].items()
        ]
    except (StoreError, KeyError, TypeError, AttributeError) as error:
        return f"{path / ENTRY} is not a whole record ({error})"
    for file, bytes_, sha256 in recorded:
        if not file.is_file():
            return f"{file} is missing"
        size = file.stat().st_size
        if size != bytes_:
            return f"{file} has {size:,} bytes instead of {bytes_}"
        if digest_once(file) != sha256:
            return f"{file} does not have its recorded SHA-256"
    return None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that appears whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Remove a folder at once: it is moved out of the way before its files are deleted."""
    if not path.exists():
        return
    grave = Path(tempfile.mkdtemp(prefix=".removed-", dir=path.parent))
    path.rename(grave / path.name)
    shutil.rmtree(grave, ignore_errors=True)


@contextmanager
def writing(home: Path) -> Iterator[None]:
    """Turn a disk that is full or cannot be written into a StoreError with its remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise no_space(home) from error
        if _concerns(home, error.filename) and (error.errno in UNWRITABLE or not home.exists()):
            raise StoreError(
                f"{home} cannot be written ({error.strerror}).",
                "Set CATDOG_HOME, or --home, to a folder that you may write to.",
            ) from error
        raise


def no_space(folder: Path) -> StoreError:
    """What a user is told when the disk of a folder is full."""
    return StoreError(
        f"No space left while writing to {folder}.",
        "Free some space ('catdog cache prune'), or set CATDOG_HOME to a larger disk.",
    )


def _concerns(home: Path, filename: str | None) -> bool:
    """Whether a failed write was meant for the home folder, or for one above it on the way."""
    path = Path(filename) if filename else home
    return path.is_relative_to(home) or home.is_relative_to(path)


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    return str(error)
