"""How the processes of a run begin, and end with whoever started them."""

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from catdog.machine import divert_native_stderr, import_tensorflow

PARENT_CHECK_SECONDS = 0.5
STARTED_BY_RUNNER = "PREFECT__FLOW_RUN_ID"
"""Prefect's workers and served deployments set this for the process of a flow run."""


def start_training_process(parent: int, environment: Mapping[str, str], native_log: Path) -> None:
    """What a process does first that will train a model: nothing has imported TensorFlow yet."""
    end_with_parent(parent)
    divert_native_stderr(native_log)
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
