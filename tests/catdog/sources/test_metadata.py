"""Photos whose classes a metadata file names."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pets import Fetcher, as_folder, listed

from catdog.errors import SourceError
from catdog.photos.layout import read_layout
from catdog.sources import metadata
from catdog.store.artifacts import Photos

PHOTOS = [f"{number}.jpg" for number in range(6)]
LABELS = {name: ("cats", "dogs")[number % 2] for number, name in enumerate(PHOTOS)}


def write(folder: Path, labels: Mapping[str, object], kind: str) -> None:
    rows = [{"file_name": name, "label": label} for name, label in labels.items()]
    if kind == "csv":
        lines = ["file_name,label", *(f"{row['file_name']},{row['label']}" for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    (folder / f"metadata.{kind}").write_text("\n".join(lines) + "\n")


def labels(photos: Photos) -> tuple[dict[str, str], dict[str, str], tuple[str, ...]]:
    layout = read_layout({row["path"]: row["place"] for row in photos.rows()}, "pets")
    return layout.labels, layout.splits, layout.outside


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@pytest.mark.parametrize("below", ["", "images/"])
def test_the_file_names_the_classes(tmp_path: Path, get: Fetcher, kind: str, below: str) -> None:
    source = as_folder(tmp_path / "pets", [below + name for name in PHOTOS])
    write(source, {below + name: label for name, label in LABELS.items()}, kind)
    photos = get(str(source))
    found, splits, outside = labels(photos)
    assert {Path(path).name: label for path, label in found.items()} == LABELS
    assert (splits, outside, photos.note) == ({}, (), "")


@pytest.mark.parametrize("in_each", [True, False])
def test_folders_of_splits_stay_splits(tmp_path: Path, get: Fetcher, in_each: bool) -> None:
    source = as_folder(
        tmp_path / "pets", [f"{split}/{name}" for split in ("training", "dev") for name in PHOTOS]
    )
    for split in ("training", "dev"):
        if in_each:
            write(source / split, LABELS, "csv")
    if not in_each:
        both = {f"{s}/{name}": label for s in ("training", "dev") for name, label in LABELS.items()}
        write(source, both, "jsonl")
    found, splits, _ = labels(get(str(source)))
    assert found["dev/1.jpg"] == "dogs"
    assert {splits["training/0.jpg"], splits["dev/0.jpg"]} == {"train", "validation"}


def test_a_photo_that_it_does_not_name_belongs_to_no_class(tmp_path: Path, get: Fetcher) -> None:
    source = as_folder(tmp_path / "pets", [*PHOTOS, "cats/more.jpg"])
    write(source, LABELS, "csv")
    found, _, outside = labels(get(str(source)))
    assert found.keys() == LABELS.keys()
    assert outside == ("cats/more.jpg",)


def test_another_label_is_another_source(tmp_path: Path, get: Fetcher) -> None:
    source = as_folder(tmp_path / "pets", PHOTOS)
    write(source, LABELS, "csv")
    before = get.key(str(source))
    write(source, LABELS | {"0.jpg": "dogs"}, "csv")
    assert get.key(str(source)) != before


def test_a_file_of_captions_leaves_the_folders_names_in_force(tmp_path: Path, get: Fetcher) -> None:
    source = as_folder(tmp_path / "pets", ["cats/1.jpg", "dogs/1.jpg"])
    (source / "metadata.csv").write_text("file_name,text\ncats/1.jpg,a cat\n")
    photos = get(str(source))
    assert listed(photos) == ["cats/1.jpg", "dogs/1.jpg"]
    assert "place" not in photos.rows()[0]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("metadata.csv", "file_name,label\n9.jpg,cats\n", "line 2 .* names the photo '9.jpg'"),
        ("metadata.csv", "label\ncats\n", "names the photo None, which is not there"),
        ("metadata.csv", "file_name,label\n0.jpg,a/b\n", "has the label 'a/b'"),
        ("metadata.csv", "file_name,label\n0.jpg,\n", "has the label ''"),
        ("metadata.csv", "file_name,label\n0.jpg,..\n", r"has the label '\.\.'"),
        ("metadata.csv", 'file_name,label\n0.jpg,"a\nb"\n', r"line 3 .* the label 'a\\nb'"),
        ("metadata.csv", "file_name,label\n0.jpg,a\u2028b\n", r"has the label 'a\\u2028b'"),
        ("metadata.jsonl", '{"file_name": "0.jpg", "label": "\\ud800"}\n', r"label '\\ud800'"),
        ("metadata.jsonl", f'{{"file_name": "0.jpg", "label": "{"a" * 5_000}"}}\n', "'aaaa"),
        ("metadata.jsonl", "{\n", "cannot be read"),
        ("metadata.jsonl", "[" * 100_000, "cannot be read"),
        ("metadata.jsonl", f'{{"file_name": "0.jpg", "label": {"[" * 900}{"]" * 900}}}', "label"),
        ("metadata.jsonl", '{"file_name": "0.jpg", "label": ["a"]}', "has the label"),
        ("metadata.jsonl", '{"file_name": "0.jpg", "label": "a\\rb"}', r"label 'a\\rb'"),
        ("metadata.jsonl", f'{{"file_name": "{"a" * 50_000}", "label": "a"}}', "is not there"),
        ("metadata.jsonl", '{"file_name": "\\ud800.jpg", "label": "a"}', r"'\\ud800.jpg'"),
        ("metadata.jsonl", f'{{"file_name": "0.jpg", "label": {"7" * 5_000}}}', "cannot be read"),
        ("metadata.csv", "file_name,label\n0.jpg,a\n0.jpg,b\n", "line 3 .* another label"),
        ("metadata.csv", "file_name,label\n0.jpg,a\n./0.jpg,b\n", "line 3 .* another label"),
        ("metadata.jsonl", "[1]\n", "cannot be read"),
        ("metadata.jsonl", '{"file_name": "../0.jpg", "label": "cats"}\n', "is not there"),
    ],
)
def test_what_it_says_wrongly_is_named(
    tmp_path: Path, get: Fetcher, name: str, text: str, told: str
) -> None:
    source = as_folder(tmp_path / "pets", PHOTOS)
    (source / name).write_text(text)
    with pytest.raises(SourceError, match=rf"{name}.*{told}|{told}.*") as caught:
        get(str(source))
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_a_row_that_is_there_a_million_times_costs_no_more_than_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + "0.jpg,cats\n" * 1_000)
    made: list[object] = []
    monkeypatch.setattr(
        "catdog.sources.metadata._place", lambda *of: made.append(of) or "cats/0.jpg"
    )
    files = [Path("0.jpg"), Path("metadata.csv")]
    assert metadata.read_metadata(tmp_path, files, "pets").places == {"0.jpg": "cats/0.jpg"}
    assert len(made) == 1


def test_other_columns_are_facts_of_the_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "metadata.csv").write_text(
        "file_name,label,camera,caption\na.jpg,cats,old," + "x" * 300 + "\n", encoding="utf-8"
    )
    found = metadata.read_metadata(tmp_path, [Path("a.jpg"), Path("metadata.csv")], "here")
    assert found.facts == {"a.jpg": {"camera": "old"}}
