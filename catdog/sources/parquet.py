"""Photos in Parquet files, as datasets of the Hugging Face hub have them.

A row is a photo: its bytes in a column `image` (alone, or in a struct with `bytes`), its class in a
column `label`: a name, or a number that the schema gives a name (a ClassLabel of Hugging Face's
datasets). A file's split is in its name or in that of a folder around it.
"""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from catdog.errors import SourceError
from catdog.sources.archives import Budget
from catdog.sources.inventory import is_photo, visible_files
from catdog.sources.metadata import names_a_class
from catdog.store.artifacts import SPLIT_FOLDERS
from catdog.wording import counted, escaped

log = logging.getLogger(__name__)

SUFFIX, MARK = ".parquet", b"PAR1"
IMAGES = ("image", "img")
LABELS = ("label", "labels")
ROWS = 64
"""Read at a time, to bound the memory."""
KINDS = {b"\x89PNG": ".png", b"RIFF": ".webp", b"GIF8": ".gif", b"BM": ".bmp"}
"""By their first bytes; others are called .jpg, and whether they are photos is found out later."""
REMEDY = (
    "It needs a column 'image' with the bytes of the photos and a column 'label' with their "
    "classes, or export the photos into one folder per class."
)


def tables_in(folder: Path) -> list[Path]:
    """The Parquet files of a folder that has no photo files."""
    files = list(visible_files(folder))
    if any(map(is_photo, files)):
        return []
    return [path for path in files if path.suffix.lower() == SUFFIX]


def is_table(file: Path) -> bool:
    """Whether a file is Parquet, by its first bytes."""
    with file.open("rb") as opened:
        return opened.read(len(MARK)) == MARK


def unpack_tables(tables: list[Path], around: Path, folder: Path, name: str) -> str:
    """Write the photos of Parquet files into a folder, as `SPLIT/CLASS/FILE-ROW.jpg`.

    The splits are left out unless there is one to train on and another. around: the folder that
    the tables lie in, or the table itself; name: what errors call it. Returns what to know about
    what was left out.
    Raises SourceError for a file that is damaged, has no photos or classes, or is too large.
    """
    paths = {path.relative_to(around).as_posix(): path for path in tables}
    splits = {shown: _split(shown) for shown in paths}
    given = "train" in splits.values() and len(set(splits.values()) - {""}) > 1
    budget = Budget(sum(path.stat().st_size for path in tables), folder, name)
    nameless = 0
    for number, (shown, path) in enumerate(paths.items()):
        told = name if path == around else f"{name}: {shown}"
        place = folder / (splits[shown] or "train" if given else "")
        for row, (label, photo) in enumerate(_rows(path, told)):
            if label is None:
                nameless += 1
                continue
            budget.count(1)
            budget.spend(len(photo))
            target = place / label / f"{number:03d}-{row:07d}{_suffix(photo)}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(photo)
    return f"{counted(nameless, 'row')} without a class left out." if nameless else ""


def _split(path: str) -> str:
    """The split that a file belongs to by its name or its folders; empty where they tell none."""
    for part in reversed(PurePosixPath(path).parts):
        if found := SPLIT_FOLDERS.get(re.split(r"[-_.]", part)[0].lower()):
            return found
    return ""


def _rows(path: Path, name: str) -> Iterator[tuple[str | None, bytes]]:
    """The class and the bytes of each photo; None for a row without a class."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        remedy = "Install it: pip install 'catdog-pipeline[parquet]'."
        raise SourceError(f"{name} needs the package pyarrow.", remedy) from error
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            schema = file.schema_arrow
            image, label = _image_column(schema, name), _label_column(schema, name)
            names = _names(schema, label)
            for batch in file.iter_batches(ROWS, columns=[image, label], use_threads=False):
                for row in batch.to_pylist():
                    yield _class(row[label], names, name), _bytes(row[image], name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        told = escaped(str(error).partition("\n")[0][:200])
        raise SourceError(
            f"{name} is damaged or no Parquet ({told}).", "Fetch it again."
        ) from error


def _image_column(schema: Any, name: str) -> str:
    import pyarrow as pa

    for column in IMAGES:
        if column in schema.names:
            kind = schema.field(column).type
            inside = kind.field("bytes").type if _has(kind, "bytes") else kind
            if pa.types.is_binary(inside) or pa.types.is_large_binary(inside):
                return column
    raise SourceError(f"{name} has no column of photos{_columns(schema)}.", REMEDY)


def _label_column(schema: Any, name: str) -> str:
    import pyarrow as pa

    for column in LABELS:
        if column in schema.names:
            kind = schema.field(column).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            if (
                pa.types.is_integer(kind)
                or pa.types.is_string(kind)
                or pa.types.is_large_string(kind)
            ):
                return column
    raise SourceError(f"{name} has no column of classes{_columns(schema)}.", REMEDY)


def _has(kind: Any, field: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind) and kind.get_field_index(field) >= 0)


def _columns(schema: Any) -> str:
    return f" (it has {escaped(', '.join(schema.names)[:200])})"


def _names(schema: Any, label: str) -> list[str]:
    """The names of a ClassLabel, by number; none where the schema has none."""
    try:
        known = json.loads((schema.metadata or {})[b"huggingface"])
        return [str(each) for each in known["info"]["features"][label]["names"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _class(value: Any, names: list[str], name: str) -> str | None:
    """A row's class; -1 is what datasets without answers have."""
    if value is None or value == -1:
        return None
    label = names[value] if names and isinstance(value, int) and value < len(names) else str(value)
    if not names_a_class(label):
        raise SourceError(f"{name} has a class '{escaped(label[:80])}'.", "Name it like a folder.")
    return label


def _bytes(value: Any, name: str) -> bytes:
    photo = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(value, dict) and photo is None and value.get("path"):
        raise SourceError(f"{name} names photos that are not in it.", REMEDY)
    return photo or b""


def _suffix(photo: bytes) -> str:
    return next((kind for start, kind in KINDS.items() if photo.startswith(start)), ".jpg")
