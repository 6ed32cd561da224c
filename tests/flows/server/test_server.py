"""The private Prefect server of a run."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import prefect
import pytest
from prefect.events import emit_event
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings
from website import serving

from flows.server import private, watch
from flows.server.choose import prefect_server
from flows.server.client import ServerError, deliver, healthy, reach_directly
from flows.server.configured import standing_server, understood

LONG = 5
"""Seconds, far more than the watch takes to notice."""
START = """
import sys
from pathlib import Path
from flows.server.private import free_port, running_server
with running_server(Path(sys.argv[1]), free_port()) as url:
    print(url)
"""


@pytest.mark.slow
def test_two_runs_that_start_at_once_on_a_new_home_both_get_a_server(tmp_path: Path) -> None:
    starting = [
        subprocess.Popen(  # noqa: S603  our own script
            [sys.executable, "-c", START, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in starting:
        printed, problem = process.communicate(timeout=600)
        assert process.returncode == 0, problem
        assert printed.startswith("http://127.0.0.1:")


def test_a_server_that_dies_while_it_is_told_the_rest_ends_the_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = [sys.executable, "-c", "import time; time.sleep(600)"]
    started: list[subprocess.Popen[bytes]] = []

    def start(*_: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(waiting))  # noqa: S603  our own words
        return started[0]

    def deliver() -> None:
        started[0].kill()
        assert not threading.Event().wait(LONG), "nobody has interrupted it"

    for name, stand_in in {"start_server": start, "deliver": deliver}.items():
        monkeypatch.setattr(private, name, stand_in)
    for name in ("wait_until_ready", "report_to", "require_login", "reach_directly"):
        monkeypatch.setattr(private, name, lambda *_: None)
    monkeypatch.setattr(watch, "end_in", lambda _: None)
    monkeypatch.setattr("logging.raiseExceptions", True)  # which it changes
    with pytest.raises(ServerError, match="has ended"), private.running_server(tmp_path, 0):
        pass


def test_the_last_events_are_delivered_by_what_this_prefect_has() -> None:
    """`drain_all` is no public part of Prefect: a new version may do without it."""
    EventsWorker.set_client_override(AssertingEventsClient)
    try:
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
            emit_event("catdog.test", resource={"prefect.resource.id": "catdog.test"})
        deliver()
        sent = [event.event for client in AssertingEventsClient.all for event in client.events]
        assert "catdog.test" in sent
    finally:
        EventsWorker.set_client_override(None)
        AssertingEventsClient.reset()


class Healthy(BaseHTTPRequestHandler):
    def refuses(self) -> bool:
        return False

    def do_GET(self) -> None:
        self.send_response(401 if self.refuses() else 200)
        self.end_headers()


@pytest.fixture
def healthy_url() -> Iterator[str]:
    with serving(Healthy) as server:
        yield server.url


def test_a_proxy_does_not_stand_before_the_private_server(
    healthy_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    assert not healthy(healthy_url)
    reach_directly("127.0.0.1")
    assert healthy(healthy_url)
    assert os.environ["NO_PROXY"].startswith("example.org,")


def test_a_server_that_refuses_this_user_is_one_clear_error(
    healthy_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Healthy, "refuses", lambda self: self.path.endswith("/version"))
    with (
        temporary_settings({PREFECT_API_URL: f"{healthy_url}/api"}),
        pytest.raises(ServerError, match=r"refuses this user\. Set PREFECT_API_AUTH_STRING"),
        prefect_server(tmp_path),
    ):
        deliver()


def test_who_may_log_in_to_the_private_server_is_its_own_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "cat:dog")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "of:another")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    reach_directly("127.0.0.1")
    assert os.environ["PREFECT_API_AUTH_STRING"] == "cat:dog"


def test_a_server_whose_parent_is_gone_before_it_is_up_ends() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "flows.server", str(gone.pid), "127.0.0.1", "0"]
    ended = subprocess.run(command, check=False, timeout=120)  # noqa: S603  our own module
    assert ended.returncode == 1


class _Anything(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")


def test_a_server_that_is_not_prefects_is_named(tmp_path: Path) -> None:
    with (
        serving(_Anything) as other,
        temporary_settings({PREFECT_API_URL: f"{other.url}/api"}),
        pytest.raises(ServerError, match="is no Prefect server"),
        prefect_server(tmp_path),
    ):
        pass


VERSIONS = {
    "an older major version": ('"2.20.3"', r"is of version 2\.20\.3"),
    "a newer major version": ('"4.0.0rc1"', "is of version 4"),
    "a version in words": ('"new"', "is no Prefect server"),
    "a number": ("3", "is no Prefect server"),
    "a list": ("[]", "is no Prefect server"),
    "null": ("null", "is no Prefect server"),
    "nested": ("[" * 100_000, "is no Prefect server"),
    "no JSON": ("<html>", "is no Prefect server"),
    "no text": ("\xff", "is no Prefect server"),
    "a version without an end": (f'"4.0{"0" * 50_000}"', "is of version 4"),
}


@pytest.mark.parametrize(("answer", "words"), VERSIONS.values(), ids=VERSIONS.keys())
def test_a_server_of_another_kind_is_one_line_to_all_that_ask_it(
    answer: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(_Anything):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer.encode("latin-1"))

    with serving(Odd) as server, temporary_settings({PREFECT_API_URL: f"{server.url}/api"}):
        with pytest.raises(ServerError, match=words) as raised:
            standing_server(tmp_path)
        assert len(str(raised.value)) < 500


@pytest.mark.parametrize("answer", [b"[]", b"{}", b"5", b"<html>", b"[" * 100_000])
def test_an_answer_that_is_not_prefects_is_one_line(answer: bytes, tmp_path: Path) -> None:
    from deployments.automations import create_automations
    from deployments.definitions import register
    from deployments.pools import Wanted

    class Odd(_Anything):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                f'"{prefect.__version__}"'.encode() if "version" in self.path else answer
            )

        def do_POST(self) -> None:
            self.do_GET()

    with serving(Odd) as server, temporary_settings({PREFECT_API_URL: f"{server.url}/api"}):
        url = standing_server(tmp_path)
        for ask in (
            lambda: register("pool", Wanted()),
            lambda: create_automations(silence_days=8, zombie_minutes=10, replace=True),
        ):
            with (
                pytest.raises(ServerError, match="has not done what it was asked"),
                understood(url),
            ):
                ask()
