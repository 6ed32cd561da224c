"""The private Prefect server of a run."""

import subprocess
import sys
from pathlib import Path

import pytest

START = """
import sys
from pathlib import Path
from flows.server import free_port, running_server
with running_server(Path(sys.argv[1]), free_port()) as url:
    print(url)
"""


@pytest.mark.slow
def test_two_runs_that_start_at_once_on_a_new_home_both_get_a_server(tmp_path: Path) -> None:
    starting = [
        subprocess.Popen(  # noqa: S603  our own script
            [sys.executable, "-c", START, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in starting:
        printed, problem = process.communicate(timeout=600)
        assert process.returncode == 0, problem
        assert printed.startswith("http://127.0.0.1:")
