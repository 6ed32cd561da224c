"""This process as a client of a Prefect server: its settings, and whether a server answers."""

import io
import os
import sys
import warnings
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catdog.addresses import has_host, without_secrets
from catdog.errors import CatdogError, SettingsError
from flows.server.login import AUTH, CLIENT_AUTH, CLIENT_URL

CLIENT_CONFIG = Path("prefect.toml")
"""Where Prefect's clients look for their settings: in the folder where they start."""

HOST = "127.0.0.1"

DELIVERY_SECONDS = 10

PREFECT_ENVIRONMENT = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "catdog",
    "PYTHONSAFEPATH": "1",
}
"""No call home, our own log in the UI, and no folder `flows` of the user's in place of ours in the
processes that start with `python -m`."""


class ServerError(CatdogError):
    """A Prefect server cannot be reached or started."""


def set_prefect_up() -> None:
    """Give Prefect our settings where the user has none; to be called before it is imported.

    Raises SettingsError when no HTTP client works in this environment.
    """
    from catdog.sources.web import require_proxies

    require_proxies()
    for name, value in PREFECT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def configured_url() -> str | None:
    """The API URL that Prefect's own settings name: environment, profile or file.

    Raises SettingsError for one that is none.
    """
    url = _prefect_settings().api.url
    if url and not has_host(str(url)):
        raise SettingsError(
            f"{without_secrets(str(url))} is no address of a Prefect server.",
            f"Set {CLIENT_URL} to one, or unset it.",
        )
    return str(url) if url else None


def allowed_origins() -> list[str]:
    """The origins that Prefect's settings allow by name; its default is any."""
    given = _prefect_settings().server.api.cors_allowed_origins.split(",")
    return [origin for origin in given if origin not in ("", "*")]


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


def report_to(url: str) -> None:
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


def healthy(url: str) -> bool:
    """Whether the server at this API URL answers."""
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def deliver() -> None:
    """Wait until the server has the last log lines and events of this process."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DELIVERY_SECONDS, at_exit=False)
