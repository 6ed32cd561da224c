"""Photos in Parquet files, as the Hugging Face hub has them."""

import json
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pets import Fetcher

from catdog.errors import SourceError
from catdog.photos.layout import Layout, read_layout
from catdog.store.artifacts import Photos

CLASSES = ("cat", "dog")
STARTS = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG", "webp": b"RIFF"}


def photo(number: int, kind: str = "jpg") -> bytes:
    return STARTS[kind] + b"photo %d" % number


def write(path: Path, numbers: Iterable[int], *, hub: bool = True, **columns: list[Any]) -> Path:
    """A table as the hub has it: a struct with bytes, and a ClassLabel; or the simplest one."""
    photos = [photo(n) for n in numbers]
    labels = [n % 2 for n in numbers]
    table: dict[str, Any] = {"image": [{"bytes": p, "path": "../x.jpg"} for p in photos]}
    features = {"label": {"names": CLASSES, "_type": "ClassLabel"}}
    known = json.dumps({"info": {"features": features}}) if hub else "{}"
    if not hub:
        table["image"], labels = photos, [CLASSES[label] for label in labels]
    made = pa.table(table | {"label": labels} | columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = made.replace_schema_metadata({"huggingface": known})
    pq.write_table(made, path, row_group_size=2, compression="zstd")
    return path


def layout(photos: Photos) -> Layout:
    return read_layout({row["path"]: row.get("place") or row["path"] for row in photos.rows()}, "x")


def contents(photos: Photos) -> dict[bytes, str]:
    labels = layout(photos).labels
    return {(photos.folder / path).read_bytes(): label for path, label in labels.items()}


def expected(count: int) -> dict[bytes, str]:
    return {photo(n): CLASSES[n % 2] for n in range(count)}


def test_a_dataset_of_the_hub_keeps_its_splits_and_classes(tmp_path: Path, get: Fetcher) -> None:
    write(tmp_path / "pets/data/train-00000-of-00002.parquet", range(6))
    write(tmp_path / "pets/data/train-00001-of-00002.parquet", range(6, 8))
    write(tmp_path / "pets/data/test-00000-of-00001.parquet", range(8, 12))
    photos = get(str(tmp_path / "pets"))
    assert contents(photos) == expected(12)
    found = layout(photos).splits
    assert sorted(found.values()) == ["test"] * 4 + ["train"] * 8
    assert {(photos.folder / path).read_bytes() for path, s in found.items() if s == "test"} == {
        photo(n) for n in range(8, 12)
    }
    assert get.key(str(tmp_path / "pets")) == photos.key


@pytest.mark.parametrize("where", ["file", "folder", "zip", "store"])
@pytest.mark.parametrize("hub", [True, False])
def test_a_table_wherever_it_lies(tmp_path: Path, get: Fetcher, where: str, hub: bool) -> None:
    table = write(tmp_path / "pets/train.parquet", range(6), hub=hub)
    source = {"file": table, "folder": table.parent, "zip": tmp_path / "pets.zip"}.get(where)
    if where == "zip":
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            archive.write(table, "pets/train.parquet")
    if where == "store":
        fsspec.filesystem("memory").pipe("/parquet/pets/train.parquet", table.read_bytes())
    photos = get(str(source or "memory://parquet/pets"))
    assert contents(photos) == expected(6)
    assert layout(photos).splits == {}, "one split alone is none"


def test_photos_are_named_by_their_bytes_and_rows_without_a_class_are_told(
    tmp_path: Path, get: Fetcher
) -> None:
    kinds = [photo(n, kind) for n, kind in enumerate(STARTS)]
    labels = [0, 1, -1]
    source = write(tmp_path / "a.parquet", range(3), image=kinds, label=labels)
    photos = get(str(source))
    assert sorted(row["path"].rpartition(".")[2] for row in photos.rows()) == ["jpg", "png"]
    assert photos.note == "1 row without a class left out."


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"image": ["a", "b"]}, r"no column of photos \(it has image, label\)"),
        ({"label": [0.5, 0.1]}, "no column of classes"),
        ({"label": ["a/b", "c"]}, "a class 'a/b'"),
        ({"label": ["a\nb", "c"]}, r"a class 'a\\nb'"),
        ({"image": [{"bytes": None, "path": "a.jpg"}] * 2}, "names photos that are not in it"),
        ({"image": [bytes(20_000_000)] * 2}, "unpacks to more than 10,000,000 bytes"),
    ],
)
def test_a_table_that_is_no_data_set(
    tmp_path: Path, get: Fetcher, columns: dict[str, list[Any]], problem: str
) -> None:
    if columns.get("image", [{}])[0] == {"bytes": None, "path": "a.jpg"}:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = {"image": pa.array(columns["image"], kind)}
    source = write(tmp_path / "a.parquet", range(2), **columns)
    with pytest.raises(SourceError, match=problem) as caught:
        get(str(source))
    assert caught.value.remedy
    assert not list((tmp_path / "home/store").glob("photos/[!.]*"))


def test_one_photo_a_thousand_times_is_refused(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, number in {"MIN_MEMBERS": 10, "MEMBER_BYTES": 10**6}.items():
        monkeypatch.setattr(f"catdog.sources.archives.{name}", number)
    table = write(tmp_path / "train.parquet", [0, 1] * 2_000)
    with pytest.raises(SourceError, match=r"has more than [\d,]+ members"):
        get(str(table))


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_a_damaged_table(tmp_path: Path, get: Fetcher, cut: int) -> None:
    source = write(tmp_path / "a.parquet", range(6))
    source.write_bytes(source.read_bytes()[:cut])
    with pytest.raises(SourceError, match=r"a.parquet is damaged or no Parquet"):
        get(str(source))


def test_the_missing_package_is_named(
    tmp_path: Path, get: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.parquet", range(6))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r"needs the package pyarrow\..*\[parquet\]"):
        get(str(source))
