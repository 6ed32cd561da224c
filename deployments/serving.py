"""The command `catdog serve`: a Prefect server and all deployments in one go."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from catdog.errors import SettingsError
from catdog.store import Store
from flows.cli import Home, out, use
from flows.server import AUTH, HOST

LOOPBACK = (HOST, "localhost")
DEFAULT_PORT = 4200
"""Prefect's own, so that its command line finds the server where it looks first."""


def serve(
    *,
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65_535))] = DEFAULT_PORT,
    host: str = HOST,
    insecure: Annotated[bool, Parameter(negative="")] = False,
    home: Home = None,
) -> None:
    """Start a Prefect server with its UI, and run the deployments 'full' and 'smoke' when due.

    One process for one machine; Ctrl-C ends it. For several machines see docs/production.md.

    Parameters
    ----------
    port
        Of the server and its UI.
    host
        The address to listen on; any but loopback needs basic auth (see --insecure).
    insecure
        Listen on another address without basic auth: whoever reaches it can run and delete.
    """
    check_exposure(host, insecure=insecure)
    folder = use(home=home).home
    from flows.launch import PREFECT_ENVIRONMENT
    from flows.server import log_file, require_free, running_server

    for name, value in PREFECT_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    require_free(port, host)
    out.print("Starting the Prefect server", highlight=False)
    with _alone(folder), running_server(folder, port, host) as url:
        _prepare()
        _say_where(url.removesuffix("/api"), log_file(folder))
        _serve_deployments()


def check_exposure(host: str, *, insecure: bool) -> None:
    """Refuse to listen beyond loopback without basic auth. Raises SettingsError."""
    if host in LOOPBACK or insecure or os.environ.get(AUTH):
        return
    raise SettingsError(
        f"Without basic auth, anybody who reaches {host} could run and delete everything.",
        f"Set {AUTH} to USER:PASSWORD, or say --insecure.",
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Only one `serve` a home: a second would take the first one's runs for dead."""
    store = Store(home)
    if store.is_locked("serve"):
        raise SettingsError(
            f"'catdog serve' runs on {home} already.", "Stop it, or choose another --home."
        )
    with store.lock("serve"):
        yield


def _prepare() -> None:
    from deployments.automations import create_automations
    from deployments.orphans import crash_orphans

    if lost := crash_orphans():
        out.print(f"Marked as crashed: {', '.join(lost)}", highlight=False, soft_wrap=True)
    create_automations()


def _say_where(address: str, log: Path) -> None:
    import asyncio

    from deployments.definitions import next_run

    lines = [f"UI:        {address}"]
    if coming := asyncio.run(next_run()):
        name, when = coming
        lines.append(f"Next run:  catdog/{name} on {when:%A, %Y-%m-%d at %H:%M %Z}")
    lines += [
        f"Start one: PREFECT_API_URL={address}/api prefect deployment run catdog/smoke --watch",
        f"Log:       {log}",
    ]
    out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


def _serve_deployments() -> None:
    import prefect

    from deployments.definitions import served_deployments

    prefect.serve(*served_deployments(), print_starting_message=False)
