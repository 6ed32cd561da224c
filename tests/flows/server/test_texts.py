"""Half a character gets into no server of ours, and one that is there is mended."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.server.texts import WholeTexts, has_half, mend

HALVES = [
    rb'{"parameters": {"source": "\ud800"}}',
    rb'["\uDFFFa"]',
    rb'"\ud800\ud800"',
    b'"\xed\xa0\x80"',
    rb'{"\udc00": 1}',
]
WHOLE = [
    rb'"\ud83d\ude00"',
    rb'"\\ud800"',
    "😀".encode(),
    b"",
    b"{",
    rb"[\ud800",
    b"[" * 100_000 + rb'"\ud800"',
]


@pytest.mark.parametrize("text", HALVES)
def test_half_a_character_is_noticed(text: bytes) -> None:
    assert has_half(text)


@pytest.mark.parametrize("text", WHOLE, ids=range(len(WHOLE)))
def test_whole_ones_and_what_is_no_json_pass(text: bytes) -> None:
    assert not has_half(text)


@given(st.text(st.characters(codec=None), max_size=20))
def test_it_is_noticed_wherever_it_is(text: str) -> None:
    half = any("\ud800" <= char <= "\udfff" for char in json.loads(json.dumps(text)))
    assert has_half(json.dumps({"a": [text]}).encode()) == half


def asked(body: list[bytes], method: str = "POST") -> tuple[int, bytes]:
    """The status, and what the server behind it has been sent."""
    parts = [{"type": "http.request", "body": b, "more_body": b is not body[-1]} for b in body]
    seen, answers = [], []

    async def server(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive()).get("more_body"):
            seen.append(message["body"])
        seen.append(message.get("body", b""))
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {"type": "http", "method": method, "headers": []}
    asyncio.run(WholeTexts(server)(scope, receive, send))
    return answers[0]["status"], b"".join(seen)


def test_a_server_is_sent_what_is_whole_and_nothing_else() -> None:
    parts = [b'{"a": ', b'"cats"', b"}"]
    assert asked(parts) == (200, b"".join(parts))
    assert asked([b'{"a": "\\u', b'd800"}']) == (422, b"")
    assert asked([b""], method="GET") == (200, b"")


def test_what_was_stored_is_mended_and_nothing_else_is_touched(tmp_path: Path) -> None:
    texts = [r'{"source": "\ud800", "n": 1}', r'{"source": "\ud83d\ude00"}', "no JSON \\ud8", None]
    database = tmp_path / "prefect.db"
    with sqlite3.connect(database) as made:
        made.execute("CREATE TABLE flow_run (id TEXT, parameters TEXT)")
        made.executemany("INSERT INTO flow_run VALUES ('a', ?)", [(text,) for text in texts])
    made.close()
    mend(database)
    with sqlite3.connect(database) as mended:
        found = [row[0] for row in mended.execute("SELECT parameters FROM flow_run")]
    mended.close()
    assert json.loads(found[0]) == {"source": "?", "n": 1}
    assert found[1:] == texts[1:]


def test_a_database_that_is_none_is_left_to_its_server(tmp_path: Path) -> None:
    mend(tmp_path / "prefect.db")
    (tmp_path / "prefect.db").write_bytes(b"no database" * 1_000)
    mend(tmp_path / "prefect.db")
    assert [path.name for path in tmp_path.iterdir()] == ["prefect.db"]
