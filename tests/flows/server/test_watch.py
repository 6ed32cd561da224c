"""What is watched ends, whatever it is waiting for."""

import subprocess
import sys
import threading

import pytest

from catdog.errors import CatdogError
from flows.server.watch import watching

LONG = 60
"""Seconds, far more than any of this takes and far less than the bodies would."""
SCRIPT = """
import multiprocessing, sys, threading, time
from catdog.errors import CatdogError
from flows.server import watch

def deaf():
    while True:
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            pass

def slow_to_leave():
    threading.Thread(target=time.sleep, args=[600]).start()
    time.sleep(600)

if __name__ == "__main__":
    watch.INTERRUPTION_SECONDS = watch.LEAVING_SECONDS = 0.2
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[600])
    child.start()
    print(child.pid, flush=True)
    try:
        with watch.watching(lambda: True, CatdogError("It has gone.", "Again."), every=0.05):
            globals()[sys.argv[1]]()
    except CatdogError as error:
        sys.exit(f"Error: {error}")
"""


@pytest.mark.parametrize("body", ["deaf", "slow_to_leave"])
def test_a_process_ends_with_one_line_and_with_its_children(body: str) -> None:
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", SCRIPT, body],
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG,  # the child would keep the pipes open
    )
    assert (done.returncode, done.stderr) == (1, "Error: It has gone. Again.\n")


def test_what_notices_first_ends_with_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ending: list[float] = []
    monkeypatch.setattr("flows.server.watch.end_in", ending.append)
    monkeypatch.setattr("logging.raiseExceptions", True)  # which it changes
    gone = CatdogError("It has gone.")
    with pytest.raises(CatdogError) as raised, watching(lambda: True, gone, every=LONG):
        raise OSError
    assert raised.value is gone
    assert ending


def test_a_body_that_ends_by_itself_is_left_alone() -> None:
    asked = threading.Event()

    def there() -> bool:
        asked.set()
        return False

    with watching(there, CatdogError("It has gone."), every=0.001):
        assert asked.wait(LONG)


def test_a_failure_of_the_bodys_own_stays_what_it_is() -> None:
    with (
        pytest.raises(OSError, match="of its own"),
        watching(lambda: False, CatdogError("It has gone."), every=LONG),
    ):
        raise OSError("of its own")
