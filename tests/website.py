"""A web server within the test's own process, which can misbehave in all the ways that matter."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Server(ThreadingHTTPServer):
    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[Server]:
    """A server whose requests are answered so, in silence; it may be closed before the end."""
    quiet = type("Quiet", (handler,), {"log_message": lambda *_: None})
    server = Server(("127.0.0.1", 0), quiet)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()


@dataclass
class Site:
    """What the server serves under every path, how it misbehaves, and what it was asked."""

    body: bytes = b""
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    heeds_versions: bool = True
    """Whether it sends the rest of a file only to who has the first part of the same version."""
    knows_head: bool = True
    sends_size: bool = True
    pause: float = 0.0
    cuts: list[int] = field(default_factory=list)
    """For each of the next GETs, after how many bytes the line breaks."""
    failures: list[int] = field(default_factory=list)
    """The status of each of the next answers."""
    retry_after: str | None = None
    moved_to: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Method and Range of each request."""
    paths: list[str] = field(default_factory=list)
    """With the query of each request."""
    agents: set[str] = field(default_factory=set)
    url: str = ""
    server: Server | None = None

    def close(self) -> None:
        assert self.server
        self.server.close()

    @property
    def gets(self) -> list[str | None]:
        return [span for method, span in self.asked if method == "GET"]


@contextmanager
def running(site: Site, path: str) -> Iterator[Site]:
    """The site while it runs; `path` is that of its `url`."""
    with serving(type("SiteHandler", (_Handler,), {"site": site})) as server:
        site.server, site.url = server, server.url + path
        yield site


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        site = self.site
        site.asked.append((self.command, self.headers["Range"]))
        site.paths.append(self.path)
        site.agents.add(self.headers["User-Agent"])
        if site.failures:
            self.reply(site.failures.pop(0), **{"Retry-After": site.retry_after})
        elif self.command == "HEAD" and not site.knows_head:
            self.reply(405)
        elif site.moved_to and self.path != site.moved_to:
            self.reply(302, Location=site.moved_to)
        else:
            self.serve()

    def reply(self, status: int, **headers: str | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def serve(self) -> None:
        site, start = self.site, 0
        span = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        same = self.headers["If-Range"] in (site.etag, site.modified)
        if span and site.ranges and (same or not site.heeds_versions):
            start = int(span[1])
        end = len(site.body)
        if start >= end:
            self.reply(416, **{"Content-Range": f"bytes */{end}"})
            return
        headers = {"ETag": site.etag, "Last-Modified": site.modified}
        if site.sends_size:
            headers["Content-Length"] = str(end - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        self.reply(206 if start else 200, **headers)
        if self.command == "GET":
            self.send_body(site.body[start:])

    def send_body(self, body: bytes) -> None:
        if self.site.cuts:
            body = body[: self.site.cuts.pop(0)]
        step = max(1, len(body) // 4)
        for place in range(0, len(body), step):
            time.sleep(self.site.pause)
            self.wfile.write(body[place : place + step])
