"""Listen, answer until told to stop, and end when what was asked is answered."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from catdog.errors import SettingsError, StoreError
from catdog.settings import TOKEN, Limits
from catdog.store.files import make_home, writing
from deployments.api.application import Api
from deployments.api.journal import Journal
from deployments.api.observed import access
from deployments.api.served import Models

LOOPBACK = ("127.0.0.1", "::1", "localhost")
BACKLOG = 2048
"""uvicorn's own."""
END_SECONDS = 20
"""For the requests that are being answered when the server is told to stop; a container gets a
few seconds more."""


def token_for(host: str) -> str | None:
    """What clients must know; None on loopback without a token.

    Raises SettingsError when another address shall be served without one.
    """
    token = os.environ.get(TOKEN) or None
    if token is None and host not in LOOPBACK:
        raise SettingsError(
            f"Without a token, anybody who reaches {host} could use the model.",
            f"Set {TOKEN}, which clients then send: 'Authorization: Bearer TOKEN'.",
        )
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingsError(
            f"{TOKEN} cannot be sent in a header.",
            "Use letters and digits: 'openssl rand -hex 32'.",
        )
    return token


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"Port {port} of {host} cannot be used ({error.strerror}).",
            "Stop what uses it, or choose another one with --port.",
        ) from error
    # Connections inherit it. Else Nagle holds each answer's second packet back for 40 ms: asyncio
    # itself turns that off only for sockets whose protocol is named.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def run(
    listening: socket.socket,
    models: Models,
    limits: Limits,
    *,
    token: str | None,
    home: Path,
    keep_photos: bool,
    say: Callable[[str], None],
) -> None:
    """Answer until SIGTERM or Ctrl-C. The access log goes to standard output, a line a request."""
    host, port = listening.getsockname()[:2]
    folder = home / "api"
    with writing(home):
        make_home(home)
    journal = Journal(
        folder / f"predictions-{port}.jsonl",  # so that two servers never rotate one file
        most_bytes=limits.log_mebibytes * 2**20,
        photos=folder / "photos" if keep_photos else None,
    )
    _log_access()
    api = Api(models, limits, token=token, journal=journal)
    config = uvicorn.Config(
        api.application(host),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=END_SECONDS,
    )
    served = models.served
    what = (
        f"{served.classifier.name} {served.classifier.version[:12]}" if served else "no model yet"
    )
    shown = f"[{host}]" if ":" in host else host
    say(f"http://{shown}:{port} serves {what}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # raised again when all is answered
    uvicorn.Server(config).run(sockets=[listening])


def first_model(models: Models, *, wait: bool) -> None:
    """Load the model that answers first. Raises StoreError when there is none, unless to wait."""
    try:
        models.take()
    except StoreError:
        if not wait:
            raise


def _log_access() -> None:
    handler = logging.StreamHandler(sys.stdout)
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    access.propagate = False
