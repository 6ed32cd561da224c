"""Classes from a file next to the photos: `metadata.csv` or `metadata.jsonl`.

The layout `imagefolder` of Hugging Face's datasets has such a file in the folder of all photos, or
in that of each split. Its column `file_name` is a path from there, `label` the class, and `group`
what the photo shows together with others, such as a patient. A file without labels, such as one of
captions, leaves the folders' names in force. Its other columns, such as a camera, are facts of the
photos, by which the report divides them.
"""

import csv
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from catdog.errors import SourceError
from catdog.store.artifacts import SPLIT_FOLDERS
from catdog.wording import escaped, quoted

NAMES = frozenset(("metadata.csv", "metadata.jsonl"))
COLUMNS = frozenset(("file_name", "label", "group"))
"""Those that have a meaning of their own."""
LONGEST = 255
"""Characters of a class: of a folder's name, file systems allow no more."""
_LABELS = f"A class or group has a name of 1 to {LONGEST} characters, like a folder, on one line."
_REMEDY = "Mend it, or make one folder per class instead."


class Metadata(NamedTuple):
    """What metadata files say of photos; the keys are paths below the folder (POSIX)."""

    places: dict[str, str]
    """Where each labelled photo would lie if folders named the splits and classes."""
    groups: dict[str, str]
    """The name of the group of each photo that has one."""
    facts: dict[str, dict[str, str]]
    """What its other columns say of each photo that they say something of, by column."""


def read_metadata(folder: Path, files: Iterable[Path], name: str) -> Metadata:
    """What the metadata files of a folder say, which may be nothing.

    folder: all that is below counts. files: below it, relative. name: what errors call the folder.
    Raises SourceError for a file that cannot be read, that names a photo which is not there, or
    gives one two labels or groups.
    """
    there = {file.as_posix() for file in files}
    found = Metadata({}, {}, {})
    for path in sorted(path for path in there if PurePosixPath(path).name in NAMES):
        seen: dict[str, tuple[Any, Any]] = {}
        for line, row in _rows(folder / path, f"{name}: {path}"):
            given = row.get("file_name")
            said = row.get("label"), row.get("group") or None
            photo = (PurePosixPath(path).parent / str(given)).as_posix()
            if photo in there and (facts := _facts(row)):
                found.facts.setdefault(photo, {}).update(facts)
            if said == (None, None) or seen.get(str(given)) == said:
                continue
            if problem := _problem(photo, given, said, there, found):
                raise SourceError(f"{name}: line {line} of {path} {problem}", _REMEDY)
            seen[str(given)] = said
    return found


def _facts(row: Mapping[str, Any]) -> dict[str, str]:
    """What is short enough to divide photos by, on one line; other columns may hold anything."""
    told = {
        str(name): str(said).strip()
        for name, said in row.items()
        if name not in COLUMNS and isinstance(said, str | int | float)
    }
    return {name: said for name, said in told.items() if _short(name) and _short(said)}


def _short(text: str) -> bool:
    return 0 < len(text) <= LONGEST and escaped(text) == text


def _problem(
    photo: str, given: Any, said: tuple[Any, Any], there: Container[str], found: Metadata
) -> str | None:
    """Take down what a row says of a photo, or tell what is wrong with it."""
    if photo not in there:
        return f"names the photo {quoted(repr(given))}, which is not there."
    for what, value in zip(("label", "group"), said, strict=True):
        if value is None:
            continue
        text = str(value).strip()
        if not (isinstance(value, str | int | float) and names_a_class(text)):
            return f"has the {what} '{quoted(text)}'. {_LABELS}"
        known = found.places if what == "label" else found.groups
        meant = _place(PurePosixPath(photo), text) if what == "label" else text
        if known.setdefault(photo, meant) != meant:
            return f"gives the photo {quoted(repr(given))} another {what} than before."
    return None


def names_a_class(label: str) -> bool:
    """Whether it could be the name of a folder, as that of every other class is."""
    fits = 0 < len(label) <= LONGEST and label not in (".", "..")
    return fits and "/" not in label and escaped(label) == label


def _place(photo: PurePosixPath, label: str) -> str:
    splits = (i for i, part in enumerate(photo.parts[:-1]) if part.lower() in SPLIT_FOLDERS)
    split = next(splits, None)
    if split is None:
        return f"{label}/{photo}"
    return PurePosixPath(photo.parts[split], label, *photo.parts[split + 1 :]).as_posix()


def _rows(path: Path, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Numbers of lines, from 1, and what they say."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                reader = csv.DictReader(file, strict=True)
                yield from ((reader.line_num, row) for row in reader)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, dict(json.loads(line))
    except (ValueError, TypeError, RecursionError, csv.Error) as error:
        raise SourceError(f"{name} cannot be read ({quoted(error)}).", _REMEDY) from error
