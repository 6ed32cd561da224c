import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catdog.errors import StoreError
from catdog.store import store as store_module
from catdog.store.files import ENTRY, discard, write_json, write_text
from catdog.store.store import Artifact, Recipe, Store

KEY = "0123456789abcdef"
SECONDS = 30
"""Far more than any of this takes: a hanging process fails the test instead of stopping it."""


class Note(Artifact):
    kind: ClassVar[str] = "note"

    title: str
    sizes: tuple[int, ...] = ()


class Maker:
    """Writes a note of two files, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> dict[str, object]:
        self.calls += 1
        (folder / "words.txt").write_text("a cat and a dog")
        (folder / "deep").mkdir()
        (folder / "deep" / "bytes.bin").write_bytes(bytes(1000))
        return {"title": "cats & dogs", "sizes": (3, 4)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def make() -> Maker:
    return Maker()


def made(store: Store) -> list[Path]:
    """All files and folders that a reader of the store could take for an entry."""
    return sorted((store.home / "store").glob("*/*")) if store.home.exists() else []


def unfinished(store: Store) -> list[Path]:
    return list((store.home / "work" / "making").iterdir())


def test_what_was_made_is_found_again_as_it_was(store: Store, make: Maker) -> None:
    first = store.obtain(Recipe(Note, KEY, make))
    again = Store(store.home).obtain(Recipe(Note, KEY, make))
    assert again == first
    assert make.calls == 1
    assert (again.title, again.sizes, again.key) == ("cats & dogs", (3, 4), KEY)
    assert again.file("words.txt").read_text() == "a cat and a dog"
    assert again.created.tzinfo is not None


def test_nothing_is_found_before_it_was_made(store: Store) -> None:
    assert store.find(Note, KEY) is None
    assert not store.home.exists()


def test_content_is_that_of_the_files_whatever_the_key(store: Store, make: Maker) -> None:
    one, other = store.obtain(Recipe(Note, "1", make)), store.obtain(Recipe(Note, "2", make))
    assert make.calls == 2
    assert one.content == other.content

    def different(folder: Path) -> dict[str, object]:
        (folder / "words.txt").write_text("a dog and a cat")
        return {"title": "dogs & cats"}

    assert store.obtain(Recipe(Note, "3", different)).content != one.content


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def drop_field(file: Path) -> None:
    entry = json.loads(file.read_text())
    del entry["record"]["title"]
    file.write_text(json.dumps(entry))


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replace_by_a_file(folder: Path) -> None:
    discard(folder)
    folder.write_text("?")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped bit": lambda folder: flip(folder / "deep" / "bytes.bin"),
    "truncated file": lambda folder: truncate(folder / "words.txt"),
    "deleted file": lambda folder: (folder / "words.txt").unlink(),
    "deleted folder in it": lambda folder: discard(folder / "deep"),
    "a folder in a file's place": lambda folder: replace_by_a_folder(folder / "words.txt"),
    "truncated record": lambda folder: truncate(folder / ENTRY),
    "empty record": lambda folder: (folder / ENTRY).write_bytes(b""),
    "binary record": lambda folder: (folder / ENTRY).write_bytes(b"\xff\x00"),
    "a list for a record": lambda folder: (folder / ENTRY).write_text("[]"),
    "a nested record": lambda folder: (folder / ENTRY).write_text("[" * 100_000),
    "deleted record": lambda folder: (folder / ENTRY).unlink(),
    "record without a field": lambda folder: drop_field(folder / ENTRY),
    "deleted entry": discard,
    "a file in its place": replace_by_a_file,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_or_deleted_artifact_is_made_again(
    store: Store, make: Maker, damage: Callable[[Path], object]
) -> None:
    first = store.obtain(Recipe(Note, KEY, make))
    damage(first.path)
    assert store.find(Note, KEY) is None
    again = store.obtain(Recipe(Note, KEY, make))
    assert again == first
    assert make.calls == 2
    assert store.find(Note, KEY) == first
    assert made(store) == [first.path], "nothing is left of the damaged one"


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["files", "record", "bytes", "words.txt"]), inner)
        ),
        max_leaves=6,
    )
)
def test_whatever_json_the_record_became_it_is_damage_not_a_crash(
    tmp_path_factory: pytest.TempPathFactory, entry: object
) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "any-json")
    folder = store.folder("note", KEY)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ENTRY).write_text(json.dumps(entry))
    assert store.find(Note, KEY) is None


def test_a_cached_record_does_not_outlive_its_files(store: Store, make: Maker) -> None:
    note = store.obtain(Recipe(Note, KEY, make))
    cached = note.model_dump_json()
    assert Note.model_validate_json(cached) == note
    truncate(note.file("words.txt"))
    with pytest.raises(ValidationError, match=r"words\.txt has 7 bytes instead of 15"):
        Note.model_validate_json(cached)


def test_a_cached_record_does_not_stand_for_what_was_made_later(store: Store) -> None:
    def write(text: str, folder: Path) -> dict[str, object]:
        (folder / "words.txt").write_text(text)
        return {"title": "words"}

    first = Recipe(Note, KEY, partial(write, "first"))
    cached = store.obtain(first).model_dump_json()
    store.forget(first, up_to=store.count())
    store.obtain(Recipe(Note, KEY, partial(write, "other")))
    with pytest.raises(ValidationError, match="made again"):
        Note.model_validate_json(cached)


@pytest.mark.parametrize("problem", [ValueError("a bug"), KeyboardInterrupt()])
def test_nothing_half_made_is_left_or_seen(store: Store, problem: BaseException) -> None:
    def fail(folder: Path) -> dict[str, object]:
        (folder / "words.txt").write_text("half")
        assert made(store) == []
        raise problem

    with pytest.raises(type(problem)):
        store.obtain(Recipe(Note, KEY, fail))
    assert made(store) == []
    assert unfinished(store) == []


def test_a_bad_record_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValidationError):
        store.obtain(Recipe(Note, KEY, lambda folder: {"name": "no title"}))
    assert store.find(Note, KEY) is None


def test_a_full_disk_is_one_line_with_its_remedy(store: Store) -> None:
    def fill(folder: Path) -> dict[str, object]:
        (folder / "big.bin").write_bytes(bytes(1000))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "big.bin"))

    with pytest.raises(StoreError) as caught:
        store.obtain(Recipe(Note, KEY, fill))
    assert str(store.home) in caught.value.problem
    assert "catdog cache prune" in caught.value.remedy
    assert made(store) == []
    assert unfinished(store) == []


def test_a_disk_that_fills_up_at_the_very_end_leaves_nothing(
    store: Store, make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_module, "write_json", full)
    with pytest.raises(StoreError, match="No space left"):
        store.obtain(Recipe(Note, KEY, make))
    monkeypatch.undo()
    assert made(store) == []
    assert store.obtain(Recipe(Note, KEY, make)).title == "cats & dogs"


def test_a_home_below_a_file_cannot_be_written(tmp_path: Path, make: Maker) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"file/home cannot be written .* Set CATDOG_HOME"):
        Store(tmp_path / "file" / "home").obtain(Recipe(Note, KEY, make))
    assert make.calls == 0


def test_a_home_that_is_a_file_cannot_be_written(tmp_path: Path, make: Maker) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="Set CATDOG_HOME"):
        Store(tmp_path / "file").obtain(Recipe(Note, KEY, make))


@pytest.mark.parametrize("problem", [errno.EACCES, errno.EROFS])
def test_a_folder_above_the_home_may_be_the_one_that_is_read_only(
    tmp_path: Path, make: Maker, monkeypatch: pytest.MonkeyPatch, problem: int
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    mkdir = os.mkdir

    def refuse(path: Path, mode: int = 0o777) -> None:
        if Path(path).parent == locked:
            raise OSError(problem, os.strerror(problem), str(path))
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(StoreError, match="Set CATDOG_HOME"):
        Store(locked / "two" / "levels").obtain(Recipe(Note, KEY, make))


def test_trouble_with_the_users_own_files_is_not_blamed_on_the_home(store: Store) -> None:
    def read_photo(folder: Path) -> dict[str, object]:
        raise PermissionError(errno.EACCES, "Permission denied", "/photos/cat.jpg")

    with pytest.raises(PermissionError):
        store.obtain(Recipe(Note, KEY, read_photo))


NOTE_SCRIPT = """
import sys, time
from pathlib import Path
from typing import ClassVar
from catdog.store.store import Artifact, Store, Recipe

home, key, shared = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])

class Note(Artifact):
    kind: ClassVar[str] = "note"
    title: str

def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
"""
BOTH_OBTAIN = """
def make(folder):
    (shared / f"made-{sys.argv[4]}").touch()
    wait_for(lambda: len(list(shared.glob("wants-*"))) == 2)
    (folder / "words.txt").write_text("once")
    return {"title": "once"}

(shared / f"wants-{sys.argv[4]}").touch()
print(Store(home).obtain(Recipe(Note, key, make)).content)
"""
DIE_WHILE_MAKING = """
def make(folder):
    (folder / "words.txt").write_text("half")
    print("making", flush=True)
    sys.stdin.read()

Store(home).obtain(Recipe(Note, key, make))
"""
OBTAIN = """
def make(folder):
    (folder / "words.txt").write_text("whole")
    return {"title": "whole"}

print(Store(home).obtain(Recipe(Note, key, make)).title)
"""


def start(script: str, store: Store, shared: Path, name: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-c", NOTE_SCRIPT + script, str(store.home), KEY, str(shared), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_at_once_make_it_once(store: Store, tmp_path: Path) -> None:
    processes = [start(BOTH_OBTAIN, store, tmp_path, name) for name in "ab"]
    contents = {process.communicate(timeout=SECONDS)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(contents) == 1
    assert len(list(tmp_path.glob("made-*"))) == 1


def test_a_killed_process_frees_its_lock_and_leaves_nothing_to_see(
    store: Store, tmp_path: Path
) -> None:
    with start(DIE_WHILE_MAKING, store, tmp_path) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "making\n"
        assert made(store) == []
        killed.kill()
    after = start(OBTAIN, store, tmp_path)
    assert after.communicate(timeout=SECONDS)[0] == "whole\n"


def test_only_what_was_made_up_to_a_count_is_forgotten(store: Store, make: Maker) -> None:
    before = store.count()
    store.obtain(Recipe(Note, KEY, make))
    store.forget(Recipe(Note, KEY, make), up_to=before)
    assert store.find(Note, KEY)
    store.forget(Recipe(Note, KEY, make), up_to=store.count())
    assert store.find(Note, KEY) is None
    store.forget(Recipe(Note, KEY, make), up_to=store.count())
    store.obtain(Recipe(Note, KEY, make))
    assert make.calls == 2


def test_a_count_goes_up_whatever_becomes_of_its_file(store: Store, make: Maker) -> None:
    numbers = [store.obtain(Recipe(Note, key, make)).number for key in "ab"]
    (store.home / "store" / "counter").write_text("")
    numbers.append(store.obtain(Recipe(Note, "c", make)).number)
    assert numbers == [1, 2, 3]


def test_the_count_at_an_event_is_that_of_the_first_time(store: Store, make: Maker) -> None:
    before = store.count_at("run")
    store.obtain(Recipe(Note, KEY, make))
    assert store.count_at("run") == before < store.count_at("another run")


def test_a_damaged_count_is_counted_again(store: Store, make: Maker) -> None:
    before = store.count_at("run")
    store.obtain(Recipe(Note, KEY, make))
    (store.work("events") / "run").write_bytes(b"\xff")
    assert store.count_at("run") == store.count() > before


def test_a_work_folder_keeps_what_was_put_there(store: Store) -> None:
    (store.unfinished(Note, KEY) / "epoch").write_text("7")
    assert (Store(store.home).unfinished(Note, KEY) / "epoch").read_text() == "7"


def test_the_home_may_be_given_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert Store(Path("~/catdog")).home == Path("/somewhere/catdog")


def test_a_file_that_cannot_be_written_keeps_what_it_held(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    write_json(file, {"name": "žluťoučký kůň"})
    before = file.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_json(file, float("nan"))
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "half a pair: \ud800")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_discarding_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    discard(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


def test_what_is_dropped_is_made_again_and_not_dropped_by_who_saw_the_old(store: Store) -> None:
    def write(text: str, folder: Path) -> dict[str, object]:
        (folder / "words.txt").write_text(text)
        return {"title": "words"}

    useless = store.obtain(Recipe(Note, KEY, partial(write, "useless")))
    store.drop(useless)
    assert store.find(Note, KEY) is None
    store.drop(useless)
    better = store.obtain(Recipe(Note, KEY, partial(write, "better")))
    store.drop(useless)
    assert store.find(Note, KEY) == better
