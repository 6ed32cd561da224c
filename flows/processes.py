"""How the processes of a run begin, and end with the process that started them."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from catdog.errors import CatdogError
from catdog.machine import divert_native_stderr, import_tensorflow, share_cores

PARENT_CHECK_SECONDS = 0.5
STARTED_BY_RUNNER = "PREFECT__FLOW_RUN_ID"
"""Prefect's workers and served deployments set this for the process of a flow run."""


def start_training_process(
    parent: int, environment: Mapping[str, str], native_log: Path, share: Any = None
) -> None:
    """What a process does first that will train a model: nothing has imported TensorFlow yet.

    share: an integer in shared memory, the cores that the process may use by now.
    native_log: gets what native code writes, and why the process could not start; the one of the
    process before it stays next to it, as `NAME.log.1`.
    """
    end_with_parent(parent)
    if native_log.exists():
        native_log.replace(native_log.with_name(f"{native_log.name}.1"))
    divert_native_stderr(native_log)
    try:
        warnings.simplefilter("ignore")  # PYTHONWARNINGS=error is for the user's own code
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        os.environ.update(environment)
        if share is not None:
            share_cores(lambda: int(share.value))
        import_tensorflow()
        logging.getLogger("catdog").setLevel(logging.INFO)
    except BaseException:  # noqa: BLE001  whatever it is: the parent sees the exit code alone
        os.write(2, traceback.format_exc().encode())
        os._exit(os.EX_SOFTWARE)


def why_it_died(exit_code: int | None, native_log: Path) -> str:
    """What is known of the end of a training process, as a sentence.

    exit_code: as Python's `Process.exitcode`; negative for a signal.
    """
    if exit_code is None:
        return f"Its process died; what it wrote is in {native_log}."
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        memory = ": killed by somebody, or out of memory" if name == "SIGKILL" else ""
        return f"Its process was ended by {name}{memory}; what it wrote is in {native_log}."
    wrote = native_log.read_text("utf-8", "replace").split("\n") if native_log.exists() else []
    last = next((line for line in reversed(wrote) if line.strip()), "it wrote nothing").strip()
    return (
        f"Its process ended with code {exit_code} ({last}); all that it wrote is in {native_log}."
    )


def start_in_background(
    words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start Python in a session of its own, so that Ctrl-C does not reach it before its parent.

    words: its arguments. log: what it writes is added to this file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603  our own code
            [sys.executable, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


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
    if started_by_runner():
        end_with_parent(os.getppid())


def started_by_runner() -> bool:
    """Whether this flow run was asked for from elsewhere, as those of deployments are."""
    return STARTED_BY_RUNNER in os.environ


def end_process(error: CatdogError | None = None) -> NoReturn:
    """End this process with code 1 and all its children, whatever its threads are doing.

    error: what the user is told.
    """
    for child in multiprocessing.active_children():
        child.kill()  # what is stored is whole at any moment
    if error:
        sys.stderr.write(f"Error: {error}\n")
    os._exit(1)


def end_in(seconds: float, error: CatdogError | None = None) -> threading.Timer:
    """End this process after so many seconds, unless it has ended or the timer is cancelled."""
    timer = threading.Timer(seconds, end_process, [error])
    timer.daemon = True
    timer.start()
    return timer
