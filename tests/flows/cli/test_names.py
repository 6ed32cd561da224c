"""Names that no disk can store, or that are no file's, get one line and leave nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_command import Command, assert_one_clear_line, photo

LONG = {
    "a name of 256 bytes": "a" * 256,
    "a name of 86 characters": "猫" * 86,
    "a folder's": f"there/{'a' * 300}/a.csv",
    "a path of 5,000 bytes": "abc/" * 1_250 + "a",
}
FLAGS = (
    "predict {}", "predict {photo} --model {}", "predict {photo} --csv {}", "export --to {}",
    "serve --client-config {}", "runs --home {}", "run --source {}",
    "compare {} latest", "runs {}", "--config {} runs",
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", LONG.values(), ids=LONG.keys())
@pytest.mark.parametrize("flag", FLAGS)
def test_a_name_that_no_disk_can_store_is_one_line(
    flag: str, name: str, used_home: Path, command: Command, here: Path, tmp_path: Path
) -> None:
    picture = photo(tmp_path / "a.png", 1)
    answer = command(*flag.format(name, photo=picture).split())
    assert answer.code == 1
    assert_one_clear_line(answer)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", [".", "..", "/", "./", "here/.."])
def test_a_folder_is_no_file_for_a_table(
    name: str, used_home: Path, command: Command, here: Path, tmp_path: Path
) -> None:
    (here / "here").mkdir()
    answer = command("predict", photo(tmp_path / "a.png", 1), "--csv", name)
    assert_one_clear_line(answer, "is a folder", "--csv")


def test_the_longest_name_will_do(used_home: Path, command: Command, here: Path) -> None:
    target = here / ("a" * 251 + ".csv")
    assert command("predict", photo(here / "a.png", 1), "--csv", target).code == 0
    assert {path.name for path in here.iterdir()} == {target.name, "a.png"}


def test_what_a_killed_process_left_next_to_a_table_goes_with_the_next(
    used_home: Path, command: Command, here: Path
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = (f".a.csv.{dead.pid}", f".a.csv.{os.getppid()}", ".a.csv.mine", f".b.csv.{dead.pid}")
    for name in names:
        (here / name).write_text("?")
    assert command("predict", photo(here / "a.png", 1), "--csv", "a.csv").code == 0
    assert {path.name for path in here.iterdir()} == {"a.csv", "a.png", *names[1:]}
