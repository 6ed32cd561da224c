"""Object stores on this machine, each a real server, and a line to one that can misbehave."""

import http.client
import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from website import Server, serving

START_SECONDS = 60


@dataclass
class Bucket:
    """A bucket of its own for each test, behind a line that the test can spoil."""

    url: str
    environment: dict[str, str]
    """What lets a process in."""
    line: "Line | None" = None

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process find the bucket."""
        for name, value in (self.environment | {"CATDOG_REMOTE": self.url}).items():
            monkeypatch.setenv(name, value)


@dataclass
class Line:
    """What happens to requests on their way."""

    failures: list[int] = field(default_factory=list)
    """The status of each of the next answers."""
    cuts: list[int] = field(default_factory=list)
    """For each of the next answers that have a body: after how many bytes the line breaks."""
    cuts_up: list[int] = field(default_factory=list)
    """For each of the next requests that have a body."""
    forbidden: tuple[str, ...] = ()
    """Methods that are refused for good."""
    cuts_answers: int = 0
    """Of so many next requests, the server does what it is asked, and its answer is lost."""
    pause: float = 0
    """Seconds before each answer."""
    down: bool = False
    before: Callable[[str, str], None] = lambda method, path: None
    """Called with each request before it goes on."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    line: Line
    port: int
    """Of the server."""

    def _pass(self) -> None:
        if self.line.down:
            self._hang_up()
            return
        body = self._body()
        if body is None:
            self._hang_up()
            return
        self.line.asked.append((self.command, self.path))
        self.line.before(self.command, self.path)
        time.sleep(self.line.pause)
        if self.line.failures:
            self._answer(self.line.failures.pop(0), {}, b"")
        elif self.command in self.line.forbidden:
            self._answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
        else:
            answer = self._ask(body)
            if self.line.cuts_answers:
                self.line.cuts_answers -= 1
                self._hang_up()
            else:
                self._answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

    def _body(self) -> bytes | None:
        size = int(self.headers.get("Content-Length") or 0)
        if size and self.line.cuts_up:
            self.rfile.read(min(self.line.cuts_up.pop(0), size))
            return None
        return self.rfile.read(size)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        there = http.client.HTTPConnection("127.0.0.1", self.port)
        there.request(self.command, self.path, body, dict(self.headers))
        answer = there.getresponse()
        read = answer.read()
        there.close()
        return answer.status, dict(answer.getheaders()), read

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        size = headers.get("Content-Length", str(len(body)))
        dropped = ("content-length", "transfer-encoding", "connection", "server", "date")
        for name, value in headers.items():
            if name.lower() not in dropped:
                self.send_header(name, value)
        self.send_header("Content-Length", size if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if body and self.line.cuts and status < 300:
            self.wfile.write(body[: self.line.cuts.pop(0)])
            self._hang_up()
            return
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def _running(words: list[str], port: int) -> Iterator[int]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: S603
        try:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    yield port
                    return
                time.sleep(0.05)
            log.seek(0)
            pytest.fail(f"{words} did not start: {log.read().decode()[-2000:]}")
        finally:
            process.kill()
            process.wait()


@contextmanager
def s3_server() -> Iterator[int]:
    """moto as a server; its port. The test is skipped where it is not installed."""
    if not importlib.util.find_spec("moto"):
        pytest.skip("moto is not installed: pip install 'moto[s3]' flask flask-cors")
    port = _free_port()
    with _running([sys.executable, "-m", "moto.server", "-p", str(port)], port) as started:
        yield started


@contextmanager
def s3_bucket(port: int, name: str) -> Iterator[Bucket]:
    """An empty bucket of this S3 server, with a line that can be spoiled."""
    httpx.put(f"http://127.0.0.1:{port}/{name}", timeout=START_SECONDS).raise_for_status()
    line = Line()
    with serving(type("Handler", (_Handler,), {"line": line, "port": port})) as server:
        yield Bucket(f"s3://{name}/catdog", _s3_login(server), line)


def _s3_login(server: Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret-of-somebody",
        "AWS_REGION": "us-east-1",
    }
