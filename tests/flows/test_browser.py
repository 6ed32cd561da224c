"""What a real browser lets pages do to a server of ours: its own, and those of other sites."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from test_server_security import own
from website import serving

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 180
PAGE = """<!DOCTYPE html><title>evil</title><pre id="found"></pre><script>
const json = {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"};
const blind = {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"},
               body: '{"name": "by-a-browser"}'};
const socket = url => new Promise((done, failed) => {
  const opened = new WebSocket(url);
  opened.onopen = () => done("opened");
  opened.onerror = () => failed("closed");
});
const attempts = {
  control: () => fetch("/control").then(answer => answer.text()),
  read: () => fetch("API/deployments/filter", json).then(answer => answer.text()),
  token: () => fetch("API/csrf-token?client=me").then(answer => answer.text()),
  blind: () => fetch("API/flows/", blind).then(answer => answer.type),
  socket: () => socket("WS/events/in"),
};
const one = ([name, attempt]) => attempt().then(
  answer => [name, answer], () => [name, "failed"]);
Promise.all(Object.entries(attempts).map(one)).then(all => {
  found.textContent = JSON.stringify(Object.fromEntries(all));
});
</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture
def foreign(server: str) -> Iterator[str]:
    """A site on another port, whose page tries all that it can."""
    page = PAGE.replace("API", server).replace("WS", server.replace("http", "ws"))

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"answered" if self.path == "/control" else page.encode())

    with serving(Site) as site:
        yield f"{site.url}/"


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """Opens a page in a browser of its own, and gives what it has become."""

    def dom(url: str, *words: str) -> str:
        done = subprocess.run(  # noqa: S603  the browser that was looked for
            [
                *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", f"--user-data-dir={tmp_path / 'browser'}"),
                *("--virtual-time-budget=20000", "--dump-dom", *words, url),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        return done.stdout

    return dom


def test_a_page_of_another_site_neither_reads_nor_writes(
    server: str, foreign: str, browse: Callable[..., str]
) -> None:
    from prefect.client.orchestration import get_client

    found = re.search(r'<pre id="found">(.+)</pre>', browse(foreign))
    assert found
    assert json.loads(found[1]) == {
        "control": "answered",
        "read": "failed",
        "token": "failed",
        "blind": "opaque",  # sent, and refused: see below
        "socket": "failed",
    }
    with get_client(sync_client=True) as client:
        assert "by-a-browser" not in {flow.name for flow in client.read_flows()}


def test_a_name_that_was_moved_to_this_machine_shows_nothing(
    server: str, browse: Callable[..., str]
) -> None:
    moved = "--host-resolver-rules=MAP evil.test 127.0.0.1"
    address = own(server).replace("127.0.0.1", "evil.test")
    for path in ("/", "/api/version", "/api/csrf-token?client=me"):
        assert "Refused: this server has no such name." in browse(address + path, moved)


def test_the_ui_works(server: str, browse: Callable[..., str]) -> None:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        client.create_flow_from_name("seen-in-a-browser")
    assert "seen-in-a-browser" in browse(f"{own(server)}/flows")
