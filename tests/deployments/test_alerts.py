"""Each automation fires for its reason: an event, and a line in the server's log."""

import sys
from pathlib import Path

import pytest
from sites import PATIENCE, TINY, ZOMBIE_MINUTES, Site, wait_for

pytestmark = pytest.mark.slow

FIRED = "prefect.automation.action.executed"


def fired(site: Site, name: str) -> bool:
    return any(event["resource"]["prefect.resource.name"] == name for event in site.events(FIRED))


def logged(site: Site, text: str) -> bool:
    return text in (site.folder / "server.log").read_text(encoding="utf-8")


def test_a_failed_run_is_told(site: Site, tmp_path: Path) -> None:
    run = site.run(source=str(tmp_path / "nowhere"), **TINY)
    assert site.wait(run) == "Failed"
    wait_for(lambda: fired(site, "catdog: a run failed"), "the automation fires")
    wait_for(lambda: logged(site, "catdog: a run failed"), "the log has it")


def test_a_new_champion_is_told_with_the_decision(site: Site, tiny_photos: Path) -> None:
    run = site.run(source=str(tiny_photos), **TINY | {"seed": 9})
    assert site.wait(run) == "Completed"
    site.catdog("champion", "promote", "latest")
    wait_for(lambda: fired(site, "catdog: champion changed"), "the automation fires")
    wait_for(lambda: logged(site, "catdog: champion changed"), "the log has it")


def test_a_run_that_never_began_is_marked_as_crashed(site: Site) -> None:
    """As a worker leaves it that is killed while it starts the run's process."""
    flow = site.ask("GET", "/flows/name/catdog")
    state = {"type": "PENDING", "name": "Submitting"}
    run = site.ask("POST", "/flow_runs/", {"flow_id": flow["id"], "state": state})["id"]
    assert site.wait(run, seconds=60 * ZOMBIE_MINUTES + PATIENCE) == "Crashed"


def test_silence_is_told(site: Site) -> None:
    seconds = 15
    days = seconds / (24 * 60 * 60)
    site.operate(
        *("-m", "deployments.automations", "--silence-days", f"{days:.6f}"),
        *("--zombie-minutes", str(ZOMBIE_MINUTES)),
        command=(sys.executable,),
    )
    wait_for(lambda: fired(site, "catdog: no successful run"), "the automation fires", PATIENCE)
    wait_for(lambda: logged(site, "catdog: no successful run"), "the log has it")
