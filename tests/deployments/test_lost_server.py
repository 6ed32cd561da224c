"""`catdog run` whose private server has been killed ends, and its next start goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sites import ENVIRONMENT, PATIENCE, alive, family, wait_for

pytestmark = pytest.mark.slow

FOR_EVER = 5_000
"""Epochs: more than any test waits for."""
SOON = 30
"""Seconds. It takes 7 on a free machine."""


class Started:
    """A run of three models at two places, in a home of its own."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder = folder
        # Where a shell has started the tests in the background they ignore it, as would the run.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(  # noqa: S603  our own command
                [
                    *(sys.executable, "-m", "flows.cli.app", "run", "--source", str(source)),
                    *("--models", "baseline,augmented,preprocessed", "--parallel", "2"),
                    *("--epochs", str(FOR_EVER), "--image-size", "64"),
                ],
                env=ENVIRONMENT | {"CATDOG_HOME": str(folder / "home"), "COLUMNS": "200"},
                stdout=out,
                stderr=err,
            )

    def wait_for(self, text: str) -> None:
        wait_for(lambda: text in (self.folder / "out").read_text(), f"'{text}' is printed")

    @property
    def server(self) -> int:
        (found,) = (
            pid
            for pid in family(self.process.pid)
            if b"flows.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        return found


@contextmanager
def running(folder: Path, source: Path) -> Iterator[Started]:
    started = Started(folder, source)
    try:
        yield started
    finally:
        below = family(started.process.pid)
        started.process.kill()
        started.process.wait()
        for pid in alive(below):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("moment", ["loss", "Checking and splitting"])
def test_a_run_ends_with_its_server_and_says_so_in_one_line(
    moment: str, tmp_path: Path, tiny_photos: Path
) -> None:
    with running(tmp_path, tiny_photos) as run:
        run.wait_for(moment)
        below = family(run.process.pid)
        os.kill(run.server, signal.SIGKILL)
        assert run.process.wait(timeout=SOON) == 1
        wait_for(lambda: not alive(below), "every process of the run ends", SOON)
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith("Error: The private Prefect server has ended. See ")
    assert "the same command goes on" in line


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_run_can_be_stopped_while_it_trains(
    how: signal.Signals, tmp_path: Path, tiny_photos: Path
) -> None:
    with running(tmp_path, tiny_photos) as run:
        run.wait_for("loss")  # an epoch has ended
        below = family(run.process.pid)
        run.process.send_signal(how)
        assert run.process.wait(timeout=PATIENCE) != 0
        wait_for(lambda: not alive(below), "every process of the run ends", SOON)
