"""The artifact store: what was made once is kept, verified when read, and reused.

Layout below `CATDOG_HOME`: `store/KIND/KEY/` holds an artifact's files and an `entry.json` with
its record and the size and SHA-256 of each file; `locks/` one lock a key, and what is in use;
`work/` what is being made or was interrupted; `catdog-home.txt` says that it is a home.

Where the setting `remote` names a bucket, an artifact that is not here is fetched from there, and
one that was made is brought there.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from catdog.configuration import standing_value
from catdog.errors import StoreError
from catdog.store import holds
from catdog.store.digest import value_digest
from catdog.store.files import (
    ENTRY,
    appearing,
    damage,
    describe_files,
    discard,
    first_problem,
    make_home,
    read_entry,
    write_json,
    write_text,
    writing,
)
from catdog.store.remote import LATER, DamagedError, Remote, RemoteError

log = logging.getLogger(__name__)

ELSEWHERE = Path()
"""Where an artifact is that was sent to another home."""


class Record(BaseModel):
    """A plain value that JSON can hold: no NaN, no infinity, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
        if read_entry(self.path)["record"].get("content") != self.content:
            raise ValueError(f"{self.path} was made again since")
        return self

    def file(self, name: str) -> Path:
        """The path of one of the artifact's files."""
        return self.path / name

    def sent(self) -> Self:
        """The same for another home, which takes the files from the remote: `Store.own`."""
        return self.model_copy(update={"path": ELSEWHERE})

    @property
    def created(self) -> datetime:
        """When it was made, by the clock of that moment."""
        return read_entry(self.path)["created"]

    @property
    def number(self) -> int:
        """Counts what its store has made, which no clock can turn back; 0 before it was counted."""
        return _number(self.path)


A = TypeVar("A", bound=Artifact)


@dataclass(frozen=True)
class Recipe(Generic[A]):
    """How an artifact is made, and the key under which it is kept."""

    cls: type[A]
    key: str
    make: Callable[[Path], Mapping[str, Any]]
    """Writes the files into the folder that it is given and returns the record's fields."""

    @property
    def lock(self) -> str:
        """The name of the lock that is held while it is made."""
        return lock_name(self.cls.kind, self.key)


def lock_name(kind: str, key: str) -> str:
    """What an artifact's lock is called, and the folders in which it is made."""
    return f"{kind}-{key}"


class Store:
    """All artifacts below one home folder; safe under several processes at once.

    part: it is no home, but a folder in one.
    """

    def __init__(self, home: Path, *, part: bool = False) -> None:
        self.home = home.expanduser().absolute()
        self._part = part
        self._counter = self.home / "store" / "counter"
        self._held = self.home / "locks" / "held"
        self.made: set[Path] = set()
        """The folders of the artifacts that were made by way of this object, not found."""
        self._replaced: set[str] = set()
        """What takes the place of what the remote has by these names."""

    @cached_property
    def remote(self) -> Remote | None:
        """What this home shares with others, if it is set."""
        url = standing_value("remote")
        return Remote(url, self.home.name if self._part else "") if url else None

    def obtain(self, recipe: Recipe[A]) -> A:
        """The artifact of a recipe: read when it is there and whole, else made, once.

        Raises StoreError when the home folder cannot be written or the disk is full.
        """
        cls, key = recipe.cls, recipe.key
        if found := self._here(cls, key):
            return found
        with self.lock(recipe.lock):
            return self._here(cls, key) or self._fetch(cls, key) or self._make(recipe)

    def renew(self, recipe: Recipe[A]) -> A:
        """The artifact of a recipe, made in any case; an older one stays until the new is whole."""
        with self.lock(recipe.lock):
            self._replaced.add(f"store/{recipe.cls.kind}/{recipe.key}")
            return self._make(recipe)

    def find(self, cls: type[A], key: str) -> A | None:
        """The artifact under this key, or None when there is none or it is damaged.

        Found or not, it is held from now on.
        """
        found = self._here(cls, key)
        if found or not self.remote:
            return found
        with self.lock(lock_name(cls.kind, key)):
            return self._here(cls, key) or self._fetch(cls, key)

    def own(self, artifact: A) -> A:
        """An artifact as it is in this home, where another one has sent it."""
        return self.bring(artifact) if artifact.path == ELSEWHERE else artifact

    def bring(self, artifact: A, *, made: bool = False) -> A:
        """This home's copy of an artifact of another one that shares the remote.

        made: for this home, which counts it as its own. Raises RemoteError when it is not there.
        """
        found = self.find(type(artifact), artifact.key)
        if found is None or found.content != artifact.content:
            place = self.remote.url if self.remote else self.home
            raise RemoteError(f"{artifact.kind} {artifact.key} is not in {place}.", LATER)
        if made and not found.number:
            entry = _entry(found.path) | {"number": self._next_number()}
            write_json(found.path / ENTRY, entry)
        return artifact.model_copy(update={"path": found.path})

    def _here(self, cls: type[A], key: str) -> A | None:
        self.hold(lock_name(cls.kind, key))
        path = self.folder(cls.kind, key)
        try:
            if not path.exists():
                return None
            return cls.model_validate({**read_entry(path)["record"], "key": key, "path": path})
        except (ValidationError, StoreError, OSError) as error:
            log.warning(
                "%s %s is damaged and will be made again (%s)", cls.kind, key, _first(error)
            )
            return None

    def forget(self, recipe: Recipe[Any], *, up_to: int) -> None:
        """Remove the artifact of a recipe unless its number is greater than this."""
        found = self.find(recipe.cls, recipe.key)
        if found and found.number <= up_to:
            self.drop(found)

    def count(self) -> int:
        """The number of the artifact that was made last; 0 before the first."""
        try:
            return int(self._counter.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):  # a new home, or a disk that lost it
            return max(map(_number, (self.home / "store").glob("*/[!.]*")), default=0)

    def count_at(self, event: str) -> int:
        """As `count`, but as it was when first asked about this event, such as a flow run's id."""
        with self.lock("counter"):
            noted = self.work("events") / event
            try:
                return int(noted.read_text(encoding="ascii"))
            except (FileNotFoundError, ValueError):  # it was never asked, or a disk lost it
                count = self.count()
                write_text(noted, str(count))
                return count

    def drop(self, artifact: Artifact) -> None:
        """Remove an artifact that proved useless, unless it was made again since."""
        with self.lock(lock_name(artifact.kind, artifact.key)):
            if self._here(type(artifact), artifact.key) == artifact:
                discard(artifact.path)
            self._drop_there(artifact)

    def folders(self, cls: type[Artifact]) -> list[Path]:
        """The folders of all artifacts of a kind, whole or not."""
        return sorted((self.home / "store" / cls.kind).glob("[!.]*/"))

    def folder(self, kind: str, key: str) -> Path:
        """Where the artifact of this kind and key lives, whether it exists or not."""
        return self.home / "store" / kind / key

    def unfinished(self, cls: type[Artifact], key: str) -> Path:
        """A folder that survives an interruption, for what a later try can go on from."""
        return self.work(f"unfinished/{lock_name(cls.kind, key)}")

    def work(self, name: str) -> Path:
        """A folder for what is no artifact."""
        return self._folder(f"work/{name}")

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a lock between processes; the kernel frees it however its holder dies."""
        folder = self._folder("locks")
        with writing(self.home):
            lock = FileLock(folder / f"{name}.lock")
            lock.acquire()
        try:
            self.hold(name)
            yield
        finally:
            lock.release()

    def hold(self, name: str) -> None:
        """Let pruning pass over what has this name until this process ends."""
        holds.hold(self._held, name)

    def seized(self, name: str) -> AbstractContextManager[bool]:
        """Whether no other process holds this name; during the body, none can begin to."""
        return holds.seized(self._held, name)

    def _folder(self, name: str) -> Path:
        path = self.home / name
        with writing(self.home):
            if not self._part:
                make_home(self.home)
            path.mkdir(parents=True, exist_ok=True)
        return path

    def _next_number(self) -> int:
        with self.lock("counter"):
            number = self.count() + 1
            write_text(self._counter, str(number))
        return number

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

    def _make(self, recipe: Recipe[A]) -> A:
        kind, key = recipe.cls.kind, recipe.key
        final = self.folder(kind, key)
        with writing(self.home, f"the {kind}"):
            final.parent.mkdir(parents=True, exist_ok=True)
            folder = self.work("making") / recipe.lock
            with appearing(final, folder):
                record = dict(recipe.make(folder))
                files = describe_files(folder)
                record["content"] = value_digest(files)
                whole = recipe.cls.model_construct(key=key, path=final, **record)
                write_json(
                    folder / ENTRY,
                    {
                        "kind": kind,
                        "key": key,
                        "number": self._next_number(),
                        "created": datetime.now(UTC).isoformat(timespec="seconds"),
                        "record": whole.model_dump(mode="json", exclude={"key", "path"}),
                        "files": files,
                    },
                )
        self.made.add(final)
        if self.remote:
            try:
                self._share(self.remote, kind, key)
            except (RemoteError, DamagedError) as error:
                log.warning("%s %s is not shared yet. %s", kind, key, error)
        made = self._here(recipe.cls, key)  # another home's, if that was faster
        return made or recipe.cls.model_validate({"key": key, "path": final, **record})

    def _fetch(self, cls: type[A], key: str) -> A | None:
        """The artifact as another home has made it. Its lock must be held."""
        if not self.remote:
            return None
        kind, name = cls.kind, f"store/{cls.kind}/{key}"
        try:
            if not self.remote.entry(name):
                return None
            self._receive(self.remote, kind, key)
            if found := self._here(cls, key):
                log.info("%s %s comes from %s", kind, key, self.remote.url)
                return found
            raise DamagedError(f"{self.remote.url}: the files of {name} are damaged")
        except DamagedError as error:
            log.warning("%s: made again", error)
            self._replaced.add(name)
        except RemoteError as error:
            log.warning("%s %s is looked for here only. %s", kind, key, error)
        return None

    def _receive(self, remote: Remote, kind: str, key: str) -> None:
        final = self.folder(kind, key)
        with writing(self.home, f"the {kind}"):
            final.parent.mkdir(parents=True, exist_ok=True)
            with appearing(final, self.work("making") / lock_name(kind, key)) as making:
                entry = remote.fetch(f"store/{kind}/{key}", making)
                if entry is None:
                    raise DamagedError(f"{remote.url}: {kind} {key} is gone")
                write_json(making / ENTRY, entry)

    def share(self, kind: str, key: str) -> None:
        """Bring an artifact of this home to the remote. Raises RemoteError.

        Where another home has brought it first, that one counts, here too.
        """
        if self.remote and self.folder(kind, key).exists():
            with self.lock(lock_name(kind, key)):
                self._share(self.remote, kind, key)

    def _share(self, remote: Remote, kind: str, key: str) -> None:
        name, folder = f"store/{kind}/{key}", self.folder(kind, key)
        entry = _entry(folder)
        entry.pop("number", None)  # counts for this home alone
        if remote.publish(name, folder, entry, replace=name in self._replaced):
            self._replaced.discard(name)
            # No other home has to go on from there any more.
            remote.discard(f"work/unfinished/{lock_name(kind, key)}")
        elif (found := remote.entry(name)) and found[0]["record"] != entry["record"]:
            log.info("%s %s was made twice: that of another home counts", kind, key)
            self._receive(remote, kind, key)

    def share_folder(self, name: str, record: Mapping[str, Any]) -> bool:
        """Bring a folder that is no artifact to the remote; False where there is one of this name.

        record: what is to be known of it without its files. Raises RemoteError.
        """
        if not self.remote:
            return True
        folder = self.home / name
        entry = {"files": describe_files(folder), "record": dict(record)}
        return self.remote.publish(name, folder, entry)

    def _drop_there(self, artifact: Artifact) -> None:
        if not self.remote:
            return
        name = f"store/{artifact.kind}/{artifact.key}"
        with suppress(DamagedError):
            found = self.remote.entry(name)
            if found and found[0]["record"].get("content") != artifact.content:
                return
        self.remote.discard(name)


def _entry(path: Path) -> dict[str, Any]:
    """The entry of an artifact as JSON has it."""
    read = read_entry(path)
    return {**read, "created": read["created"].isoformat()}


def _number(path: Path) -> int:
    try:
        return read_entry(path).get("number", 0)
    except StoreError:
        return 0


def _first(error: Exception) -> str:
    return first_problem(error) if isinstance(error, ValidationError) else str(error)
