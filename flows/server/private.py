"""A private Prefect server, which ends with the process that starts it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from catdog.errors import SettingsError
from catdog.store.files import no_space, writing
from catdog.store.store import Store
from catdog.wording import quoted
from flows.processes import start_in_background
from flows.server.client import (
    HOST,
    ServerError,
    allowed_origins,
    deliver,
    healthy,
    reach_directly,
    report_to,
)
from flows.server.login import require_login
from flows.server.texts import mend
from flows.server.watch import watching

EVERYWHERE = "0.0.0.0"  # noqa: S104  what a user may ask for

BACKLOG = 2048
"""uvicorn's own."""

LOOK_SECONDS = 0.5

START_SECONDS = 300
"""A new database takes 16 s on 2 free cores, and more than 2 min on busy ones."""

END_SECONDS = 5
"""It takes less than one."""

LEAST_FREE = 1_000_000
"""Bytes. A server that ends on a disk with less has run out of space."""


@contextmanager
def running_server(home: Path, port: int, host: str = HOST) -> Iterator[str]:
    """A private server of this process, which reports to it, by its API URL.

    It asks for a login when the home keeps one. Raises ServerError or LoginError.
    """
    require_login(home)
    reach_directly(host)
    with ExitStack() as stack:
        with Store(home).lock("prefect-server"):  # two that make the database at once would fail
            mend(home / "prefect" / "prefect.db")
            process = start_server(home, port, host)
            stack.callback(_end, process)
            url = f"{address(port, host)}/api"
            wait_until_ready(process, url, log_file(home))
        report_to(url)
        ended = ServerError(
            "The private Prefect server has ended.",
            f"See {log_file(home)}; the same command goes on from what is finished.",
        )
        with (
            watching(lambda: process.poll() is not None, ended, every=LOOK_SECONDS),
            _delivering_to(process),
        ):
            yield url


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:  # the latter for a name that no host can have
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise SettingsError(
            f"Port {port} of {quoted(host)} cannot be used ({reason}).",
            "Stop what uses it, or choose another one with --port.",
        ) from error
    # Connections inherit it. Else Nagle holds each answer's second packet back for 40 ms: asyncio
    # itself turns that off only for sockets whose protocol is named.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def free_port() -> int:
    """A TCP port on loopback that is free at this moment."""
    with listen(HOST, 0) as probe:
        return int(probe.getsockname()[1])


def require_free(port: int, host: str = HOST) -> None:
    """Raise SettingsError when something listens on this port already, or nothing may."""
    listen(host, port).close()


def address(port: int, host: str = HOST) -> str:
    """Where this machine reaches its server, and its UI."""
    reached = HOST if host == EVERYWHERE else host
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def log_file(home: Path) -> Path:
    """Where the private server writes what it has to say."""
    return home / "prefect" / "server.log"


def start_server(home: Path, port: int, host: str = HOST) -> subprocess.Popen[bytes]:
    """Start a private server, which ends with this process."""
    folder = home / "prefect"
    if "?" in str(folder):  # SQLAlchemy takes the rest of the address for options
        raise ServerError(
            f"Prefect's database cannot be in a folder with a '?' in its name: {folder}.",
            "Set CATDOG_HOME, or --home, to another folder.",
        )
    origins = [address(port, host), *allowed_origins()]
    environment = os.environ | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join(origins),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_API_URL": "/api",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # its console is the log file
    }
    words = ["-m", "flows.server", str(os.getpid()), host, str(port)]
    with writing(home):
        return start_in_background(words, log_file(home), environment)


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until the server at this API URL answers."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if healthy(url):
            return
        time.sleep(0.1)
    process.terminate()
    if shutil.disk_usage(log.parent).free < LEAST_FREE:
        raise no_space(log.parent)
    raise ServerError("The private Prefect server did not start.", f"See {log}.")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server, so that the next one finds its database closed."""
    server.terminate()
    with suppress(subprocess.TimeoutExpired):  # then it ends with this process
        server.wait(END_SECONDS)


@contextmanager
def _delivering_to(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """Deliver in the end while there is a server, or Prefect tries for a minute at exit."""
    try:
        yield
    finally:
        if server.poll() is None:
            deliver()
