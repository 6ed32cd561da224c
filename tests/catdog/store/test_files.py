"""What is written where a user says, which may be no file at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catdog.store.files import write_where_named

WRITE = """
import sys
from pathlib import Path
from catdog.store.files import write_where_named
write_where_named(Path(sys.argv[1]), "new")
"""


def write_in_a_process(path: str, **streams: object) -> None:
    command = [sys.executable, "-c", WRITE, path]
    subprocess.run(command, check=True, timeout=60, **streams)  # type: ignore[call-overload]  # noqa: S603


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("old")
    other = tmp_path / "b.csv"
    os.link(file, other)
    write_where_named(file, "猫")
    assert file.read_text(encoding="utf-8") == "猫"
    assert other.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [file, other]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    file, link, second = tmp_path / "far" / "a.csv", tmp_path / "link", tmp_path / "second"
    link.symlink_to(Path("far", "a.csv"))
    second.symlink_to(link)
    if there:
        file.write_text("old")
    write_where_named(second, "new")
    assert file.read_text() == link.read_text() == "new"
    assert link.is_symlink()
    assert second.is_symlink()
    assert list(file.parent.iterdir()) == [file]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:  # noqa: S603, S607
        write_where_named(pipe, "new")
        assert reader.communicate()[0] == b"new"
    assert pipe.is_fifo()


def test_a_device_is_written_to(tmp_path: Path) -> None:
    mine, terminal = os.openpty()
    try:
        device = Path(os.ttyname(terminal))
        os.close(terminal)
        link = tmp_path / "link"
        link.symlink_to(device)
        write_where_named(link, "new")
        assert os.read(mine, 100) == b"new"
        assert device.is_char_device()
    finally:
        os.close(mine)


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "the file"])
def test_what_standard_output_goes_to_is_added_to(tmp_path: Path, place: str) -> None:
    file = tmp_path / "all.csv"
    file.write_text("old ")
    with file.open("a") as out:
        write_in_a_process(str(file) if place == "the file" else place, stdout=out)
        out.write(" end")
    assert file.read_text() == "old new end"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_only_read_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("older")
    with file.open() as reading:
        write_in_a_process(str(file), stdin=reading)
        assert reading.read() == "older"
    assert file.read_text() == "new"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_where_named(tmp_path, "new")
