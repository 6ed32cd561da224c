"""Listen, answer until told to stop, and end when what was asked is answered."""

import logging
import os
import signal
import socket
import sys

import uvicorn

from catdog.errors import SettingsError
from catdog.settings import TOKEN, Limits
from catdog.store.files import make_home, writing
from deployments.api.application import Api
from deployments.api.journal import Journal
from deployments.api.observed import access
from deployments.api.served import Models
from flows.cli.terminal import err

LOOPBACK = ("127.0.0.1", "::1", "localhost")
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


def run(
    listener: socket.socket, models: Models, limits: Limits, *, token: str | None, keep_photos: bool
) -> None:
    """Answer until SIGTERM or Ctrl-C. The access log goes to standard output, a line a request."""
    host, port = listener.getsockname()[:2]
    folder = models.home / "api"
    with writing(models.home):
        make_home(models.home)
    journal = Journal(
        folder / f"predictions-{port}.jsonl",  # so that two servers never rotate one file
        most_bytes=limits.log_mebibytes * 2**20,
        photos=folder / "photos" if keep_photos else None,
    )
    access.addHandler(logging.StreamHandler(sys.stdout))
    access.setLevel(logging.INFO)
    access.propagate = False
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
    model = models.served and models.served.classifier
    what = f"{model.name} {model.version[:12]}" if model else "no model yet"
    shown = f"[{host}]" if ":" in host else host
    err.print(f"http://{shown}:{port} serves {what}", highlight=False, markup=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # raised again when all is answered
    uvicorn.Server(config).run(sockets=[listener])
