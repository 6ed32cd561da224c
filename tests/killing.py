"""Processes that are killed at the very moment when they ask a bucket for something."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

from buckets import Bucket

NURSERY = """
import importlib, os, sys
module, name, *sys.path[:0] = sys.argv[1:]
work = getattr(importlib.import_module(module), name)
for line in sys.stdin:
    home, os.environ["CATDOG_REMOTE"] = line.split()
    child = os.fork()
    if not child:
        try:
            work(home)
        finally:
            os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print(flush=True)
"""
"""Forks each of them from a process that has imported all before: a start takes no second."""


class Nursery:
    """Starts processes that do some work, and kills them."""

    def __init__(self, process: "subprocess.Popen[str]", bucket: Bucket) -> None:
        self._process, self._bucket = process, bucket

    def kill(self, home: Path, remote: str, chance: Random, requests: int) -> bool:
        """Let a process work, and kill it at one of its requests: whether it was killed.

        The request comes through, or does not. requests: so many are made at most.
        """
        line = self._bucket.line
        assert line
        last, comes_through = chance.randrange(requests), chance.random() < 0.5
        asked, known, killed = count(), threading.Event(), threading.Event()
        child = 0

        def at_request(method: str, path: str) -> None:
            known.wait()
            if next(asked) == last:
                os.kill(child, signal.SIGKILL)
                killed.set()
                if not comes_through:
                    line.failures = [500]

        line.before = at_request
        self._say(f"{home} {remote}")
        child = int(self._hear())
        known.set()
        self._hear()
        line.before = lambda method, path: None
        line.failures = []
        return killed.is_set()

    def _say(self, words: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{words}\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@contextmanager
def nursery(module: str, name: str, bucket: Bucket) -> Iterator[Nursery]:
    """For processes that call this function with their home, which is a text."""
    words = [sys.executable, "-c", NURSERY, module, name, *sys.path]
    with subprocess.Popen(  # noqa: S603  our own code
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Nursery(process, bucket)
