"""The command `catdog doctor`: whether this machine has what a run needs, and the remedy if not."""

import os
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from rich.filesize import decimal

from catdog.errors import CatdogError
from catdog.machine import (
    available_cores,
    import_tensorflow,
    machine,
    native_stderr_in,
    tensorflow_environment,
    visible_gpus,
)
from catdog.store.rights import require_rights
from catdog.store.store import Store
from catdog.training.weights import find_weights
from flows.cli.terminal import DEFAULT_PORT, Home, Port, say, use
from flows.server.client import configured_url, set_prefect_up
from flows.server.configured import standing_server
from flows.server.private import require_free

ENOUGH_BYTES = 2_000_000_000
"""For the official photos and all that is made of them, with room for some trainings."""


def doctor(*, port: Port = DEFAULT_PORT, home: Home = None) -> int:
    """Examine what a run needs of this machine, with a remedy where something is amiss.

    Parameters
    ----------
    port
        The one that 'catdog serve' would use.
    """
    folder = use(home)
    checks: dict[str, Callable[[], str]] = {
        "Python": lambda: f"{platform.python_version()} on {platform.platform()}",
        "TensorFlow": _tensorflow,
        "GPU": _gpu,
        "Prefect": lambda: _prefect(folder),
        "home": lambda: _home(folder),
        "remote": lambda: _remote(folder),
        "disk": lambda: _disk(folder),
        "port": lambda: _port(port),
        "weights": lambda: f"{find_weights('embedded', home=folder).file} is whole",
    }
    amiss = 0
    for name, check in checks.items():
        try:
            with Path(os.devnull).open("wb") as nowhere, native_stderr_in(nowhere):
                mark, found = "ok", check()
        except CatdogError as error:
            mark, found = "!!", str(error)
            amiss += 1
        say(f"{mark}  {name:<10}  {found}")
    return 1 if amiss else 0


def _tensorflow() -> str:
    os.environ.update(tensorflow_environment(available_cores()))
    try:
        import_tensorflow()
    except ImportError as error:
        raise CatdogError(f"It cannot be imported ({error}).", "Install catdog again.") from error
    return f"{version('tensorflow')} with Keras {version('keras')}"


def _gpu() -> str:
    driven, used = len(visible_gpus()), int(machine()["gpus"])
    if driven > used:
        raise CatdogError(
            f"TensorFlow uses {used} of {driven}.", "pip install 'catdog-pipeline[gpu]'"
        )
    return f"{used}" if used else f"none: models share {available_cores()} cores"


def _prefect(home: Path) -> str:
    set_prefect_up()
    where = standing_server(home) if configured_url() else "a private server for each run"
    return f"{version('prefect')}, {where}"


def _home(home: Path) -> str:
    there = _standing(home)
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise CatdogError(f"You may not write to {there}.", "Set CATDOG_HOME, or --home.")
    return str(home)


def _remote(home: Path) -> str:
    remote = Store(home).remote
    if remote is None:
        return "none: this home shares nothing"
    require_rights(remote)
    return f"{remote.url} can be read, written and created only once"


def _disk(home: Path) -> str:
    free = shutil.disk_usage(_standing(home)).free
    if free < ENOUGH_BYTES:
        raise CatdogError(
            f"{decimal(free)} free.",
            f"A run may need {decimal(ENOUGH_BYTES)}: free some, or set CATDOG_HOME.",
        )
    return f"{decimal(free)} free"


def _standing(folder: Path) -> Path:
    """The folder, or the nearest above it that there is."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _port(port: int) -> str:
    require_free(port)
    return f"{port} is free for 'catdog serve'"
