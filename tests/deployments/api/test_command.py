"""The command: its token, its port, its end."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from api_server import (
    TOKEN,
    Server,
    answer_of,
    photo,
    raw,
    require_problem,
    serving,
)

HEAVY = {"tensorflow", "keras", "prefect", "pandas", "matplotlib", "scipy", "sklearn"}


def test_with_a_token_only_who_knows_it_gets_answers(exported: Path, tmp_path: Path) -> None:
    flags = ("--model", str(exported), "--host", "0.0.0.0", "--keep-photos", "--calibrated")  # noqa: S104
    with serving(tmp_path, *flags, token=TOKEN) as server:
        url = f"http://127.0.0.1:{server.port}"
        for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer é"}):
            given = {name: text.encode() for name, text in headers.items()}
            for method, path in (("POST", "/predict"), ("GET", "/model"), ("GET", "/metrics")):
                require_problem(httpx.request(method, url + path, headers=given), 401, "Bearer")
        known = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.post(f"{url}/predict", content=photo(5), headers=known)
        assert answer.json()["calibrated"]
        for path in ("/", "/health", "/ready"):
            assert httpx.get(url + path).status_code == 200
        (kept,) = (tmp_path / "api" / "photos").iterdir()
        assert kept.read_bytes() == photo(5)


def _listens(server: Server) -> bool:
    try:
        raw(server).close()
    except OSError:
        return False
    return True


def test_told_to_stop_it_answers_what_it_has_begun(exported: Path, tmp_path: Path) -> None:
    content = photo()
    with serving(tmp_path, "--model", str(exported)) as server:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with raw(server, head.encode(), content[:20]) as connection:
            server.wait_for("/metrics", lambda answer: "catdog_waiting 1.0" in answer.text)
            server.process.send_signal(signal.SIGTERM)
            while _listens(server):
                pass
            connection.sendall(content[20:])
            assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
        assert (server.end(), server.process.returncode) == ("", 0)
        last = json.loads(server.access.read_text().splitlines()[-1])
        assert (last["path"], last["status"], last["photos"]) == ("/predict", 200, 1)


def test_told_to_stop_it_first_asks_its_clients_to_leave_their_connections(
    exported: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, "--model", str(exported)) as server:
        open_ones = [raw(server) for _ in range(8)]
        for connection in open_ones:
            assert _health(connection).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(signal.SIGTERM)
        for connection in open_ones:
            while b"connection: close" not in (answer := _health(connection)).lower():
                assert answer.startswith(b"HTTP/1.1 200 ")  # it has not heard of it yet
            assert answer.startswith(b"HTTP/1.1 200 ")
            connection.close()
        assert (server.end(), server.process.returncode) == ("", 0)


def _health(connection: socket.socket) -> bytes:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return answer_of(connection)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "catdog run"),
        (("--host", "0.0.0.0"), "CATDOG_API_TOKEN"),  # noqa: S104
        (("--model", "nonsense"), "no trained 'nonsense'"),
        (("--max-photos", "0"), "max_photos"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    with serving(tmp_path, *flags) as server:
        assert server.end() == ""
    assert server.process.returncode
    assert words in server.said


def test_a_port_in_use_is_one_line(exported: Path, server: Server, tmp_path: Path) -> None:
    with serving(tmp_path, "--model", str(exported), port=server.port) as second:
        second.end()
    assert second.process.returncode == 1
    assert f"Port {server.port} of 127.0.0.1 cannot be used" in second.said
    assert "--port" in second.said


def test_an_answer_is_not_held_back_for_its_second_packet() -> None:
    from flows.server.private import listen

    with listen("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()):
            answering, _ = listening.accept()
        with answering:
            assert answering.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_its_process_holds_no_training_framework(exported: Path, tmp_path: Path) -> None:
    use = (
        "import sys, threading, os, signal\n"
        "from deployments.api import server\n"
        "kept = server.uvicorn.Server.run\n"
        "def run(self, **given):\n"
        "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    kept(self, **given)\n"
        "server.uvicorn.Server.run = run\n"
        "from flows.cli.app import main\n"
        "try:\n"
        f"    main(['api', '--port', '0', '--model', {str(exported)!r}])\n"
        "finally:\n"
        "    print(*sys.modules)\n"
    )
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", use],
        env=os.environ | {"CATDOG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert "deployments.api.application" in loaded, done.stderr
    assert not HEAVY & loaded
