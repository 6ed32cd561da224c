"""How the machine's cores are shared, and how processes end with the run that started them."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catdog.machine import import_tensorflow

PARENT_CHECK_SECONDS = 0.5
STARTED_BY_RUNNER = "PREFECT__FLOW_RUN_ID"
"""Prefect's workers and served deployments set this for the process of a flow run."""


@dataclass(frozen=True)
class Plan:
    """So many models at a time, each with so many threads: their product is at most the cores."""

    processes: int
    threads: int


def plan(jobs: int, *, parallel: int | None, cores: int, gpus: int = 0) -> Plan:
    """Share the cores among the jobs.

    parallel: the most jobs at a time; without it one a core. On GPUs one a GPU at most: two that
    share one take as long as one after the other.
    """
    processes = max(1, min(jobs, parallel or cores, gpus or cores, cores))
    return Plan(processes=processes, threads=max(1, cores // processes))


def start_training_process(parent: int, environment: Mapping[str, str], native_log: Path) -> None:
    """What a process does first that will train a model: nothing has imported TensorFlow yet."""
    end_with_parent(parent)
    divert_stderr(native_log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.environ.update(environment)
    import_tensorflow()
    logging.getLogger("catdog").setLevel(logging.INFO)


def end_with_parent(parent: int) -> None:
    """End this process soon after its parent has gone, however that went."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_CHECK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def end_with_runner() -> None:
    """End this flow run soon after the worker or server process that started it has gone.

    Otherwise nobody could cancel it any more. A run of `catdog run` was started by neither.
    """
    if STARTED_BY_RUNNER in os.environ:
        end_with_parent(os.getppid())


def divert_stderr(path: Path) -> None:
    """Send what native code writes to standard error to a file from now on.

    TensorFlow writes some lines before any setting of its own can silence them. Python's own
    `sys.stderr` still reaches the terminal.
    """
    terminal = os.dup(2)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stderr = os.fdopen(terminal, "w", buffering=1)
