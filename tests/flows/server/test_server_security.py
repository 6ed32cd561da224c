"""No web page of another site, and no other user, gets at a server of ours."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from flows.server.guard import Guard, host_name, known_names

FOREIGN = ["https://evil.test", "http://127.0.0.1:1", "http://localhost", "null"]
"""Another site, another server of this machine, and a sandboxed or local page."""
REBOUND = ["evil.test", "evil.test:4200", "127.0.0.1.evil.test", "evil.test@127.0.0.1", ""]
"""Names that an attacker can let this machine's address have, and what is no name."""


@pytest.fixture
def api(server: str) -> Iterator[httpx.Client]:
    """A client that says no more than it is told to."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


@pytest.fixture
def token(api: httpx.Client) -> dict[str, str]:
    """The headers with which Prefect's clients and UI write."""
    client = str(uuid4())
    given = api.get("/csrf-token", params={"client": client}).raise_for_status().json()["token"]
    return {"Prefect-Csrf-Token": given, "Prefect-Csrf-Client": client}


def flow_names(api: httpx.Client, token: dict[str, str]) -> set[str]:
    found = api.post("/flows/filter", json={}, headers=token).raise_for_status().json()
    return {flow["name"] for flow in found}


def own(server: str) -> str:
    return server.removesuffix("/api")


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_is_not_allowed_to_ask(api: httpx.Client, origin: str) -> None:
    wish = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = api.options("/flows/", headers=wish)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_reads_nothing(api: httpx.Client, origin: str) -> None:
    answer = api.get("/csrf-token", params={"client": "me"}, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.text.splitlines()) == 1


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_foreign_page_writes_nothing_even_with_a_token(
    api: httpx.Client, token: dict[str, str], kind: str
) -> None:
    headers = {"Origin": "https://evil.test", "Content-Type": kind, **token}
    answer = api.post("/flows/", content='{"name": "by-a-foreign-page"}', headers=headers)
    assert answer.status_code == 403
    assert "by-a-foreign-page" not in flow_names(api, token)


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_blind_post_does_nothing(api: httpx.Client, token: dict[str, str], kind: str) -> None:
    headers = {"Content-Type": kind}
    answer = api.post("/flows/", content='{"name": "by-a-blind-post"}', headers=headers)
    assert (answer.status_code, answer.json()) == (403, {"detail": "Missing CSRF token."})
    assert "by-a-blind-post" not in flow_names(api, token)


@pytest.mark.parametrize("host", REBOUND)
def test_a_name_that_is_not_the_servers_reads_nothing(api: httpx.Client, host: str) -> None:
    for path in ("/version", "/health"):
        answer = api.get(path, headers={"Host": host, "Origin": f"http://{host}"})
        assert 400 <= answer.status_code < 404


def test_the_servers_own_names_are_answered(api: httpx.Client) -> None:
    for host in ("localhost:4200", "127.0.0.1", "[::1]:80", socket.gethostname(), "LOCALHOST"):
        assert api.get("/version", headers={"Host": host}).status_code == 200, host


def websocket(server: str, **choices: Any) -> None:
    address = server.replace("http://", "ws://")
    with connect(f"{address}/events/in", proxy=None, **choices):
        pass


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_foreign_page_opens_no_websocket(server: str, origin: str) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        websocket(server, origin=Origin(origin))


def test_a_refused_websocket_is_no_error_in_the_servers_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = uvicorn.Config(Guard(_unasked, names=("localhost",), origins=()), log_config=None)
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    with pytest.raises(InvalidStatus, match="403"):
        websocket(f"http://{host}:{port}", origin=Origin("http://elsewhere"))
    server.should_exit = True
    thread.join()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def _unasked(*_: Any) -> None:
    raise AssertionError


def test_clients_and_the_servers_own_pages_open_websockets(server: str) -> None:
    websocket(server)
    websocket(server, origin=Origin(own(server)))


def test_the_servers_own_pages_read_and_write(
    api: httpx.Client, server: str, token: dict[str, str]
) -> None:
    headers = {"Origin": own(server), **token}
    assert api.post("/flows/filter", json={}, headers=headers).status_code == 200
    settings = httpx.get(f"{own(server)}/ui-settings", headers={"Origin": own(server)}).json()
    assert settings["csrf_enabled"]


def test_prefects_own_client_reads_and_writes(server: str) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        made = client.create_flow_from_name("by-a-client")
        assert client.read_flow(made).name == "by-a-client"


# What the tests' own server does not show


async def answered(guard: Guard, **headers: str) -> int:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await guard({"type": "http", "headers": raw}, None, send)  # type: ignore[arg-type]
    return int(sent[0]["status"])


async def welcome(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})


@pytest.mark.parametrize(
    ("names", "host", "origin", "status"),
    [
        (None, "catdog.example", "https://catdog.example", 200),
        (None, "catdog.example", "https://evil.test", 403),
        (None, "inner:4200", "https://proxy.example", 200),
        (["localhost", "proxy.example"], "proxy.example", "https://proxy.example", 200),
        (["localhost"], "192.168.1.5:4200", "http://192.168.1.5:4200", 200),
        (["localhost"], "192.168.1.5:4200", "http://192.168.1.6:4200", 403),
        (["localhost"], "evil.test", "http://evil.test", 403),
    ],
)
def test_beyond_loopback_an_origin_is_measured_by_the_name_that_was_asked_for(
    names: list[str] | None, host: str, origin: str, status: int
) -> None:
    import asyncio

    guard = Guard(welcome, names=names, origins=["https://proxy.example"])
    assert asyncio.run(answered(guard, host=host, origin=origin)) == status


def test_the_name_of_an_allowed_origin_is_known() -> None:
    assert known_names(["https://Proxy.example:8443"]) >= {"localhost", "proxy.example"}
    assert host_name("[::1]:4200") == "::1"


def test_a_file_for_prefects_commands_does_not_reach_the_tests(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that `make serve` started in this folder is none of their business."""
    from prefect.settings import Settings

    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://live/api"\nauth_string = "a:b"\n')
    monkeypatch.chdir(tmp_path)
    found = Settings().api
    assert found.url in ("", os.environ["PREFECT_API_URL"])
    assert not (found.auth_string and found.auth_string.get_secret_value())
