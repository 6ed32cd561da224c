"""Texts with half a character in them (a lone surrogate): JSON has them, and UTF-8 does not.

Prefect's server would store one, but could never send it again: each list of runs that has it
fails, and with it `catdog serve`.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNPROCESSABLE = 422
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
RAW = re.compile(rb"\xed[\xa0-\xbf]")
"""As Python's JSON takes them, though they are no UTF-8."""
REFUSED = "Refused: the JSON has half a character in it (a lone surrogate).\n"
TABLES = ("flow_run", "deployment")
"""Of Prefect's database: what the runs and their schedules are read from."""


class WholeTexts:
    """Stands before a server, and refuses JSON with half a character in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the server does, or refuse."""
        if scope["type"] != "http" or scope["method"] in WITHOUT_BODY:
            await self._app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        if has_half(b"".join(message.get("body", b"") for message in messages)):
            await PlainTextResponse(REFUSED, status_code=UNPROCESSABLE)(scope, receive, send)
            return

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, again, send)


def has_half(text: bytes) -> bool:
    """Whether it is JSON with half a character in it."""
    if not (ESCAPED.search(text) or RAW.search(text)):
        return False
    try:
        _plain(json.loads(text)).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):  # no JSON, or none that a server takes
        return False
    return False


def mend(database: Path) -> None:
    """Put a '?' for each half character that a client of an earlier server has left in runs.

    Such a run then fails with one line, as one with any other wrong parameter. For a database of
    which no server is up; one that cannot be read is left to its server, which says so.
    """
    if not database.is_file():
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as opened, opened:
        for table in TABLES:
            for column, row, text in list(_halves(opened, table)):
                whole = _plain(json.loads(text)).encode(errors="replace").decode()
                opened.execute(
                    f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?',  # noqa: S608  our names
                    (whole, row),
                )


def _halves(opened: sqlite3.Connection, table: str) -> Iterator[tuple[str, int, str]]:
    """Column, row and text of each value with half a character in it."""
    for _, column, *_ in list(opened.execute(f"PRAGMA table_info({table})")):
        found = opened.execute(
            f'SELECT rowid, "{column}" FROM {table} WHERE "{column}" LIKE \'%\\ud%\''  # noqa: S608
        )
        yield from ((column, row, text) for row, text in found if has_half(str(text).encode()))


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
