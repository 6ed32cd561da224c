import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "prefect", "pandas", "matplotlib", "scipy", "sklearn")
"""Each takes longer to import than help may take to appear."""

SCRIPT = f"""
import sys
from flows.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print("loaded:", *loaded, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["reproduce", "--help"], ["models"]]
)
def test_help_waits_for_no_heavy_library(arguments: list[str]) -> None:
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == "loaded:\n"
