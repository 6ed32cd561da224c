"""`catdog api` in a process of its own, and what the tests ask of it."""

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from catdog.settings import Limits

TOKEN = "a-token-of-the-tests"  # noqa: S105
LIMITS = Limits.load(max_mebibytes=1, max_photos=8, max_waiting=4, body_seconds=1)


def photo(seed: int = 0, side: int = 40) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Server:
    """`catdog api` in a process of its own."""

    def __init__(self, home: Path, *flags: str, token: str | None = None, port: int = 0) -> None:
        environment = os.environ | {"CATDOG_HOME": str(home)}
        if token:
            environment["CATDOG_API_TOKEN"] = token
        self.home = home
        self.access = home / "access.log"  # a pipe that nobody reads would fill
        with self.access.open("w") as access:
            self.process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", "catdog", "api", "--port", str(port), *flags],
                env=environment,
                stdout=access,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        self.url = self.said.split()[0]
        self.port = int(self.url.rsplit(":", 1)[1]) if self.url.startswith("http") else 0

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def end(self) -> str:
        """What it still wrote to standard error until it ended."""
        try:
            return self.process.communicate(timeout=30)[1]
        finally:
            self.process.kill()

    def wait_for(self, path: str, holds: Callable[[httpx.Response], bool]) -> None:
        with self.client() as client:
            end = time.monotonic() + 30
            while not holds(client.get(path)):
                assert time.monotonic() < end, client.get(path).text
                time.sleep(0.02)


@contextmanager
def serving(home: Path, *flags: str, **more: Any) -> Iterator[Server]:
    server = Server(home, *flags, **more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.end()


def require_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"]
    return problem


def raw(server: Server, *parts: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    for part in parts:
        connection.sendall(part)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """All of it, as soon as it is there: the connection may stay open."""
    answer = b""
    while not answer.endswith(b"}"):
        piece = connection.recv(65_536)
        assert piece, answer
        answer += piece
    return answer


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


def form(*photos: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("photos", (f"{i}.png", content)) for i, content in enumerate(photos)]
