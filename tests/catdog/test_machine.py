"""How TensorFlow is imported for a short-lived process, and where native code writes to."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from catdog.machine import import_tensorflow


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as it was."""
    yield
    gc.unfreeze()
    gc.enable()


def test_garbage_is_collected_again_after_the_import_but_not_looked_for_in_tensorflow() -> None:
    import_tensorflow()
    assert "tensorflow" in sys.modules
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    import_tensorflow()
    assert not gc.isenabled()


def test_native_code_no_longer_writes_to_the_terminal_but_python_does(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from catdog.machine import divert_native_stderr
divert_native_stderr(Path(sys.argv[1]))
os.write(2, b"noise of native code")
print("for the user", file=sys.stderr)
"""
    log = tmp_path / "native.log"
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", script, str(log)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == "for the user\n"
    assert log.read_text() == "noise of native code"


def test_tensorflow_starts_without_a_word_to_the_user() -> None:
    script = """
import sys
from catdog.machine import prepare_tensorflow
prepare_tensorflow()
assert "tensorflow" in sys.modules
print("mine", file=sys.stderr)
"""
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("", "mine\n")
