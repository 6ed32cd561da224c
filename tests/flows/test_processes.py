"""How the cores are shared, and that processes end with the one that started them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.processes import Plan, plan

COUNTS = st.integers(1, 200)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, Plan(1, 1)), (2, Plan(2, 1)), (4, Plan(4, 1)), (8, Plan(4, 2)), (64, Plan(4, 16))],
)
def test_four_models_share_the_cores(cores: int, expected: Plan) -> None:
    assert plan(4, parallel=None, cores=cores) == expected


def test_one_model_has_all_cores() -> None:
    assert plan(1, parallel=None, cores=8) == Plan(1, 8)


def test_parallel_is_the_most_at_a_time() -> None:
    assert plan(4, parallel=2, cores=8) == Plan(2, 4)
    assert plan(4, parallel=16, cores=8) == Plan(4, 2)


def test_gpus_take_one_model_each() -> None:
    assert plan(4, parallel=None, cores=16, gpus=1) == Plan(1, 16)
    assert plan(4, parallel=None, cores=16, gpus=2) == Plan(2, 8)
    assert plan(4, parallel=4, cores=16, gpus=2) == Plan(2, 8)


@given(jobs=COUNTS, parallel=st.none() | COUNTS, cores=COUNTS, gpus=st.integers(0, 16))
def test_never_more_threads_than_cores_nor_more_processes_than_wanted(
    jobs: int, parallel: int | None, cores: int, gpus: int
) -> None:
    found = plan(jobs, parallel=parallel, cores=cores, gpus=gpus)
    assert found.processes >= 1
    assert found.threads >= 1
    assert found.processes * found.threads <= cores
    assert found.processes <= jobs
    assert parallel is None or found.processes <= parallel
    assert gpus == 0 or found.processes <= gpus


PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
print(child.pid, flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""
CHILD = """
import sys, time
from flows.processes import end_with_parent
end_with_parent(int(sys.argv[1]))
time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_child_ends_soon_after_its_parent_was_killed() -> None:
    parent = subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-c", PARENT, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdin
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.stdin.close()
    parent.wait(timeout=60)
    end = time.monotonic() + 60
    while alive(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(child)


def test_native_code_no_longer_writes_to_the_terminal_but_python_does(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from flows.processes import divert_stderr
divert_stderr(Path(sys.argv[1]))
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
