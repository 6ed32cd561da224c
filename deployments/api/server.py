"""Listen, answer until told to stop, and end when what was asked is answered."""

import logging
import os
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn

from catdog.configuration import TOKEN
from catdog.errors import SettingsError
from catdog.promotion.decision import DEFAULT
from catdog.settings import Limits
from catdog.store.files import make_home, writing
from deployments.api.application import Api
from deployments.api.journal import Journal
from deployments.api.observed import access
from deployments.api.served import Models, Served
from flows.cli.terminal import err

LOOPBACK = ("127.0.0.1", "::1", "localhost")
END_SECONDS = 20
"""For the requests that are being answered when the server is told to stop; a container gets a
few seconds more."""


DRAIN_SECONDS = 1.0
"""Between SIGTERM and the end of listening: longer than most clients keep still between two
requests of one page or batch."""
CLOSING = (b"connection", b"close")


class Draining(uvicorn.Server):
    """Ends by SIGTERM only after it has asked its clients to leave their connections.

    Else a request on an open connection crosses the end of the connection, and is lost: no client
    may send it again by itself.
    """

    _end = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first SIGTERM begins the drain, any other one ends at once."""
        drain = sig == signal.SIGTERM and self._end == float("inf")
        super().handle_exit(sig, frame)
        if drain:
            self._end, self.should_exit = time.monotonic() + DRAIN_SECONDS, False
            self.config.encoded_headers.append(CLOSING)
            self.server_state.default_headers.append(CLOSING)

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is time to end."""
        self.should_exit |= time.monotonic() > self._end
        return await super().on_tick(counter)


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
    what = ", ".join(map(_told, models.served.values())) or "no model yet"
    shown = f"[{host}]" if ":" in host else host
    err.print(f"http://{shown}:{port} serves {what}", highlight=False, markup=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # raised again when all is answered
    Draining(config).run(sockets=[listener])


def _told(served: Served) -> str:
    """The model that answers, as the terminal is told."""
    model = served.classifier
    of = "" if served.task == DEFAULT else f" of task {served.task}"
    return f"{model.name} {model.version[:12]}{of}"
