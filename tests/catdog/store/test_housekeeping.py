"""Housekeeping: what is stored is listed, checked and pruned, but never what is being made."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from catdog.store.artifacts import Archive, Report, TrainedModel
from catdog.store.files import ENTRY, read_entry, write_json
from catdog.store.housekeeping import interrupted_items, prune, stored_items, verify
from catdog.store.store import Recipe, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def put(store: Store, key: str, *, days_ago: float = 0) -> Report:
    def make(folder: Path) -> dict[str, str]:
        (folder / "report.html").write_text("x" * 1_000)
        return {}

    report = store.obtain(Recipe(Report, key, make))
    entry = read_entry(report.path)
    created = report.created - timedelta(days=days_ago)
    write_json(report.path / ENTRY, entry | {"created": created.isoformat()})
    return report


def keys(store: Store) -> list[str]:
    return [item.key for item in stored_items(store)]


def test_an_empty_home_holds_nothing(store: Store) -> None:
    assert stored_items(store) == interrupted_items(store) == []
    assert list(prune(store, keep_days=0, dry_run=False)) == []
    assert list(verify(store)) == []


def test_artifacts_are_listed_by_age_with_their_size(store: Store) -> None:
    put(store, "new")
    put(store, "old", days_ago=2)
    items = stored_items(store)
    assert [(item.kind, item.key) for item in items] == [("report", "old"), ("report", "new")]
    assert items[0].bytes == 1_000 + (items[0].path / ENTRY).stat().st_size


def test_pruning_removes_everything_by_default(store: Store) -> None:
    put(store, "a")
    put(store, "b")
    assert sorted(item.key for item in prune(store, keep_days=0, dry_run=False)) == ["a", "b"]
    assert keys(store) == []
    assert list((store.home / "store" / "report").iterdir()) == []


def test_pruning_keeps_what_is_young(store: Store) -> None:
    put(store, "old", days_ago=8)
    put(store, "new", days_ago=6)
    assert [item.key for item in prune(store, keep_days=7, dry_run=False)] == ["old"]
    assert keys(store) == ["new"]


def test_a_dry_run_tells_and_removes_nothing(store: Store) -> None:
    put(store, "a")
    assert [item.key for item in prune(store, keep_days=0, dry_run=True)] == ["a"]
    assert keys(store) == ["a"]


def test_what_is_being_made_is_left_alone(store: Store) -> None:
    put(store, "locked")
    put(store, "free")
    store.unfinished(TrainedModel, "0123")
    with store.lock("report-locked"), store.lock("model-0123"):
        assert [item.key for item in prune(store, keep_days=0, dry_run=False)] == ["free"]
        assert keys(store) == ["locked"]
        assert [item.key for item in interrupted_items(store)] == ["model-0123"]


def test_what_interrupted_runs_left_is_listed_and_pruned(store: Store) -> None:
    for cls, key in ((TrainedModel, "0123"), (Archive, "4567")):
        (store.unfinished(cls, key) / "part").write_bytes(b"x" * 500)
    found = interrupted_items(store)
    assert sorted(item.key for item in found) == ["archive-4567", "model-0123"]
    assert {item.bytes for item in found} == {500}
    assert len(list(prune(store, keep_days=0, dry_run=False))) == 2
    assert interrupted_items(store) == []


def test_what_a_kill_left_half_made_is_listed_and_pruned(store: Store) -> None:
    half = store.work("making") / "arrays-abc"
    half.mkdir()
    (half / "train_images.npy").write_bytes(b"x" * 500)
    long_ago = half.stat().st_mtime - timedelta(days=2).total_seconds()
    os.utime(half, (long_ago, long_ago))
    assert [item.path for item in interrupted_items(store)] == [half]
    assert len(list(prune(store, keep_days=1, dry_run=False))) == 1
    assert not half.exists()


def test_verifying_names_what_is_damaged_and_only_that(store: Store) -> None:
    whole, damaged, headless = (put(store, key) for key in ("whole", "damaged", "headless"))
    damaged.file("report.html").write_text("y" * 1_000)
    headless.file(ENTRY).write_text("{")
    problems = {item.key: problem for item, problem in verify(store)}
    assert problems["whole"] is None
    assert "report.html does not have its recorded SHA-256" in str(problems["damaged"])
    assert "is not a whole record" in str(problems["headless"])
    assert whole.path.exists()
