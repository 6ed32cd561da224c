"""Each automation fires for its reason: an event, and a line in the server's log."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sites import PATIENCE, TINY, ZOMBIE_MINUTES, Site, wait_for

pytestmark = pytest.mark.slow

FIRED = "prefect.automation.action.executed"


@pytest.fixture
def told(site: Site) -> Callable[[str], None]:
    """Waits until an automation has fired, and the log has it, since the test began."""
    began = datetime.now(UTC)
    log = site.folder / "server.log"
    seen = log.stat().st_size

    def fired(name: str) -> bool:
        return any(
            event["resource"]["prefect.resource.name"] == name
            and datetime.fromisoformat(event["occurred"]) >= began
            for event in site.events(FIRED)
        )

    def wait(name: str) -> None:
        wait_for(lambda: fired(name), "the automation fires")
        wait_for(lambda: name.encode() in log.read_bytes()[seen:], "the log has it")

    return wait


def test_a_failed_run_is_told(site: Site, told: Callable[[str], None], tmp_path: Path) -> None:
    run = site.run(source=str(tmp_path / "nowhere"), **TINY)
    assert site.wait(run) == "Failed"
    told("catdog: a run failed")


def test_a_new_champion_is_told_with_the_decision(
    site: Site, told: Callable[[str], None], tiny_photos: Path
) -> None:
    run = site.run(source=str(tiny_photos), **TINY | {"seed": 9})
    assert site.wait(run) == "Completed"
    site.catdog("champion", "promote", "latest")
    told("catdog: champion changed")


def test_a_run_that_never_began_is_marked_as_crashed_and_told(
    site: Site, told: Callable[[str], None]
) -> None:
    """As a worker leaves it that is killed while it starts the run's process."""
    flow = site.ask("GET", "/flows/name/catdog")
    state = {"type": "PENDING", "name": "Submitting"}
    run = site.ask("POST", "/flow_runs/", {"flow_id": flow["id"], "state": state})["id"]
    assert site.wait(run, seconds=60 * ZOMBIE_MINUTES + PATIENCE) == "Crashed"
    told("catdog: a run failed")


def test_a_finished_run_stays_so_though_a_heartbeat_comes_late(site: Site) -> None:
    """As from a process that takes long to end: the automation fires, and must change nothing."""
    flow = site.ask("GET", "/flows/name/catdog")
    state = {"type": "RUNNING", "name": "Running"}
    run = site.ask("POST", "/flow_runs/", {"flow_id": flow["id"], "state": state})["id"]
    site.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}})
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    related = {
        "prefect.resource.id": f"prefect.flow.{flow['id']}",
        "prefect.resource.role": "flow",
        "prefect.resource.name": "catdog",
    }
    late = {
        "event": "prefect.flow-run.heartbeat",
        "resource": resource,
        "related": [related],
        "id": str(uuid4()),
    }
    site.ask("POST", "/events", [late | {"occurred": datetime.now(UTC).isoformat()}])

    def refused() -> bool:
        return any(run in str(event) for event in site.events("prefect.automation.action.failed"))

    wait_for(refused, "the automation is refused", 60 * ZOMBIE_MINUTES + PATIENCE)
    assert site.state(run) == "Completed"


def watch(site: Site, *options: str) -> None:
    site.catdog("automations", "--zombie-minutes", str(ZOMBIE_MINUTES), *options)


def test_silence_is_told(site: Site, told: Callable[[str], None]) -> None:
    seconds = 15
    days = seconds / (24 * 60 * 60)
    watch(site, "--silence-days", f"{days:.6f}")
    try:
        told("catdog: no successful run")
    finally:
        watch(site)


@pytest.mark.parametrize("block", ["slack-webhook/nobody", "slack-webhook"])
def test_a_block_that_is_not_there_is_named(site: Site, block: str) -> None:
    with pytest.raises(AssertionError, match=f"no notification block '{block}'"):
        site.catdog("automations", "--notify", block)
