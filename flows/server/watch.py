"""What ends a run whose Prefect server has gone: soon, whatever the run is waiting for."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from catdog.errors import CatdogError
from flows.processes import end_in, end_process

INTERRUPTION = signal.SIGUSR1
"""Not SIGINT, which is ignored in a process that a script has started in the background."""
INTERRUPTIONS = 5
INTERRUPTION_SECONDS = 2
"""Between two of them: who is interrupted asks the server that has gone, and waits again."""
LEAVING_SECONDS = 2
"""To print and tidy up; Prefect would then try for a minute to tell the server of the end."""

QUIET_TRACKER = "ignore:resource_tracker:UserWarning"
"""Python's process that removes what an ended one has left would say so to the user."""


@contextmanager
def watching(gone: Callable[[], bool], error: CatdogError, *, every: float) -> Iterator[None]:
    """Interrupt the body when `gone` says so, and raise the error in its place.

    gone: asked every so many seconds. This process then ends within seconds, and its children with
    it, also where the body does not let itself be interrupted. For the main thread.
    """
    os.environ.setdefault("PYTHONWARNINGS", QUIET_TRACKER)
    watch = _Watch(gone, error, every)
    before = signal.signal(INTERRUPTION, watch.interrupt)
    threading.Thread(target=watch.run, daemon=True, name="watch-server").start()
    try:
        yield
    except BaseException:
        watch.left.set()
        if not watch.finds_it_gone():  # what failed may have noticed first
            raise
        end_in(LEAVING_SECONDS)
        raise error from None
    finally:
        watch.left.set()
        # Never to its default, which ends the process: an interruption may be on its way.
        signal.signal(INTERRUPTION, before if callable(before) else signal.SIG_IGN)


class _Watch:
    def __init__(self, gone: Callable[[], bool], error: CatdogError, every: float) -> None:
        self.gone = gone
        self.error = error
        self.every = every
        self.lost = False
        self.left = threading.Event()

    def run(self) -> None:
        """Look until the body is left or what it needs has gone."""
        while not self.left.wait(self.every):
            if self.finds_it_gone():
                self._end()

    def finds_it_gone(self) -> bool:
        """Whether it has gone; then nobody is told of the log lines that are lost with it."""
        if not self.lost and self.gone():
            self.lost = True
            logging.raiseExceptions = False
        return self.lost

    def _end(self) -> None:
        main = threading.main_thread().ident or 0
        for _ in range(INTERRUPTIONS):
            signal.pthread_kill(main, INTERRUPTION)
            if self.left.wait(INTERRUPTION_SECONDS):
                return
        end_process(self.error)

    def interrupt(self, *_: Any) -> None:
        """Handle the signal in the main thread."""
        if not self.left.is_set():
            raise KeyboardInterrupt
