"""The Prefect server that a run reports to: the configured one, else a private one."""

import argparse
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catdog.addresses import without_secrets
from catdog.errors import CatdogError, SettingsError
from catdog.store.files import no_space, writing
from catdog.store.store import Store
from flows.login import AUTH, CLIENT_AUTH, CLIENT_URL, log_in, names, require_login
from flows.processes import end_with_parent
from flows.watch import watching

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104  what a user may ask for
CLIENT_CONFIG = Path("prefect.toml")
"""Where Prefect's clients look for their settings: in the folder where they start."""
DELIVERY_SECONDS = 10
LOOK_SECONDS = 0.5
ASK_SECONDS = 10
PATIENCE_SECONDS = 300
"""A server that several people use may be started anew; a run needs it when a model is done."""
START_SECONDS = 300
"""A new database takes 16 s on 2 free cores, and more than 2 min on busy ones."""

PREFECT_ENVIRONMENT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "catdog",
    "PYTHONSAFEPATH": "1",
}
"""No call home, our own log in the UI, and no folder `flows` of the user's in place of ours in the
processes that start with `python -m`."""

LEAST_FREE = 1_000_000
"""Bytes. A server that ends on a disk with less has run out of space."""


class ServerError(CatdogError):
    """A Prefect server cannot be reached or started."""


def set_prefect_up() -> None:
    """Give Prefect our settings where the user has none; to be called before it is imported.

    Raises SettingsError when no HTTP client works in this environment.
    """
    from catdog.sources.fetch import require_proxies

    require_proxies()
    for name, value in PREFECT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """The API URL of the server for this run; a private server ends with the run.

    The private one keeps its history in `home/prefect`, listens on loopback only, and ends with
    this process however that ends. Raises ServerError.
    """
    if url := configured_url():
        _reach(home, url)
        with watching(_silence(url), _silent(url), every=ASK_SECONDS):
            yield url
        return
    with running_server(home, free_port()) as url:
        yield url


@contextmanager
def running_server(home: Path, port: int, host: str = HOST) -> Iterator[str]:
    """A private server of this process, which reports to it, by its API URL.

    It asks for a login when the home keeps one. Raises ServerError or LoginError.
    """
    require_login(home)
    reach_directly(host)
    with ExitStack() as stack:
        with Store(home).lock("prefect-server"):  # two that make the database at once would fail
            process = start_server(home, port, host)
            stack.callback(process.terminate)
            url = wait_until_ready(process, port, log_file(home), host)
        _report_to(url)
        stack.callback(_deliver_to, process)
        ended = ServerError(
            "The private Prefect server has ended.",
            f"See {log_file(home)}; the same command goes on from what is finished.",
        )
        with watching(lambda: process.poll() is not None, ended, every=LOOK_SECONDS):
            yield url


def free_port() -> int:
    """A TCP port on loopback that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, host: str = HOST) -> None:
    """Raise ServerError when something listens on this port already, or nothing may."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServerError(
                f"Port {port} of {host} cannot be used ({error.strerror}).",
                "Stop what uses it, or choose another one with --port.",
            ) from error


def address(port: int, host: str = HOST) -> str:
    """Where this machine reaches its server, and its UI."""
    return f"http://{HOST if host == EVERYWHERE else host}:{port}"


def log_file(home: Path) -> Path:
    """Where the private server writes what it has to say."""
    return home / "prefect" / "server.log"


def start_server(home: Path, port: int, host: str = HOST) -> subprocess.Popen[bytes]:
    """Start a private server in a session of its own, so that Ctrl-C does not reach it first."""
    folder = home / "prefect"
    if "?" in str(folder):  # SQLAlchemy takes the rest of the address for options
        raise ServerError(
            f"Prefect's database cannot be in a folder with a '?' in its name: {folder}.",
            "Set CATDOG_HOME, or --home, to another folder.",
        )
    with writing(home):
        folder.mkdir(parents=True, exist_ok=True)
        log = log_file(home).open("ab")
    environment = os.environ | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": ",".join([address(port, host), *_allowed()]),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_API_URL": "/api",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",  # its console is the log file
    }
    with log:
        return subprocess.Popen(  # noqa: S603  our own module
            [
                *(sys.executable, "-m", "flows.server", "--parent", str(os.getpid())),
                *("--host", host, "--port", str(port)),
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until_ready(
    process: subprocess.Popen[bytes], port: int, log: Path, host: str = HOST
) -> str:
    """Wait for the server's health check and give its API URL."""
    url = f"{address(port, host)}/api"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        if healthy(url):
            return url
        time.sleep(0.1)
    process.terminate()
    if shutil.disk_usage(log.parent).free < LEAST_FREE:
        raise no_space(log.parent)
    raise ServerError("The private Prefect server did not start.", f"See {log}.")


def configured_url() -> str | None:
    """The API URL that Prefect's own settings name: environment, profile or file."""
    url = _prefect_settings().api.url
    return str(url) if url else None


def standing_server(home: Path) -> str:
    """The API URL of the configured server, which answers. Raises ServerError when there is none.

    For what is of no use on a server that ends with this process.
    """
    set_prefect_up()
    url = configured_url()
    if url is None:
        raise ServerError(
            "No Prefect server is configured.",
            f"Start one ('catdog serve'), and export {CLIENT_URL} as it says.",
        )
    _reach(home, url)
    return url


def _prefect_settings() -> Any:
    """Prefect's own settings. Raises SettingsError when they are wrong.

    The first import of Prefect reads them: it would print what is wrong before it raises it.
    """
    printed = io.StringIO()
    try:
        with redirect_stderr(printed), warnings.catch_warnings():
            warnings.simplefilter("default")  # PYTHONWARNINGS=error is for the user's own code
            from prefect.settings import get_current_settings

            settings = get_current_settings()
    except ValueError as error:
        raise SettingsError(
            f"Prefect's settings cannot be read ({_first_problem(error)}).",
            "Mend the variable PREFECT_..., or the profiles.toml or prefect.toml that says so.",
        ) from error
    sys.stderr.write(printed.getvalue())
    return settings


def _first_problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return f"not valid TOML: {error}"
    first = error.errors()[0]
    return f"{error.title}, {'.'.join(map(str, first['loc']))}: {first['msg']}"


def _allowed() -> list[str]:
    """The origins that Prefect's settings allow by name; its default is any."""
    given = _prefect_settings().server.api.cors_allowed_origins.split(",")
    return [origin for origin in given if origin not in ("", "*")]


def _report_to(url: str) -> None:
    """Point every thread of this process, and the processes that it starts, at a server."""
    from prefect.context import refresh_global_settings_context

    os.environ[CLIENT_URL] = url
    refresh_global_settings_context()


def reach_directly(host: str) -> None:
    """Let this process and its children reach their own server past a proxy, and log in to it."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), HOST, host]))
    if secret := os.environ.get(AUTH):
        os.environ[CLIENT_AUTH] = secret


def deliver() -> None:
    """Wait until the server has the last log lines and events of this process."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DELIVERY_SECONDS, at_exit=False)


def _deliver_to(server: subprocess.Popen[bytes]) -> None:
    """Deliver while there is a server, or Prefect tries for a minute at exit."""
    if server.poll() is None:
        deliver()


def _silence(url: str) -> Callable[[], bool]:
    """What tells whether a server has not answered for long, as often as it is asked."""
    answered = time.monotonic()

    def gone() -> bool:
        nonlocal answered
        if healthy(url):
            answered = time.monotonic()
        return time.monotonic() - answered > PATIENCE_SECONDS

    return gone


def _silent(url: str) -> ServerError:
    return ServerError(
        f"The Prefect server at {without_secrets(url)} has not answered for {PATIENCE_SECONDS} s.",
        "Start it again; the same command then goes on from what is finished.",
    )


def _reach(home: Path, url: str) -> None:
    log_in(home, url)
    if not healthy(url):
        raise ServerError(
            f"The Prefect server at {without_secrets(url)} does not answer.", _remedy(url)
        )
    _require_admission(url)


def _remedy(url: str) -> str:
    if not os.environ.get(CLIENT_URL) and names(CLIENT_CONFIG, url):
        file = CLIENT_CONFIG.absolute()
        return f"Start it, or remove {file}, which names it, to use a private one."
    return f"Start it ('prefect server start'), or unset {CLIENT_URL} to use a private one."


def _require_admission(url: str) -> None:
    """The health check is open to all; whatever else a run asks for is not."""
    import httpx
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            client.api_version()
    except (httpx.HTTPError, ValueError) as error:
        shown, answer = without_secrets(url), getattr(error, "response", None)
        if answer is not None and answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ServerError(
                f"The Prefect server at {shown} refuses this user.",
                f"Set {CLIENT_AUTH} to its USER:PASSWORD.",
            ) from error
        raise ServerError(
            f"What answers at {shown} is no Prefect server.",
            f"Set {CLIENT_URL} to one, or unset it.",
        ) from error


def healthy(url: str) -> bool:
    """Whether the server at this API URL answers."""
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def main() -> None:
    """Serve until the parent process has gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True, help="the process to end with")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    end_with_parent(given.parent)  # before the imports, which take seconds

    import uvicorn
    from prefect.server.api.server import create_app

    from flows.guard import Guard, known_names

    origins = _allowed()
    app = Guard(
        create_app(),
        names=None if os.environ.get(AUTH) else known_names(origins),  # a login guards as well
        origins=origins,
    )
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
