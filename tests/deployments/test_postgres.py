"""The server on PostgreSQL with basic auth, as in production and in the containers."""

import json
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sites import TINY, Site, open_site

from flows.server.private import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ACCOUNT = "postgres"
"""Debian's; PostgreSQL refuses to run as root."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="needs PostgreSQL, such as Debian's postgresql-15"),
]


class Cluster:
    """A PostgreSQL server with one database, on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_urlsafe(24) + "/@:%"  # what a careless URL would stumble over

    def start(self) -> None:
        file = self.folder / "password"
        file.write_text(self.password, encoding="utf-8")
        if os.geteuid() == 0:
            for path in (self.folder, file):
                shutil.chown(path, ACCOUNT)
        self._call(
            *("initdb", "--pgdata", str(self.folder / "data"), "--username=prefect"),
            *("--auth=scram-sha-256", f"--pwfile={file}"),
        )
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._call(
            *("pg_ctl", "--pgdata", str(self.folder / "data"), "--wait"),
            *("--log", str(self.folder / "log"), "--options", options, "start"),
        )

    def stop(self) -> None:
        self._call("pg_ctl", "--pgdata", str(self.folder / "data"), "--mode=immediate", "stop")

    def ask(self, question: str) -> str:
        url = f"host=127.0.0.1 port={self.port} user=prefect dbname=postgres"
        return self._call("psql", "--no-psqlrc", "-At", "-c", question, url)

    def _call(self, program: str, *words: str) -> str:
        account = ["runuser", "-u", ACCOUNT, "--"] if os.geteuid() == 0 else []
        done = subprocess.run(  # noqa: S603  PostgreSQL's own programs
            [*account, str(PROGRAMS[-1] / program), *words],
            env=os.environ | {"PGPASSWORD": self.password},
            cwd=self.folder,
            stdout=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
            text=True,
            check=True,
        )
        return (done.stdout or "").strip()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="catdog-postgres-") as folder:
        made = Cluster(Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture(scope="module")
def auth() -> str:
    return f"operator:{secrets.token_urlsafe(24)}"


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, auth: str) -> Iterator[Site]:
    with open_site(
        PREFECT_SERVER_DATABASE_DRIVER="postgresql+asyncpg",
        PREFECT_SERVER_DATABASE_HOST="127.0.0.1",
        PREFECT_SERVER_DATABASE_PORT=str(cluster.port),
        PREFECT_SERVER_DATABASE_NAME="postgres",
        PREFECT_SERVER_DATABASE_USER="prefect",
        PREFECT_SERVER_DATABASE_PASSWORD=cluster.password,
        PREFECT_SERVER_API_AUTH_STRING=auth,
        PREFECT_API_AUTH_STRING=auth,
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def completed(guarded: Site, tiny_photos: Path) -> str:
    run = guarded.run(source=str(tiny_photos), **TINY)
    assert guarded.wait(run) == "Completed"
    return run


def test_a_run_completes_and_its_history_is_in_postgresql(cluster: Cluster, completed: str) -> None:
    question = f"select state_name from flow_run where id = '{completed}'"  # noqa: S608  our own id
    assert cluster.ask(question) == "Completed"


def test_nobody_comes_in_without_the_password(guarded: Site, completed: str) -> None:
    url = f"{guarded.api.base_url}flow_runs/{completed}"
    for wrong in (None, ("operator", "guessed")):
        answer = httpx.get(url, auth=wrong, timeout=60)
        assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert httpx.get(f"{guarded.api.base_url}health", timeout=60).status_code == httpx.codes.OK


def test_no_secret_is_in_a_log_or_a_record(
    guarded: Site, cluster: Cluster, auth: str, completed: str
) -> None:
    chosen = {"logs": {"flow_run_id": {"any_": [completed]}}, "limit": 200}
    found = json.dumps(guarded.ask("POST", "/logs/filter", chosen))
    files = [*guarded.folder.glob("*.log"), *guarded.home.rglob("*.json"), cluster.folder / "log"]
    texts = [found, *(path.read_text(encoding="utf-8") for path in files)]
    assert len(texts) > 5
    for secret in (cluster.password, auth.partition(":")[2]):
        assert not [text for text in texts if secret in text]
