"""Classes from a file next to the photos: `metadata.csv` or `metadata.jsonl`.

The layout `imagefolder` of Hugging Face's datasets has such a file in the folder of all photos, or
in that of each split. Its column `file_name` is a path from there, `label` the class. A file
without labels, such as one of captions, leaves the folders' names in force.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from catdog.errors import SourceError
from catdog.store.artifacts import SPLIT_FOLDERS
from catdog.wording import escaped, quoted

NAMES = frozenset(("metadata.csv", "metadata.jsonl"))
LONGEST = 255
"""Characters of a class: of a folder's name, file systems allow no more."""
_LABELS = f"A class has a name of 1 to {LONGEST} characters, like a folder, on one line."
_REMEDY = "Mend it, or make one folder per class instead."


def places(folder: Path, files: Iterable[Path], name: str) -> dict[str, str]:
    """Where each labelled photo would lie if folders named the splits and classes.

    folder: all that is below counts. files: below it, relative. name: what errors call the folder.
    The keys are paths below the folder (POSIX); empty without any label. Raises SourceError for a
    file that cannot be read, that names a photo which is not there, or gives one two labels.
    """
    there = {file.as_posix() for file in files}
    found: dict[str, str] = {}
    for path in sorted(path for path in there if PurePosixPath(path).name in NAMES):
        seen: dict[str, str] = {}
        for line, row in _rows(folder / path, f"{name}: {path}"):
            if row.get("label") is None:
                continue
            given, label = str(row.get("file_name")), str(row["label"]).strip()
            if seen.get(given) == label:
                continue
            photo = (PurePosixPath(path).parent / given).as_posix()
            place = _place(PurePosixPath(photo), label)
            problem = _problem(row, label, is_there=photo in there)
            if not problem and found.setdefault(photo, place) != place:
                problem = f"gives the photo {quoted(repr(given))} another label than before."
            if problem:
                raise SourceError(f"{name}: line {line} of {path} {problem}", _REMEDY)
            seen[given] = label
    return found


def _problem(row: Mapping[str, Any], label: str, *, is_there: bool) -> str | None:
    if not is_there:
        return f"names the photo {quoted(repr(row.get('file_name')))}, which is not there."
    if not (isinstance(row["label"], str | int | float) and names_a_class(label)):
        return f"has the label '{quoted(label)}'. {_LABELS}"
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
