"""Which models `force` trains again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from catdog.settings import Training
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store
from flows.retraining import forget_models
from flows.workers.team import Job


def test_each_run_trains_once_more_and_what_its_first_try_trained_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: TrainedModel
) -> None:
    store = Store(tmp_path)
    arrays: Any = SimpleNamespace(
        content="photos", digest="photos", held_out=None, classes=("cats", "dogs")
    )
    job = Job("baseline", arrays, Training(), None)

    def train() -> None:
        recipe = job.recipe(store)
        facts = trained.model_dump(exclude={"key", "path", "content"})
        store.obtain(type(recipe)(TrainedModel, recipe.key, lambda folder: facts))

    def forgotten(run: FlowRun) -> bool:
        context = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
        monkeypatch.setattr("prefect.runtime.flow_run.FlowRunContext", context)
        forget_models([job], store)
        return store.find(TrainedModel, job.recipe(store).key) is None

    train()
    first, second = (FlowRun(flow_id=uuid4()) for _ in range(2))
    assert forgotten(first)
    train()
    assert not forgotten(first)
    assert forgotten(second)
