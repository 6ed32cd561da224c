"""What a client is told that asks wrongly: JSON problems (RFC 9457)."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

LINGER_SECONDS = 5
"""As nginx waits by default for more of a body that it has refused (lingering_timeout)."""


WHOLE = "catdog.whole"
"""In a request's scope when its body is read to the end."""


class Problem(JSONResponse):
    """A JSON problem. What still arrives of a refused body is taken and thrown away for a while.

    If the connection were closed at once, the reset that follows could overtake the answer.

    detail: what is wrong, and the remedy. extra: further members of the JSON object.
    """

    media_type = "application/problem+json"

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        content = {"title": status.phrase, "status": int(status), "detail": detail, **extra}
        super().__init__(content, int(status), headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; the whole answer is on its way before the rest of the body is awaited."""
        if scope.get(WHOLE):
            await super().__call__(scope, receive, send)
            return
        headers = [*self.raw_headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b""})


class ProblemError(Exception):
    """A request that cannot be answered as it is; the arguments are those of Problem."""

    def __init__(self, status: HTTPStatus, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.response = Problem(status, detail, **more)
