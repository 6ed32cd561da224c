from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.photos.changes import Changes, compare_manifests
from catdog.store.artifacts import Manifest
from catdog.store.store import Recipe, Store

COLUMNS = ["path", "label", "split", "sha256"]
Rows = list[tuple[str, str, str, str]]
BEFORE: Rows = [
    ("train/cats/1.jpg", "cats", "train", "aa"),
    ("train/cats/2.jpg", "cats", "train", "bb"),
    ("train/dogs/3.jpg", "dogs", "train", "cc"),
    ("validation/dogs/4.jpg", "dogs", "test", "dd"),
]


def manifest(folder: Path, name: str, rows: Rows) -> Manifest:
    def write(target: Path) -> dict[str, object]:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(target / "manifest.csv", index=False)
        return {"classes": ("cats", "dogs"), "counts": {}, "rejected": 0, "duplicates": 0}

    return Store(folder).obtain(Recipe(Manifest, name, write))


def changes(folder: Path, before: Rows, now: Rows) -> Changes:
    return compare_manifests(
        manifest(folder, "before", before), manifest(folder, "now", now), since="run-1"
    )


def test_the_same_photos_are_no_change(tmp_path: Path) -> None:
    found = changes(tmp_path, BEFORE, BEFORE[::-1])
    assert not found.any
    assert found.sentence == "The photos are the same."


@pytest.mark.parametrize(
    ("now", "expected", "sentence"),
    [
        (
            [*BEFORE, ("train/cats/9.jpg", "cats", "train", "ee")],
            {"added": ("train/cats/9.jpg",)},
            "Photos: 1 added.",
        ),
        (BEFORE[1:], {"removed": ("train/cats/1.jpg",)}, "Photos: 1 removed."),
        (
            [("train/dogs/1.jpg", "dogs", "train", "aa"), *BEFORE[1:]],
            {"relabelled": (("train/dogs/1.jpg", "cats", "dogs"),)},
            "Photos: 1 relabelled.",
        ),
        (
            [("train/cats/one.jpg", "cats", "train", "aa"), *BEFORE[1:]],
            {"renamed": ("train/cats/one.jpg",)},
            "Photos: 1 renamed.",
        ),
        (
            [*BEFORE[:3], ("validation/dogs/4.jpg", "dogs", "validation", "dd")],
            {"resplit": (("validation/dogs/4.jpg", "test", "validation"),)},
            "Photos: 1 moved to another split.",
        ),
        (
            [("train/cats/1.jpg", "cats", "train", "ff"), *BEFORE[1:]],
            {"added": ("train/cats/1.jpg",), "removed": ("train/cats/1.jpg",)},
            "Photos: 1 added and 1 removed.",
        ),
    ],
)
def test_each_kind_of_change_is_told_by_the_newer_path(
    tmp_path: Path, now: Rows, expected: dict[str, object], sentence: str
) -> None:
    found = changes(tmp_path, BEFORE, now)
    assert found == Changes.model_validate({"since": "run-1", **expected})
    assert found.sentence == sentence


def test_copies_of_one_picture_are_told_apart_by_path(tmp_path: Path) -> None:
    twins: Rows = [("a.jpg", "cats", "train", "aa"), ("b.jpg", "cats", "train", "aa")]
    assert changes(tmp_path / "fewer", twins, twins[1:]).removed == ("a.jpg",)
    assert not changes(tmp_path / "other order", twins, twins[::-1]).any


ROW = st.tuples(
    st.sampled_from("abcde").map("{}.jpg".format),
    st.sampled_from(["cats", "dogs"]),
    st.sampled_from(["train", "test"]),
    st.sampled_from(["11", "22", "33"]),
)
TABLES = st.lists(ROW, max_size=5, unique_by=lambda row: row[0])


@settings(max_examples=25, deadline=None)
@given(before=TABLES, now=TABLES)
def test_every_photo_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, before: Rows, now: Rows
) -> None:
    found = changes(tmp_path_factory.mktemp("home"), before, now)
    old, new = (Counter(row[3] for row in rows) for rows in (before, now))
    assert len(found.added) == (new - old).total()
    assert len(found.removed) == (old - new).total()
    assert found.any == (sorted(before) != sorted(now))
