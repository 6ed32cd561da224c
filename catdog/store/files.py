"""Files that appear whole or not at all, and what a home or an artifact says of itself."""

import errno
import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NotRequired, TypeVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic asks for it on Python 3.11

from catdog.addresses import obstacle
from catdog.errors import SettingsError, StoreError
from catdog.store.digest import digest_once, file_digest
from catdog.wording import quoted

HOME = "catdog-home.txt"
"""Marks a home: from a folder without it, nothing is pruned. `CACHEDIR.TAG` would not do: backups
leave out what bears it, and with it the champion."""
HOME_TEXT = """\
This folder is a home of catdog. It holds what 'catdog run' and the other commands have made.

store/ and work/ can be made again: 'catdog cache prune' removes what is in them.
runs/ and champion/ cannot be made again: back them up.
Leave this file here. Without it, 'catdog cache prune' may refuse to work on this folder.
"""
ENTRY = "entry.json"
LONGEST_START = 200
"""Bytes of a name that another one begins with: so it has room for what follows."""
PROCESS = re.compile(r"[1-9]\d{0,6}")
"""The number of a process: Linux has them up to 4,194,304."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAKING = ".making-"
"""Begins the name of a run's folder that is not yet whole."""
AGAIN = "The next run makes it again."
REMOVED = ".removed-"
"""Begins the name of what is being deleted, or was when its process was killed."""
UNWRITABLE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
)


T = TypeVar("T")


class FileFacts(TypedDict):
    """What an artifact's entry says of one of its files."""

    bytes: int
    sha256: str


class Checkpoint(TypedDict):
    """The entry.json of what is kept after an epoch: what it says of the files next to it."""

    files: dict[str, FileFacts]


class Entry(Checkpoint):
    """The entry.json of an artifact."""

    kind: str
    key: str
    number: NotRequired[int]
    """Not kept by older versions."""
    created: AwareDatetime
    record: dict[str, Any]


def make_home(folder: Path) -> None:
    """Make a folder for a home, if there is none, and mark it as one."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (folder / HOME).open("x", encoding="utf-8") as file:
        file.write(HOME_TEXT)


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


def read_json(path: Path, cls: type[T], remedy: str) -> T:
    """What a file of ours holds, as JSON of this type. Raises StoreError when it is not whole."""
    try:
        return TypeAdapter(cls).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        name = cls.__name__.lower()
        raise StoreError(
            f"{path} is not a whole {name} record ({quoted(_reason(error))}).", remedy
        ) from error


def _reason(error: OSError | ValidationError) -> str:
    return first_problem(error) if isinstance(error, ValidationError) else str(error.strerror)


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a value, and where in it."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    text = first["msg"].removeprefix("Value error, ")
    return f"{place}: {text}" if place else text


def read_entry(path: Path) -> Entry:
    """The entry.json of an artifact's folder. Raises StoreError when it is not whole."""
    return read_json(path / ENTRY, Entry, AGAIN)


def damage(path: Path, cls: type[Checkpoint] = Entry) -> str | None:
    """What is wrong with an artifact's files, or None when each is there with its SHA-256.

    cls: of its entry.json.
    """
    try:
        described = read_json(path / ENTRY, cls, AGAIN)["files"]
        recorded = [(path / n, facts["bytes"], facts["sha256"]) for n, facts in described.items()]
    except StoreError as error:
        return error.problem.removesuffix(".")
    problems = (_damage(file, bytes_, sha256) for file, bytes_, sha256 in recorded)
    return next(filter(None, problems), None)


def _damage(file: Path, bytes_: int, sha256: str) -> str | None:
    try:
        if not file.is_file():
            return f"{file} is missing"
        size = file.stat().st_size
        if size != bytes_:
            return f"{file} has {size:,} bytes instead of {bytes_}"
        if digest_once(file) != sha256:
            return f"{file} does not have its recorded SHA-256"
    except FileNotFoundError:  # another process removes it at this moment
        return f"{file} is missing"
    except OSError as error:
        return f"{quoted(file)} cannot be read ({error.strerror})"
    return None


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that appears whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def beside(path: Path) -> Path:
    """A place next to a path, for what takes its place when it is whole; its name is hidden."""
    start = os.fsdecode(os.fsencode(path.name)[:LONGEST_START])
    return path.with_name(f".{start}.{os.getpid()}")


def clear_dead(path: Path) -> None:
    """Remove what processes that were killed have left at `beside` of a path."""
    start = beside(path).name.removesuffix(str(os.getpid()))
    with suppress(OSError):  # nobody may list this folder, or nothing in it is ours to remove
        for left in path.parent.iterdir():
            number = left.name.removeprefix(start)
            if left.name == f"{start}{number}" and PROCESS.fullmatch(number) and _is_dead(number):
                discard(left)


def _is_dead(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under another name, without its bytes twice where the disk knows hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file that appears whole or not at all."""
    temporary = beside(path)
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_where_named(path: Path, text: str) -> None:
    """Write a UTF-8 text to a path that a user names. Raises OSError.

    A file appears whole or not at all; a link to it stays. What is no file, such as a device or a
    pipe, is written to and never replaced, and so is a file to which this process writes already:
    standard output may go to one, and `/dev/stdout` then leads there.
    """
    if (descriptor := _open_to_write(path)) is not None:
        with os.fdopen(os.dup(descriptor), "w", encoding="utf-8") as file:
            file.write(text)
    elif path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8") as file:
            file.write(text)
    else:
        path = Path(os.path.realpath(path))
        clear_dead(path)
        write_text(path, text)


def require_storable(path: Path, remedy: str) -> None:
    """Raise SettingsError for a path to write to that no disk can store."""
    if problem := obstacle(path):
        raise SettingsError(f"{quoted(path)} {problem}.", remedy)


def _open_to_write(path: Path) -> int | None:
    """The descriptor by which this process can write already to what a path leads to, if any."""
    for number in Path("/dev/fd").glob("*"):
        with suppress(OSError):  # one was that of the listing
            found = int(number.name)
            if os.path.samestat(os.fstat(found), path.stat()) and _writes(found):
                return found
    return None


def _writes(descriptor: int) -> bool:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def discard(path: Path) -> None:
    """Remove a folder, or a file in its place: moved out of the way at once, deleted then."""
    grave = path.with_name(f"{REMOVED}{uuid.uuid4().hex}")
    try:
        path.rename(grave)
    except FileNotFoundError:
        return
    if grave.is_dir():
        shutil.rmtree(grave, ignore_errors=True)
    else:
        grave.unlink(missing_ok=True)


@contextmanager
def appearing(folder: Path, making: Path) -> Iterator[Path]:
    """A folder to fill, `making`, which takes the place of another in the end, or is removed.

    So that other one is there whole, as it was or as it is now, and never half made.
    """
    discard(making)  # what a kill left half made
    making.mkdir(parents=True)
    try:
        yield making
        discard(folder)
        making.rename(folder)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise


@contextmanager
def writing(home: Path, what: str = "") -> Iterator[None]:
    """Turn a disk that is full or cannot be written into a StoreError with its remedy.

    what: is being written, such as "the arrays".
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if tells_of_a_full_disk(error):
            raise no_space(home, what) from error
        if not isinstance(error, OSError):
            raise
        if _concerns(home, error.filename) and (error.errno in UNWRITABLE or not home.exists()):
            raise StoreError(
                f"{home} cannot be written ({error.strerror}).",
                "Set CATDOG_HOME, or --home, to a folder that you may write to.",
            ) from error
        raise


def tells_of_a_full_disk(error: Exception) -> bool:
    """Whether an error says so: HDF5, NumPy and TensorFlow do it in words."""
    number = error.errno if isinstance(error, OSError) else None
    words = (*map(os.strerror, FULL), " requested and ")
    return number in FULL or (number is None and any(word in str(error) for word in words))


def no_space(folder: Path, what: str = "") -> StoreError:
    """What a user is told when the disk of a folder is full."""
    return StoreError(
        f"No space left while writing {f'{what} ' if what else ''}to {folder}.",
        "Free some space ('catdog cache prune'), or set CATDOG_HOME to a larger disk.",
    )


def _concerns(home: Path, filename: str | None) -> bool:
    """Whether a failed write was meant for the home folder, or for one above it on the way."""
    path = Path(filename) if filename else home
    return path.is_relative_to(home) or home.is_relative_to(path)
