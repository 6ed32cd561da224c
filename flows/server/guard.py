"""What stands before each server of ours, so that no foreign web page can use it."""

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass

from fastapi.datastructures import Headers
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOST_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[^][:@/]+)(:\d+)?", re.IGNORECASE)
ORIGIN = re.compile(r"https?://(.+)")
FORBIDDEN = 403


def _refused(objection: str) -> ASGIApp:
    hint = "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS can allow a proxy's name or a page's origin."
    return PlainTextResponse(f"Refused: {objection}. {hint}\n", status_code=FORBIDDEN)


async def _refused_handshake(_: Scope, __: Receive, send: Send) -> None:
    """A 403 without words: uvicorn takes an answer with a body for a failure of the server's."""
    await send({"type": "websocket.close"})


@dataclass(frozen=True)
class Guard:
    """Refuses what pages of other sites send; Prefect's own checks stop short of websockets.

    names: the host names that the server goes by, apart from numeric addresses, or None for any. A
    page can give its own name our address (DNS rebinding), but it cannot take on a number.
    origins: whose pages may ask, apart from those that the server itself has sent.
    refuse: makes the answer to what is refused, from the reason.
    """

    app: ASGIApp
    names: Collection[str] | None
    origins: Collection[str]
    refuse: Callable[[str], ASGIApp] = _refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the server does, or refuse."""
        app = self.app
        if scope["type"] in ("http", "websocket") and (
            objection := self._objection(Headers(scope=scope))
        ):
            app = self.refuse(objection) if scope["type"] == "http" else _refused_handshake
        await app(scope, receive, send)

    def _objection(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.names is not None and not _is_known(host_name(host), self.names):
            return "this server has no such name"
        if origin is None or origin in (f"http://{host}", f"https://{host}", *self.origins):
            return None
        return "a page of another site asks"


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty when there is none."""
    found = HOST_HEADER.fullmatch(host)
    return found[1].strip("[]").lower() if found else ""


def known_names(origins: Collection[str]) -> frozenset[str]:
    """The names of this machine, and those of some origins."""
    given = (host_name(found[1]) for origin in origins if (found := ORIGIN.fullmatch(origin)))
    return frozenset({"localhost", socket.gethostname().lower(), *given} - {""})


def _is_known(name: str, names: Collection[str]) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in names
    return True
