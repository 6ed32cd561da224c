"""The schedule fires by itself, at the hour of its own time zone."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from sites import ROOT, TINY, Site, wait_for

pytestmark = pytest.mark.slow

ZONE = "Asia/Kathmandu"
"""Five hours and 45 minutes from UTC: a zone that is ignored is noticed."""
AHEAD = timedelta(seconds=75)
"""A minute can be named only when it has not begun."""

EARLY = timedelta(seconds=0.5)
"""Prefect rounds the wait for the hour to whole seconds (WaitForScheduledTime)."""


@pytest.fixture
def edited(tiny_photos: Path, tmp_path: Path) -> Path:
    """`prefect.yaml` as an operator edits it: own photos, another hour."""
    definition = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text(encoding="utf-8"))
    (full,) = [d for d in definition["deployments"] if d["name"] == "full"]
    full["parameters"] = TINY | {"source": str(tiny_photos)}
    when = datetime.now(ZoneInfo(ZONE)) + AHEAD
    full["schedules"][0] |= {"cron": f"{when.minute} {when.hour} * * *", "timezone": ZONE}
    path = tmp_path / "prefect.yaml"
    path.write_text(yaml.safe_dump(definition), encoding="utf-8")
    return path


def test_a_run_starts_and_ends_by_the_schedule_alone(site: Site, edited: Path) -> None:
    began = datetime.now(ZoneInfo("UTC"))
    site.operate("deploy", "--prefect-file", str(edited), "--name", "full")
    try:
        run = wait_for(lambda: _scheduled(site, began), "the scheduler plans the run")
        assert site.wait(run, "Completed", "Failed", "Crashed") == "Completed"
        started = datetime.fromisoformat(site.flow_run(run)["start_time"])
        planned = datetime.fromisoformat(site.flow_run(run)["expected_start_time"])
        assert planned - started <= EARLY
        assert site.flow_run(run)["auto_scheduled"]
    finally:
        site.operate("deploy", "--name", "full")


def _scheduled(site: Site, began: datetime) -> str | None:
    """The run that the near hour brings: the first of those planned from now on."""
    soon = {"after_": began.isoformat(), "before_": (began + 2 * AHEAD).isoformat()}
    planned = [r["id"] for r in site.runs(expected_start_time=soon) if r["auto_scheduled"]]
    return planned[0] if planned else None
