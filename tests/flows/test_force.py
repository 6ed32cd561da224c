"""Which models `force` trains again."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from catdog.settings import Training
from flows.retraining import forget_models
from flows.workers.team import Job

DUE = datetime(2026, 11, 23, 3, tzinfo=UTC)
PLANNED = DUE - timedelta(weeks=3)
"""Prefect's scheduler creates runs so long ahead."""


def test_a_scheduled_run_forgets_what_was_trained_after_it_was_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = FlowRun(flow_id=uuid4(), created=PLANNED, expected_start_time=DUE)
    context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr("prefect.runtime.flow_run.FlowRunContext", context)
    forgotten = []
    store: Any = SimpleNamespace(forget=lambda recipe, before: forgotten.append(before))
    arrays: Any = SimpleNamespace(content="photos")
    forget_models([Job("baseline", arrays, Training(), None)], store)
    assert forgotten == [DUE]
