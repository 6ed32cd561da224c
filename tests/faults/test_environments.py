"""What a user may have set for other programs does not break a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RUN = ("run", "--source", "sample", "--models", "baseline", "--image-size", "64", "--epochs", "1")


@pytest.mark.parametrize("setting", ["PYTHONWARNINGS=error", "http_proxy=http://[bad"])
def test_a_run_ends_well_and_says_nothing_of_it(setting: str, tmp_path: Path) -> None:
    name, value = setting.split("=")
    ended = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "catdog", *RUN],
        env=os.environ | {"CATDOG_HOME": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.returncode == 0
