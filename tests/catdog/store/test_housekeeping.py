"""Housekeeping: what is stored is listed, checked and pruned, but never what is being made."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catdog.errors import StoreError
from catdog.promotion.registry import Registry
from catdog.store import holds, housekeeping
from catdog.store.artifacts import Archive, Report, TrainedModel
from catdog.store.files import ENTRY, HOME, Entry, read_entry, write_json
from catdog.store.housekeeping import Item, interrupted_items, leftovers, stored_items, verify
from catdog.store.housekeeping import prune as prune_all
from catdog.store.store import Recipe, Store

KEY = "0123456789abcdef01234567"
GRAVE = ".removed-0123456789abcdef0123456789abcdef"
HALF_RUN = ".making-20260504-123000-tiny-1"


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


def prune(store: Store, *, keep_days: float = 0, dry_run: bool = False) -> list[Item]:
    """What could go."""
    met = prune_all(store, keep_days=keep_days, dry_run=dry_run)
    return [item for item, free in met if free]


def keys(store: Store) -> list[str]:
    return [item.key for item in stored_items(store)]


def test_an_empty_home_holds_nothing(store: Store) -> None:
    assert stored_items(store) == interrupted_items(store) == []
    assert prune(store) == []
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
    assert sorted(item.key for item in prune(store)) == ["a", "b"]
    assert keys(store) == []
    assert list((store.home / "store" / "report").iterdir()) == []


def test_pruning_keeps_what_is_young(store: Store) -> None:
    put(store, "old", days_ago=8)
    put(store, "new", days_ago=6)
    assert [item.key for item in prune(store, keep_days=7)] == ["old"]
    assert keys(store) == ["new"]


def test_a_dry_run_tells_and_removes_nothing(store: Store) -> None:
    put(store, "a")
    assert [item.key for item in prune(store, dry_run=True)] == ["a"]
    assert keys(store) == ["a"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_may_only_be_read_is_not_pruned_and_that_is_one_line(
    store: Store, dry_run: bool
) -> None:
    put(store, "a")
    held = store.home / "locks" / "held"
    os.close(holds._files.pop(held))
    holds._files[held] = os.open(held, os.O_RDONLY)  # as where it can be opened in no other way
    with pytest.raises(StoreError, match=f"{store.home} cannot be written .*Read-only.*--home"):
        prune(store, dry_run=dry_run)
    assert keys(store) == ["a"]


def test_what_a_killed_promotion_left_is_pruned(store: Store) -> None:
    put(store, "a")
    champions = Store(store.home / "champion", part=True)
    half = champions.work("making") / f"model-{KEY}"
    half.mkdir()
    grave = champions.work("making") / GRAVE
    grave.mkdir()
    assert {item.path for item in prune(store, keep_days=1)} == {half, grave}
    assert list(champions.work("making").iterdir()) == []


USE = """
import sys
from pathlib import Path
from typing import Any
from catdog.training.progress import claim_progress, write_stage
from catdog.store.artifacts import Report
from catdog.store.store import Store

store = Store(Path(sys.argv[1]))
store.find(Report, "used")
with store.lock("model-0123456789abcdef01234567"):
    claim_progress(Path(sys.argv[2]))
    store.hold("runs-20260504-123000-tiny-1")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_a_process_makes_or_uses_stays_as_long_as_it_lives(store: Store) -> None:
    put(store, "used", days_ago=90)
    put(store, "free")
    store.unfinished(TrainedModel, KEY)
    (store.home / "runs" / HALF_RUN).mkdir(parents=True)
    progress = store.home / "work" / "progress" / "host-1"
    command = [sys.executable, "-c", USE, str(store.home), str(progress)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as user:  # type: ignore[call-overload]  # noqa: S603
        assert user.stdout.readline() == b"ready\n"
        assert [item.key for item in prune(store)] == ["free"]
        assert keys(store) == ["used"]
        user.kill()
    gone = {"used", f"model-{KEY}", "host-1", HALF_RUN}
    assert {item.key for item in prune(store)} == gone
    assert keys(store) == []
    assert interrupted_items(store) == leftovers(store) == []


@pytest.mark.parametrize(
    "place",
    [
        f"store/report/{GRAVE}/part",
        f"work/making/{GRAVE}/part",
        f"runs/{GRAVE}/part",
        f"runs/{HALF_RUN}/part",
        f"champion/store/model/{GRAVE}/part",
        "work/progress/host-1/stage.txt",
        "work/progress/host-1/baseline-42.json",
        "work/progress/host-1/.baseline-42.json.1",
    ],
)
def test_what_only_a_kill_left_is_counted_and_swept(store: Store, place: str) -> None:
    store.work("progress")
    file = store.home / place
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 500)
    assert [item.bytes for item in leftovers(store)] == [500]
    assert [item.path for item in prune(store, keep_days=365)] == [file.parent]
    assert not file.parent.exists()


FOREIGN = st.tuples(
    st.sampled_from(
        (
            *("results", "weights", "work/training", "work/fetch-x", "work/logs", "runs/mine"),
            *("store/mine", "store/report", "store/report/mine", f"store/report/{KEY}"),
            *("champion/store/model/mine", "champion/store/model/.removed-x"),
            *("work/making/mine", "work/unfinished/mine", "work/unfinished/model-mine"),
            *("work/progress", "work/progress/week-1", "work/progress/mine"),
            *("store/report/.removed-x", "work/making/.removed-x", "runs/.removed-x"),
            *("runs/.making-x", "runs/.making-mine-1", "runs/20260504-123000-tiny-1"),
        )
    ),
    st.sampled_from(("notes.txt", ".hidden", "stage", "list.json")),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FOREIGN, min_size=1, unique=True), st.sampled_from(("", "{}", "[]", "null")))
def test_what_a_user_keeps_in_a_home_stays(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[str, str]], record: str
) -> None:
    store = Store(tmp_path_factory.mktemp("project"))
    files = [store.home / folder / name for folder, name in places]
    files.append(store.home / "store" / "report" / "foreign" / ENTRY)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(record)
    with pytest.raises(StoreError, match=rf"no home of catdog.*{HOME}.*--home"):
        prune(store)
    mine = put(store, KEY[::-1])
    assert [item.path for item in prune(store)] == [mine.path]
    assert {file.read_text() for file in files} == {record}


def test_a_folder_is_a_home_as_soon_as_something_is_made_in_it(store: Store) -> None:
    store.work("logs")
    assert prune(store) == []
    assert "champion/ cannot be made again" in (store.home / HOME).read_text()


@pytest.mark.parametrize("task", ["default", "birds"])
def test_the_champions_are_no_home_of_their_own(store: Store, task: str) -> None:
    registry = Registry(store.home, task)
    kept = put(registry.store, KEY)
    registry.folder.mkdir(parents=True)
    assert prune(store) == []
    with pytest.raises(StoreError, match="no home of catdog"):
        prune(Store(registry.store.home))
    assert kept.path.exists()


@pytest.mark.parametrize("place", ["", "champion"])
def test_a_home_of_an_earlier_version_is_known_by_its_records_and_marked(
    store: Store, place: str
) -> None:
    put(Store(store.home / place), "a")
    for mark in store.home.rglob(HOME):
        mark.unlink()
    assert len(prune(store, dry_run=True)) == (place == "")
    assert not (store.home / HOME).exists()
    assert len(prune(store)) == (place == "")
    assert prune(store) == []
    assert (store.home / HOME).exists()


def test_listing_does_not_stumble_over_what_vanishes_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = put(store, "kept"), put(store, "gone")

    def vanish(path: Path) -> Entry:
        shutil.rmtree(gone.path, ignore_errors=True)
        return read_entry(path)

    monkeypatch.setattr(housekeeping, "read_entry", vanish)
    assert [item.path for item in stored_items(store)] == [kept.path]


def test_what_interrupted_runs_left_is_listed_and_pruned(store: Store) -> None:
    for cls in (TrainedModel, Archive):
        (store.unfinished(cls, KEY) / "part").write_bytes(b"x" * 500)
    found = interrupted_items(store)
    assert sorted(item.key for item in found) == [f"archive-{KEY}", f"model-{KEY}"]
    assert {item.bytes for item in found} == {500}
    assert len(prune(store)) == 2
    assert interrupted_items(store) == []


def test_what_a_kill_left_half_made_is_listed_and_pruned(store: Store) -> None:
    half = store.work("making") / f"arrays-{KEY}"
    half.mkdir()
    (half / "train_images.npy").write_bytes(b"x" * 500)
    long_ago = half.stat().st_mtime - timedelta(days=2).total_seconds()
    os.utime(half, (long_ago, long_ago))
    assert [item.path for item in interrupted_items(store)] == [half]
    assert len(prune(store, keep_days=1)) == 1
    assert not half.exists()


def test_verifying_names_what_is_damaged_and_only_that(store: Store) -> None:
    whole, damaged, headless = (put(store, key) for key in ("whole", "damaged", KEY))
    damaged.file("report.html").write_text("y" * 1_000)
    headless.file(ENTRY).write_text("{")
    problems = {item.key: problem for item, problem in verify(store)}
    assert problems["whole"] is None
    assert "report.html does not have its recorded SHA-256" in str(problems["damaged"])
    assert "is not a whole entry record" in str(problems[KEY])
    assert whole.path.exists()
