"""Which photo files a folder holds."""

import json
import logging
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

from catdog.errors import SourceError
from catdog.sources.metadata import NAMES as METADATA
from catdog.sources.metadata import read_metadata
from catdog.store.artifacts import SPLITS
from catdog.store.digest import digest_once, value_digest
from catdog.wording import escaped, quoted

log = logging.getLogger(__name__)

PHOTO_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
)


@dataclass(frozen=True)
class Inventory:
    """The photo files of a folder, by name; none of them is opened as a picture."""

    root: Path
    """The folder that holds the split or class folders: wrappers around it are left out."""
    rows: tuple[tuple[str, int, str], ...]
    """Of each file, sorted by path: path (relative to `root`, POSIX), bytes, SHA-256."""
    left_out: str = ""
    """How many files of which other kinds there are, in a sentence; empty when there are none."""
    places: tuple[str, ...] = ()
    """Where a metadata file names the classes: of each row, its path if folders did."""
    groups: tuple[str, ...] = ()
    """Where a metadata file names groups: of each row, its group, or nothing."""
    facts: tuple[str, ...] = ()
    """Where it has other columns: of each row, what they say, as JSON, or nothing."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that is said of them: equal for the same photos wherever they lie."""
        if self.facts:
            return value_digest((self.rows, self.places, self.groups, self.facts))
        if self.groups:
            return value_digest((self.rows, self.places, self.groups))
        return value_digest((self.rows, self.places) if self.places else self.rows)


@contextmanager
def reading() -> Iterator[None]:
    """Turn a user's file or folder that cannot be read into a SourceError."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{quoted(error.filename)} cannot be read ({error.strerror}).",
            "Check that it still exists and that you may read it.",
        ) from error


@reading()
def take_inventory(folder: Path, *, name: str | None = None) -> Inventory:
    """List the photo files below a folder, hidden ones left out, with size and SHA-256.

    name: what errors call the folder; its path when None.
    Raises SourceError when there is none, or one cannot be read or has no valid name.
    """
    shown = name or str(folder)
    paths = [path.relative_to(folder) for path in visible_files(folder)]
    photos = sorted(path.as_posix() for path in paths if is_photo(path))
    left_out = _left_out(path for path in paths if not is_photo(path))
    if not photos:
        raise SourceError(
            " ".join(filter(None, [f"{shown} holds no photo files.", left_out])),
            f"Put photos ({', '.join(sorted(PHOTO_SUFFIXES))}) into one folder per class.",
        )
    known = read_metadata(folder, paths, shown)
    root = folder / _wrapper(photos)
    _check_names((str(folder), *photos), shown)
    files = [folder / photo for photo in photos]
    rows = [(f.relative_to(root).as_posix(), f.stat().st_size, digest_once(f)) for f in files]
    if left_out:
        log.warning("%s: %s", shown, left_out)
    # A name alone is outside of every class.
    places = tuple(known.places.get(p, file.name) for p, file in zip(photos, files, strict=True))
    groups = tuple(known.groups.get(photo, "") for photo in photos)
    facts = tuple(_as_json(known.facts.get(photo)) for photo in photos)
    return Inventory(
        root,
        tuple(rows),
        left_out,
        places if known.places else (),
        groups if known.groups else (),
        facts if known.facts else (),
    )


def _as_json(facts: dict[str, str] | None) -> str:
    return json.dumps(facts, ensure_ascii=False, sort_keys=True) if facts else ""


def hidden(name: str) -> bool:
    """Whether a file or folder is hidden, or one of those that macOS adds to archives."""
    return name.startswith(".") or name == "__MACOSX"


def is_photo(file: Path) -> bool:
    """Whether a file has the suffix of a photo."""
    return file.suffix.lower() in PHOTO_SUFFIXES


def visible_files(folder: Path) -> Iterator[Path]:
    """The files below a folder, hidden ones left out; linked folders count, but each once."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:  # os.walk calls itself for each level on Python 3.11: not for 1,000 of them
        place = waiting.pop()
        status = place.stat()
        identity = status.st_dev, status.st_ino  # to resolve a deep path takes far longer
        if identity in seen:
            log.warning("%s leads to a folder that was already counted: left out.", place)
            continue
        seen.add(identity)
        inside = sorted(path for path in place.iterdir() if not hidden(path.name))
        waiting += [path for path in reversed(inside) if path.is_dir()]
        yield from (path for path in inside if path.is_file())


def _left_out(others: Iterable[Path]) -> str:
    kinds = Counter(p.suffix.lower() or "no suffix" for p in others if p.name not in METADATA)
    if not kinds:
        return ""
    listed = ", ".join(f"{number} of {escaped(kind)}" for kind, number in kinds.most_common())
    return f"Files that catdog does not read as photos were left out: {listed}."


def _wrapper(photos: Iterable[str]) -> PurePosixPath:
    """The folders around the split or class folders, such as `cats_and_dogs_filtered`.

    A folder that holds photos is a class and `train` is a split, so neither is a wrapper.
    """
    around = {PurePosixPath(photo).parent.parent for photo in photos}
    common = PurePosixPath(posixpath.commonpath(around))
    return PurePosixPath(*takewhile(lambda part: part.lower() not in SPLITS, common.parts))


def _check_names(names: Iterable[str], shown: str) -> None:
    """Refuse what would end a row of a table or a list of classes, or cannot be written there."""
    for name in names:
        if (seen := escaped(name)) != name:
            told = "has a control character or is not valid UTF-8"
            raise SourceError(f"{escaped(shown)}: the name '{seen}' {told}.", "Rename it.")
