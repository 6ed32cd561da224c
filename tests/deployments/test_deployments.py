"""Both ways to start, and what keeps watch: without a server where that is enough."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema
import pytest
from sites import ENVIRONMENT, alive, family, wait_for

from catdog.errors import SettingsError
from catdog.models import MODELS
from catdog.settings import SECTIONS, Settings
from catdog.store.store import Store
from deployments.automations import automations
from deployments.definitions import definitions, next_run, served_deployments
from deployments.operating import ZOMBIE_MINUTES
from deployments.serving import check_exposure, serve
from flows.catdog import catdog
from flows.server.login import login_file, saved_login
from flows.server.private import free_port, require_free

MINUTE = 60
SOON = 30
"""Seconds. It takes 5 on a free machine."""
DEFINITIONS = {definition["name"]: definition for definition in definitions()}


def test_there_are_two_deployments() -> None:
    assert list(DEFINITIONS) == ["full", "smoke"]


@pytest.mark.parametrize("definition", definitions(), ids=lambda d: d["name"])
def test_the_flow_takes_the_parameters_of_each(definition: dict[str, Any]) -> None:
    given = definition["parameters"]
    taken = catdog.validate_parameters(given)
    assert {name: taken[name] for name in given} == Settings.load(**given).model_dump(
        include=set(given)
    )
    module, name = definition["entrypoint"].split(":")
    assert getattr(import_module(module), name) is catdog


def test_the_run_form_has_text_choices_and_limits_for_each_parameter() -> None:
    form = catdog.parameters.properties
    texts = {name: Settings.model_fields[name].description for name in form}
    assert {name: parameter["description"] for name, parameter in form.items()} == texts
    ours, own = form["models"]["items"]["anyOf"]
    assert ours["enum"] == list(MODELS)
    assert re.search(own["pattern"], "package.module:net")
    told = {"model_paths", "dask_cluster"} & set(form)
    assert not told, "who asks for a run must not say whose code it may run"
    assert form["duplicates"]["enum"] == ["drop", "keep"]
    assert (form["epochs"]["minimum"], form["epochs"]["maximum"]) == (1, 10_000)


def test_a_parameter_that_the_flow_has_not_is_refused_by_the_server() -> None:
    """The schema says so; the server checks each new run against it."""
    for deployment in served_deployments():
        schema = deployment._parameter_openapi_schema.model_dump(exclude_unset=True)
        for foreign in ({"home": "/x"}, {"epoch": 3}):
            with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
                jsonschema.validate(foreign, schema)
        jsonschema.validate({"epochs": 3}, schema)


def test_the_run_form_keeps_together_what_belongs_together() -> None:
    form = sorted(catdog.parameters.properties.items(), key=lambda item: item[1]["position"])
    titles = [parameter["title"].split(": ") for _, parameter in form]
    assert [name for _, name in titles] == [name for name, _ in form]
    assert tuple(section for section, _ in groupby(section for section, _ in titles)) == SECTIONS


def test_full_is_the_notebooks_training_of_all_models() -> None:
    given = DEFINITIONS["full"]["parameters"]
    assert Settings.load(**given) == Settings.load(source="official", promotion="fresh")


def test_smoke_needs_no_network_and_promotes_nothing() -> None:
    given = DEFINITIONS["smoke"]["parameters"]
    assert (given["source"], given["weights"], given["promote"]) == ("sample", "embedded", False)
    assert "schedules" not in DEFINITIONS["smoke"]


def test_a_schedule_says_its_zone_and_keeps_its_name() -> None:
    (schedule,) = DEFINITIONS["full"]["schedules"]
    assert schedule.keys() == {"slug", "cron", "timezone", "active"}


@pytest.mark.parametrize("deployment", served_deployments(), ids=lambda d: str(d.name))
def test_what_is_served_is_what_the_file_says(deployment: Any) -> None:
    given = DEFINITIONS[deployment.name]
    assert deployment.parameters == given["parameters"]
    assert deployment.entrypoint == given["entrypoint"].replace(":", ".")
    assert deployment.concurrency_limit == 1
    assert deployment.concurrency_options.collision_strategy.value == "ENQUEUE"
    wanted = [(s["slug"], s["cron"], s["timezone"]) for s in given.get("schedules", [])]
    assert [(s.slug, s.schedule.cron, s.schedule.timezone) for s in deployment.schedules] == wanted


async def _next() -> Any:
    return await next_run()


def test_the_next_run_is_told_with_its_zone() -> None:
    import asyncio

    name, when = asyncio.run(_next())
    assert (name, when.strftime("%A %H:%M %Z")) == ("full", "Monday 03:00 UTC")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])  # noqa: S104
def test_beyond_loopback_it_needs_a_password_or_an_explicit_word(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_SERVER_API_AUTH_STRING", raising=False)
    with pytest.raises(SettingsError, match="PREFECT_SERVER_API_AUTH_STRING"):
        check_exposure(host, insecure=False)
    check_exposure(host, insecure=True)
    check_exposure("127.0.0.1", insecure=False)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "user:secret")
    check_exposure(host, insecure=False)


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"Port {port} .*--port"):
            require_free(port)


def test_the_automations_cover_failure_change_silence_and_zombies() -> None:
    silence, zombie_after = timedelta(days=8), timedelta(minutes=10)
    found = {a.name: a for a in automations(silence=silence, zombie=zombie_after, tell=[])}
    triggers: dict[str, Any] = {name: automation.trigger for name, automation in found.items()}
    assert triggers["catdog: a run failed"].expect == {
        "prefect.flow-run.Failed",
        "prefect.flow-run.Crashed",
    }
    assert triggers["catdog: champion changed"].expect == {
        "catdog.champion.promoted",
        "catdog.champion.rolled-back",
    }
    assert triggers["catdog: no successful run"].within.days == 8
    zombie = triggers["catdog: zombie run"]
    assert zombie.within.total_seconds() == 10 * MINUTE
    assert zombie.after == {"prefect.flow-run.Submitting", "prefect.flow-run.heartbeat"}
    ends = {"Completed", "Failed", "Cancelled", "Crashed"}
    assert zombie.expect == {f"prefect.flow-run.{event}" for event in ("heartbeat", *ends)}


def test_each_automation_but_that_of_zombies_tells_all_who_are_to_be_told() -> None:
    blocks = [uuid4(), uuid4()]
    made = automations(silence=timedelta(days=8), zombie=timedelta(minutes=10), tell=blocks)
    told: dict[str, list[Any]] = {a.name: a.actions for a in made}
    (crash,) = told.pop("catdog: zombie run")
    assert (crash.type, crash.state, crash.force) == ("change-flow-run-state", "CRASHED", False)
    assert [[action.block_document_id for action in each] for each in told.values()] == [blocks] * 3


@pytest.mark.parametrize("words", [["deploy", "--pool", "catdog-pool"], ["automations"]])
def test_what_needs_a_server_that_stands_says_what_to_start(
    words: list[str], tmp_path: Path
) -> None:
    done = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "flows.cli.app", *words],
        env=environment_of(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=MINUTE,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: No Prefect server is configured. Start one ('catdog serve')")


def test_a_run_that_lives_is_not_taken_for_a_zombie() -> None:
    from prefect.settings import get_current_settings

    frequency = get_current_settings().flows.heartbeat_frequency
    assert frequency is None or 3 * frequency <= ZOMBIE_MINUTES * MINUTE


@dataclass(frozen=True)
class Served:
    """`catdog serve` as `make serve` starts it, and its user's commands in the same folder."""

    folder: Path
    url: str
    process: subprocess.Popen[str]

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  our own and Prefect's commands
            words,
            env=environment_of(self.home),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=20 * MINUTE,
        )

    def prefect(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.call(str(Path(sys.executable).with_name("prefect")), "--no-prompt", *words)


def environment_of(home: Path) -> dict[str, str]:
    """What a user's shell has: nothing that leads to a server."""
    hidden = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")
    given = {name: value for name, value in ENVIRONMENT.items() if name not in hidden}
    return given | {"CATDOG_HOME": str(home), "NO_PROXY": "127.0.0.1"}


@contextmanager
def serving(folder: Path, *words: str, stderr: int | None = None) -> Iterator[Served]:
    port = free_port()
    process = subprocess.Popen(  # noqa: S603  our own command
        [
            *(sys.executable, "-m", "flows.cli.app", "serve", "--port", str(port)),
            *("--client-config", "prefect.toml", *words),
        ],
        env=environment_of(folder / "home"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )
    try:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("Next run"):
                break
        yield Served(folder, f"http://127.0.0.1:{port}/api", process)
    finally:
        process.terminate()
        process.wait(timeout=MINUTE)
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a login, whose deployments can be started."""
    with serving(tmp_path_factory.mktemp("clone"), "--auth") as served:
        user, password = str(saved_login(served.home)).split(":")
        smoke = f"{served.url}/deployments/name/catdog/smoke"

        def deployed() -> bool:
            return httpx.get(smoke, auth=(user, password), timeout=60).is_success

        wait_for(deployed, "the deployments are served")
        yield served


@pytest.mark.slow
def test_the_smoke_deployment_completes_on_a_real_server(served: Served) -> None:
    done = served.prefect(
        *("deployment", "run", "catdog/smoke", "--watch"),
        *("-p", "epochs=1", "-p", 'models=["baseline"]', "-p", "promote=true"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = served.call(sys.executable, "-m", "flows.cli.app", "champion", "show")
    assert "is the first champion" in shown.stdout
    log = served.home / "prefect" / "server.log"
    wait_for(lambda: "is the first champion" in log.read_text(), "the alert is in the log")


@pytest.mark.slow
def test_the_api_beside_it_waits_for_a_champion_and_ends_with_it(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}/ready"

    def status() -> int | None:
        try:
            return httpx.get(url, timeout=60).status_code
        except httpx.TransportError:
            return None

    with serving(tmp_path, "--api", "--api-port", str(port)):
        wait_for(lambda: status() == 503, "the API answers")
    wait_for(lambda: status() is None, "the API has ended")


@pytest.mark.slow
def test_a_wrong_parameter_is_refused_before_the_run_starts(served: Served) -> None:
    done = served.prefect("deployment", "run", "catdog/smoke", "-p", "epochs=0")
    assert done.returncode != 0
    assert "epochs" in done.stdout + done.stderr


@pytest.mark.slow
def test_who_has_not_the_login_is_kept_out(served: Served) -> None:
    for auth in (None, ("catdog", "guessed")):
        answer = httpx.get(f"{served.url}/version", auth=auth, timeout=60)
        assert answer.status_code == httpx.codes.UNAUTHORIZED
    for secret in (login_file(served.home), served.folder / "prefect.toml"):
        assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_a_home_logs_in_to_its_own_server_by_itself(served: Served) -> None:
    """Where only the address is known: `prefect.toml` is in another folder."""
    command = (sys.executable, "-m", "flows.cli.app", "run", "--source", "sample", "--epochs", "1")
    done = subprocess.run(  # noqa: S603  our own command
        [*command, "--models", "baseline", "--image-size", "64"],
        env=environment_of(served.home) | {"PREFECT_API_URL": served.url},
        cwd=served.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=20 * MINUTE,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_file_that_leads_to_a_server_goes_with_it(tmp_path: Path, how: signal.Signals) -> None:
    with serving(tmp_path) as served:
        assert served.url in served.prefect("config", "view").stdout
        served.process.send_signal(how)
        served.process.wait(timeout=MINUTE)
        assert not (tmp_path / "prefect.toml").exists()


@pytest.mark.slow
def test_it_ends_with_its_server_and_says_so_in_one_line(tmp_path: Path) -> None:
    with serving(tmp_path, stderr=subprocess.PIPE) as served:
        (server,) = (
            pid
            for pid in family(served.process.pid)
            if b"flows.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(server, signal.SIGKILL)
        assert served.process.wait(timeout=SOON) == 1
        assert served.process.stderr
        (line,) = served.process.stderr.read().splitlines()
        assert line.startswith("Error: The private Prefect server has ended. See ")
        assert not (tmp_path / "prefect.toml").exists()


@pytest.mark.slow
def test_a_run_is_marked_at_once_when_it_is_stopped(tmp_path: Path, tiny_photos: Path) -> None:
    with serving(tmp_path, stderr=subprocess.PIPE) as served:
        served.prefect(
            *("deployment", "run", "catdog/smoke", "-p", f"source={tiny_photos}"),
            *("-p", "epochs=5000", "-p", "image_size=64", "-p", 'models=["baseline"]'),
        )
        progress = served.home / "work" / "progress"
        wait_for(lambda: list(progress.glob("*/*.json")), "a model is trained")
        below = family(served.process.pid)
        served.process.terminate()
        assert served.process.wait(timeout=SOON) == 0
        wait_for(lambda: not alive(below), "every process ends", SOON)
        assert served.process.stderr
        assert served.process.stderr.read() == ""
    with sqlite3.connect(served.home / "prefect" / "prefect.db") as history:
        states = history.execute(
            "SELECT state_type FROM flow_run WHERE start_time IS NOT NULL"
        ).fetchall()
    assert states == [("CRASHED",)]


def test_a_file_of_the_users_own_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_HOME", "")
    mine = tmp_path / "prefect.toml"
    mine.write_text("[api]\n")
    with pytest.raises(SettingsError, match="was not written by 'catdog serve'"):
        serve(port=free_port(), client_config=mine, home=tmp_path / "home")


def test_a_second_serve_on_the_same_home_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path).lock("serve"), pytest.raises(SettingsError, match=r"runs on .* already"):
        serve(port=free_port(), home=tmp_path)
