"""The Prefect server that the user's settings name."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

from catdog.addresses import without_secrets
from catdog.wording import quoted
from flows.server.client import CLIENT_CONFIG, ServerError, configured_url, healthy, set_prefect_up
from flows.server.login import CLIENT_AUTH, CLIENT_URL, log_in, names
from flows.server.watch import watching

ASK_SECONDS = 10

_MAJOR = re.compile(r"\A(\d+)\.\d")

PATIENCE_SECONDS = 300
"""A server that several people use may be started again; a run needs it when a model is done."""


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
    reach(home, url)
    return url


def reach(home: Path, url: str) -> None:
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

    shown = without_secrets(url)
    try:
        with get_client(sync_client=True) as client:
            theirs, ours = str(client.api_version()), client.client_version()
        major = _MAJOR.findall(theirs)[0]
    except (httpx.HTTPError, ValueError, IndexError, RecursionError) as error:
        answer = getattr(error, "response", None)
        if answer is not None and answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ServerError(
                f"The Prefect server at {shown} refuses this user.",
                f"Set {CLIENT_AUTH} to its USER:PASSWORD.",
            ) from error
        raise ServerError(
            f"What answers at {shown} is no Prefect server.",
            f"Set {CLIENT_URL} to one, or unset it.",
        ) from error
    if major != _MAJOR.findall(ours)[0]:
        raise ServerError(
            f"The Prefect server at {shown} is of version {quoted(theirs)}, but this is {ours}.",
            f"Use one of the same major version, or unset {CLIENT_URL}.",
        )


@contextmanager
def understood(url: str) -> Iterator[None]:
    """Raise ServerError where the server at this API URL answers the body otherwise than Prefect's.

    What the body foresees, such as that something is not there, it catches itself.
    """
    import httpx
    from pydantic import ValidationError

    try:
        yield
    except (httpx.HTTPError, ValidationError, JSONDecodeError, RecursionError) as error:
        raise ServerError(
            f"The Prefect server at {without_secrets(url)} has not done what it was asked "
            f"({quoted(error)}).",
            "See its log; is it of the version that catdog uses ('catdog doctor')?",
        ) from error


@contextmanager
def watched_server(home: Path, url: str) -> Iterator[str]:
    """The API URL of the configured server, as long as that answers. Raises ServerError."""
    reach(home, url)
    silent = ServerError(
        f"The Prefect server at {without_secrets(url)} has not answered for {PATIENCE_SECONDS} s.",
        "Start it again; the same command then goes on from what is finished.",
    )
    with watching(_silence(url), silent, every=ASK_SECONDS):
        yield url


def _silence(url: str) -> Callable[[], bool]:
    """What tells whether a server has not answered for long, as often as it is asked."""
    answered = time.monotonic()

    def gone() -> bool:
        nonlocal answered
        if healthy(url):
            answered = time.monotonic()
        return time.monotonic() - answered > PATIENCE_SECONDS

    return gone
