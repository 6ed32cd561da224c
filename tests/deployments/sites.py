"""Sites as docs/production.md describes them: a server, a work pool, a worker, and an operator."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from flows.server.private import free_port

ROOT = Path(__file__).parents[2]
ENVIRONMENT = dict(os.environ)
"""As it is before the first test: a command that a test runs in this process leaves traces."""
PREFECT = str(Path(sys.executable).with_name("prefect"))
PATIENCE = 240
"""Seconds to wait for what takes a few on a free machine."""
POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 30
"""As often as Prefect lets a run show that it is alive."""
ZOMBIE_MINUTES = 1.25
TINY = {"models": ["baseline"], "epochs": 1, "image_size": 64, "weights": "embedded"}
ENDED = {"Completed", "Failed", "Crashed", "Cancelled"}

T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true value that `look` gives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(POLL_SECONDS)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def family(pid: int) -> set[int]:
    """The living processes below a process, whatever their group."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(stat.parent.name)] = int(parent)
    found, below = set[int](), {pid}
    while below:
        below = {child for child, parent in parents.items() if parent in below} - found
        found |= below
    return found


def alive(pids: set[int]) -> set[int]:
    """Those of some processes that still run."""
    return {pid for pid in pids if _runs(pid)}


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return not stat.rsplit(")", 1)[1].lstrip().startswith("Z")


class Site:
    """One server with its deployments, and at most one worker."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.port = free_port()
        self.environment = ENVIRONMENT | {
            "CATDOG_HOME": str(self.home),
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self.port}/api",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "PREFECT_SERVER_API_PORT": str(self.port),
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{self.port}",
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
            **settings,
        }
        auth = settings.get("PREFECT_API_AUTH_STRING")
        self.api = httpx.Client(
            base_url=self.environment["PREFECT_API_URL"],
            auth=tuple(auth.split(":", 1)) if auth else None,  # type: ignore[arg-type]
            timeout=60,
        )
        self.worker: subprocess.Popen[bytes] | None = None
        self.workers = 0

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API; again, as Prefect's own client does, while its database is busy."""

        def answered() -> httpx.Response | None:
            answer = self.api.request(method, path, json=body)
            if answer.status_code == httpx.codes.FORBIDDEN:
                self._fetch_token()
                return None
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        answer = wait_for(answered, f"{path} answers")
        assert answer
        return answer.raise_for_status().json() if answer.content else None

    def _fetch_token(self) -> None:
        """What Prefect wants to see before it writes; it lasts for an hour."""
        client = str(uuid4())
        given = self.api.get("/csrf-token", params={"client": client})
        if given.is_success:  # else the server is busy
            token = given.json()["token"]
            self.api.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client})

    def start(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        """Start a command of Prefect's in an empty folder: what it needs is installed."""
        place = self.folder / "elsewhere"
        place.mkdir(exist_ok=True)
        with (self.folder / f"{log}.log").open("ab") as file:
            return subprocess.Popen(  # noqa: S603  Prefect's own command
                [PREFECT, *words], env=self.environment, cwd=place, stdout=file, stderr=file
            )

    def operate(self, *words: str, command: Sequence[str] = (PREFECT, "--no-prompt")) -> str:
        """Run a command from the repository, as its pages say, and give what it prints."""
        done = subprocess.run(  # noqa: S603  our own commands
            [*command, *words],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def catdog(self, *words: str) -> str:
        return self.operate(*words, command=(sys.executable, "-m", "flows.cli.app"))

    def start_worker(self) -> subprocess.Popen[bytes]:
        self.workers += 1
        name = f"worker-{self.workers}"
        self.worker = self.start(
            "worker", "start", "--pool", "catdog-pool", "--name", name, log="worker"
        )
        wait_for(lambda: self._online(name), f"{name} comes online")
        return self.worker

    def _online(self, name: str) -> bool:
        found = self.ask("POST", "/work_pools/catdog-pool/workers/filter", {})
        return any(w["name"] == name and w["status"] == "ONLINE" for w in found)

    def run(self, deployment: str = "full", **parameters: Any) -> str:
        """Start a run and give its id."""
        found = self.ask("GET", f"/deployments/name/catdog/{deployment}")
        wanted = {"state": {"type": "SCHEDULED"}, "parameters": parameters}
        return str(self.ask("POST", f"/deployments/{found['id']}/create_flow_run", wanted)["id"])

    def runs(self, **chosen: Any) -> list[Any]:
        """The flow runs that a filter of Prefect's chooses."""
        return list(self.ask("POST", "/flow_runs/filter", {"flow_runs": chosen}))

    def flow_run(self, run: str) -> Any:
        return self.ask("GET", f"/flow_runs/{run}")

    def state(self, run: str) -> str:
        return str(self.flow_run(run)["state_name"])

    def wait(self, run: str, *states: str, seconds: float = PATIENCE) -> str:
        """Wait until a run is in one of these states (any that ends it), and give that."""
        wanted = set(states) or ENDED
        wait_for(lambda: self.state(run) in wanted, f"{run} is {wanted}", seconds)
        return self.state(run)

    def tasks(self, run: str) -> dict[str, str]:
        """The last state of each task run of a run, by its name."""
        chosen = {"flow_runs": {"id": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_ASC"}
        found = self.ask("POST", "/task_runs/filter", chosen)
        return {task["name"]: task["state_name"] for task in found}

    def artifacts(self, run: str) -> dict[str, Any]:
        found = self.ask("POST", "/artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return {artifact["key"]: artifact for artifact in found}

    def events(self, name: str) -> list[Any]:
        """The events of this name, the newest first."""
        found = self.ask("POST", "/events/filter", {"filter": {"event": {"name": [name]}}})
        return list(found["events"])

    def records(self) -> list[Any]:
        """The records of the runs in `CATDOG_HOME`, the newest last."""
        found = sorted((self.home / "runs").glob("[!.]*/run.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]

    def decisions(self) -> list[Any]:
        """The decisions about the champion, the newest last."""
        found = sorted((self.home / "champion" / "decisions").glob("[!.]*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in found]

    def training(self, worker: subprocess.Popen[bytes]) -> set[int]:
        """Wait until a model is past its first epoch, and give all processes below the worker."""
        progress = self.home / "work" / "progress"

        def begun() -> bool:
            own = [progress / f"{socket.gethostname()}-{pid}" for pid in family(worker.pid)]
            states = (json.loads(p.read_text()) for folder in own for p in folder.glob("*.json"))
            return any(1 <= state["finished_epochs"] < state["epochs"] for state in states)

        wait_for(begun, "an epoch ends")
        return family(worker.pid)


@contextmanager
def open_site(**settings: str) -> Iterator[Site]:
    """A site with deployments, automations and a worker; all of it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="catdog-site-") as folder:
        site = Site(Path(folder), settings)
        server = site.start("server", "start", "--port", str(site.port), log="server")
        try:
            wait_for(lambda: _healthy(site), "the server is ready")
            site.operate("work-pool", "create", "catdog-pool", "--type", "process")
            site.operate("deploy", "--all")
            site.catdog("automations", "--zombie-minutes", str(ZOMBIE_MINUTES))
            site.start_worker()
            yield site
        finally:
            for process in (site.worker, server):
                if process:
                    end(process)
            site.api.close()


def _healthy(site: Site) -> bool:
    try:
        return site.api.get("/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; those below it are killed when it has."""
    below = family(process.pid)
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in alive(below):
        os.kill(pid, signal.SIGKILL)
