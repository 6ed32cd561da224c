"""A server follows the champion."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from api_server import photo, require_problem, serving

from catdog.errors import StoreError
from catdog.export.flatbuffer import FILE
from catdog.promotion.registry import Registry
from catdog.promotion.rules import Candidate, Entrant
from catdog.promotion.tasks import promote
from catdog.store.artifacts import Flatbuffer, Manifest, Predictions, TrainedModel
from catdog.store.store import Recipe, Store
from deployments.api.served import Models


def entrant(trained: TrainedModel, predictions: Predictions, store: Store, *, key: str) -> Entrant:
    """The one model under another name, as another run would have made it."""
    import shutil

    def copy(artifact: Any) -> Callable[[Path], dict[str, Any]]:
        def make(folder: Path) -> dict[str, Any]:
            ignored = shutil.ignore_patterns("entry.json")
            shutil.copytree(artifact.path, folder, dirs_exist_ok=True, ignore=ignored)
            (folder / "note.txt").write_text(key)
            return artifact.model_dump(exclude={"key", "path", "content"})

        return make

    model = store.obtain(Recipe(TrainedModel, f"model-{key}", copy(trained)))
    manifest = store.obtain(
        Recipe(
            Manifest,
            "manifest",
            lambda _: {
                "classes": trained.classes,
                "counts": {},
                "rejected": 0,
                "duplicates": 0,
            },
        )
    )
    stored = store.obtain(Recipe(Predictions, f"predictions-{key}", copy(predictions)))
    candidate = Candidate(
        run=f"run-{key}",
        name=trained.name,
        seed=1,
        model=model.key,
        predictions=stored.key,
        manifest=manifest.key,
        origin="sample",
        classes=trained.classes,
        test_set="0",
        test_photos=12,
        test_accuracy=0.75,
    )
    return Entrant(candidate, model, stored, manifest)


def test_a_promotion_and_a_rollback_are_followed_without_a_failed_request(
    trained: TrainedModel, predictions: Predictions, flatbuffer: Flatbuffer, tmp_path: Path
) -> None:
    from catdog.export.flatbuffer import recipe

    store, registry = Store(tmp_path), Registry(tmp_path)
    entrants = [entrant(trained, predictions, store, key=key) for key in "ab"]
    for e in entrants:
        store.obtain(
            Recipe(Flatbuffer, recipe(e.model).key, lambda folder: _copy(flatbuffer, folder))
        )
    failed, stop = [], threading.Event()
    with serving(tmp_path, "--wait") as server:
        with server.client() as client:
            require_problem(client.get("/ready"), 503, "catdog run")
            require_problem(client.post("/predict", content=photo()), 503)
        registry.promote(entrants[0])
        server.wait_for("/ready", lambda answer: answer.status_code == 200)

        def ask() -> None:
            with server.client() as client:
                while not stop.is_set():
                    if (answer := client.post("/predict", content=photo())).status_code != 200:
                        failed.append(answer.text)

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        registry.promote(entrants[1])
        server.wait_for("/model", lambda answer: answer.json()["run"] == "run-b")
        registry.rollback()
        server.wait_for("/model", lambda answer: answer.json()["run"] == "run-a")
        (tmp_path / "champion" / "decisions" / "000099.json").write_text("{half")
        assert server.process.stderr is not None
        assert any("000099.json is not a whole" in line for line in server.process.stderr)
        with server.client() as client:
            assert client.get("/model").json()["run"] == "run-a"
        stop.set()
        for thread in asking:
            thread.join()
        assert not failed


def test_each_task_answers_with_its_own_champion(
    trained: TrainedModel, predictions: Predictions, flatbuffer: Flatbuffer, tmp_path: Path
) -> None:
    from catdog.export.flatbuffer import recipe

    store = Store(tmp_path)
    pets, birds, owls = (entrant(trained, predictions, store, key=key) for key in "abc")
    for e in (pets, birds, owls):
        store.obtain(
            Recipe(Flatbuffer, recipe(e.model).key, lambda folder: _copy(flatbuffer, folder))
        )
    promote(tmp_path, birds, "birds")
    with serving(tmp_path, "--wait") as server, server.client() as client:
        assert client.get("/ready").json()["version"] == birds.model.content
        only = "only of birds. Add ?task=NAME."
        require_problem(client.post("/predict", content=photo()), 404, "'default'", only)
        require_problem(client.get("/model", params={"task": "owls"}), 404, "'owls'", only)
        promote(tmp_path, pets, "default")
        server.wait_for("/model", lambda answer: answer.status_code == 200)
        versions = {
            task: client.post("/predict", params=asked, content=photo()).json()["version"]
            for task, asked in (("default", {}), ("birds", {"task": "birds"}))
        }
        assert versions == {"default": pets.model.content, "birds": birds.model.content}
        promote(tmp_path, owls, "birds")
        server.wait_for("/model?task=birds", lambda answer: answer.json()["run"] == "run-c")
        assert client.get("/model").json()["run"] == "run-a"
        (tmp_path / "champion" / "tasks" / "birds" / "000099.json").write_text("{half")
        Registry(tmp_path).promote(owls)
        server.wait_for("/model", lambda answer: answer.json()["run"] == "run-c")
        cards = client.get("/models").json()
        assert [(card["task"], card["run"]) for card in cards] == [
            ("default", "run-c"),
            ("birds", "run-c"),
        ]
        assert 'catdog_model{model="baseline",task="birds"' in client.get("/metrics").text
        client.post("/predict?task=birds", content=photo())
        (log,) = (tmp_path / "api").glob("predictions-*.jsonl")
        assert json.loads(log.read_text().splitlines()[-1])["task"] == "birds"
    models = Models(None, calibrated=False, threshold=None, home=tmp_path)
    models.take()
    champion = models.now().champion
    assert champion
    assert champion.run == "run-c"
    with pytest.raises(StoreError, match="task 'birds' cannot be used"):
        models.now("birds")


def test_a_champion_is_the_model_that_its_run_converted(
    trained: TrainedModel, predictions: Predictions, tmp_path: Path
) -> None:
    made = entrant(trained, predictions, Store(tmp_path), key="a")
    (made.model.path / "model-card.md").write_text("written after the training")
    registry = Registry(tmp_path)
    registry.promote(made)
    kept = registry.model_of(made.candidate)
    assert kept.flatbuffer_key == made.model.flatbuffer_key
    assert kept.file("model-card.md").read_text() == "written after the training"


def _copy(flatbuffer: Flatbuffer, folder: Path) -> dict[str, Any]:
    (folder / FILE).write_bytes(flatbuffer.file(FILE).read_bytes())
    return {"difference": 0.0}
