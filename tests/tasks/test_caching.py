"""What a task run is called: `Cached` when it found its artifact, `Completed` when it made it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from buckets import Bucket
from prefect.transactions import transaction

from catdog.store.remote import RemoteError
from catdog.store.store import Artifact, Recipe, Store
from tasks.caching import obtained

KEY = "0123456789abcdef"


class Note(Artifact):
    kind: ClassVar[str] = "note"


def write(folder: Path) -> dict[str, str]:
    (folder / "words.txt").write_text("a cat and a dog")
    return {}


def note(store: Store) -> Note:
    return store.obtain(Recipe(Note, KEY, write))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def cached(home: Path) -> Callable[[], bool]:
    def run() -> bool:
        with transaction() as of_task:
            obtained(note)
            return of_task.is_committed()

    return run


def test_what_is_there_and_whole_is_cached(home: Path, cached: Callable[[], bool]) -> None:
    assert [cached(), cached()] == [False, True]
    (home / "store" / "note" / KEY / "words.txt").write_text("a dog and a cat")
    assert [cached(), cached()] == [False, True]


def test_what_another_run_makes_meanwhile_is_cached(
    home: Path, cached: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Store.lock

    def wait_for_another(self: Store, name: str) -> object:
        monkeypatch.setattr(Store, "lock", lock)
        note(Store(home))
        return self.lock(name)

    monkeypatch.setattr(Store, "lock", wait_for_another)
    assert cached()


def test_a_task_works_without_prefect(home: Path) -> None:
    assert obtained(note) == note(Store(home))


def test_what_another_home_asks_for_is_brought_also_when_it_was_there(
    home: Path, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert bucket.line
    bucket.line.forbidden = ("PUT",)
    asked = note(Store(tmp_path_factory.mktemp("other"))).sent()
    with pytest.raises(RemoteError, match="may not be written"):
        obtained(note, given=asked)
    bucket.line.forbidden = ()
    made = obtained(note, given=asked)
    assert Store(tmp_path_factory.mktemp("other")).bring(made)


def test_nothing_is_read_from_the_environment_at_import(tmp_path: Path) -> None:
    script = "import flows.catdog"
    environment = {"CATDOG_EPOCHS": "many", "PREFECT_HOME": str(tmp_path), "PATH": ""}
    subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", script],
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        timeout=120,
    )
