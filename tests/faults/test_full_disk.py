"""A disk that fills up while a run works on it, and a home that can only be read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catdog.store.files import damage
from catdog.store.housekeeping import stored_items
from catdog.store.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a disk"
    ),
]

ENVIRONMENT = dict(os.environ)
MEGABYTES = 400
"""A run of two models and the database of its server take 60."""
SECONDS = 300
CATDOG = (sys.executable, "-m", "flows.cli.app")
RUN = ("run", "--source", "sample", "--models", "baseline,transfer", "--image-size", "64")


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[Path]:
    folder.mkdir()
    mount = subprocess.run(["mount", *words, folder], capture_output=True, check=False)  # noqa: S603, S607
    if mount.returncode:
        pytest.skip(f"nothing can be mounted here: {mount.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)  # noqa: S603, S607


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs") as disk:
        yield disk


def start(home: Path, *words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  our own command
        [*CATDOG, *words],
        env=ENVIRONMENT | {"CATDOG_HOME": str(home), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(home: Path, *words: str | Path) -> str:
    process = start(home, *words)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return out


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@pytest.mark.parametrize("moment", ["Checking and splitting", "Decoding", "loss", "Writing"])
def test_a_disk_that_fills_up_is_one_line_and_costs_nothing_that_is_made(
    moment: str, disk: Path
) -> None:
    home, ballast = disk / "home", disk / "ballast"
    run = start(home, *RUN, "--epochs", "3")
    assert run.stdout
    for line in run.stdout:
        if moment in line:
            break
    fill(ballast)
    _, err = run.communicate(timeout=SECONDS)
    assert run.returncode == 1
    (line,) = err.splitlines()
    assert line.startswith("Error: ")
    assert "No space left while writing" in line
    assert "catdog cache prune" in line
    assert [item for item in stored_items(Store(home)) if damage(item.path)] == []
    assert list((home / "runs").glob("[!.]*/run.json")) == []
    ballast.unlink()
    assert "Report:" in finish(home, *RUN, "--epochs", "3")


def test_a_home_that_is_only_read_still_serves(tmp_path: Path) -> None:
    home = tmp_path / "home"
    finish(home, *RUN, "--epochs", "1")
    photo = next(home.glob("store/photos/*/photos/train/*/*.jpg"))
    with mounted(tmp_path / "read-only", "--bind", "-o", "ro", str(home)) as read_only:
        # Older kernels make it read-only at a second call only.
        subprocess.run(["mount", "-o", "remount,bind,ro", read_only], check=True)  # noqa: S603, S607
        assert "sample" in finish(read_only, "runs")
        assert "Report:" in finish(read_only, "report")
        assert "Champion:" in finish(read_only, "champion", "show")
        assert photo.name in finish(read_only, "predict", photo)
        for words in (("cache", "prune"), ("cache", "prune", "--dry-run")):
            process = start(read_only, *words)
            _, err = process.communicate(timeout=SECONDS)
            (line,) = err.splitlines()
            assert process.returncode == 1
            assert "cannot be written (Read-only file system)" in line
