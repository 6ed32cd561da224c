"""The API over a real socket: what it answers, and what it notes."""

import asyncio
import hashlib
import json
from pathlib import Path

import httpx
import pytest
from api_server import (
    LIMITS,
    Server,
    form,
    photo,
    require_problem,
)

from catdog.inference.classifier import Prediction
from catdog.store.artifacts import TrainedModel


def test_one_photo_as_body_and_many_in_a_form_get_the_same_answers(
    client: httpx.Client, trained: TrainedModel
) -> None:
    photos = [photo(seed) for seed in range(3)]
    alone = [client.post("/predict", content=p).raise_for_status().json() for p in photos]
    together = client.post("/predict", files=form(*photos)).raise_for_status().json()
    assert together["model"] == trained.name
    assert together["version"] == trained.content
    assert [p["name"] for p in together["predictions"]] == ["0.png", "1.png", "2.png"]
    assert [p | {"name": None} for p in together["predictions"]] == [
        p for answer in alone for p in answer["predictions"]
    ]
    for p in together["predictions"]:
        assert p["confidence"] == max(p["probabilities"].values()) == p["probabilities"][p["class"]]


def test_the_likeliest_classes_alone_are_given_where_that_is_asked_for(
    client: httpx.Client,
) -> None:
    whole, found = (
        client.post(f"/predict{query}", content=photo()).raise_for_status().json()["predictions"][0]
        for query in ("", "?top=1")
    )
    assert found["probabilities"] == {whole["class"]: whole["confidence"]}
    require_problem(client.post("/predict?top=0", content=photo()), 422, "top: ")


def test_an_unreadable_photo_costs_only_itself(client: httpx.Client) -> None:
    answer = client.post("/predict", files=form(photo(), b"not a photo", photo()[:50]))
    first, second, third = answer.raise_for_status().json()["predictions"]
    assert first["class"]
    assert second == {
        "name": "1.png",
        "class": None,
        "confidence": None,
        "probabilities": {},
        "uncertain": False,
        "unanswered": None,
        "error": "not an image (text?)",
    }
    assert third["error"]


def test_when_no_photo_can_be_read_each_reason_is_said(client: httpx.Client) -> None:
    huge = b"RIFF&\0\0\0WEBPVP8L\x1a\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(21)
    problem = require_problem(client.post("/predict", files=form(b"text", huge)), 422, "No photo")
    text, pixels = (p["error"] for p in problem["predictions"])
    assert "not an image" in text
    assert "pixels" in pixels


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\x00b\x1b[2J.jpg", "<script>.jpg", "猫.jpg"]
)
def test_a_name_is_given_back_and_never_used(
    client: httpx.Client, server: Server, name: str
) -> None:
    boundary = b"----b"
    body = (
        b'--%s\r\nContent-Disposition: form-data; name=p; filename="%s"\r\n\r\n%s\r\n--%s--\r\n'
        % (boundary, name.encode(), photo(7), boundary)
    )
    kind = {"content-type": f"multipart/form-data; boundary={boundary.decode()}"}
    before = set(server.home.rglob("*"))
    answer = client.post("/predict", content=body, headers=kind)
    assert answer.json()["predictions"][0]["name"] == name
    assert set(server.home.rglob("*")) == before


def test_paths_and_methods_that_there_are_not_are_problems(client: httpx.Client) -> None:
    require_problem(client.get("/nothing"), 404)
    require_problem(client.get("/predict"), 405)


def test_an_error_of_ours_is_a_problem_too(tmp_path: Path) -> None:
    from deployments.api.application import Api
    from deployments.api.journal import Journal

    class Broken:
        def now(self, task: str | None) -> None:
            raise ZeroDivisionError

    journal = Journal(tmp_path / "log", most_bytes=1_000, photos=None)
    app = Api(Broken(), LIMITS, token=None, journal=journal).application("127.0.0.1")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/predict", content=photo())

    require_problem(asyncio.run(ask()), 500, "log")


def test_the_log_of_predictions_rotates(tmp_path: Path) -> None:
    from deployments.api.journal import KEPT_FILES, Journal

    class Model:
        name, version = "tiny", "1"

    journal = Journal(tmp_path / "log", most_bytes=1_000, photos=None)
    for number in range(100):
        journal.add(b"", str(number), Prediction(label="cats", probability=0.9), Model(), "default")
    journal.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + KEPT_FILES
    assert all(file.stat().st_size <= 1_000 for file in files)
    kept = [json.loads(line)["sha256"] for file in files for line in file.read_text().splitlines()]
    assert "99" in kept
    assert "0" not in kept


def test_the_description_for_programs_is_whole(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/predict", "/model", "/models", "/health", "/ready", "/metrics"} == set(
        described["paths"]
    )
    predict = described["paths"]["/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"200", "400", "401", "404", "408", "413", "422", "429", "503"} <= set(
        predict["responses"]
    )
    for name in ("Answer", "ProblemBody"):
        assert name in described["components"]["schemas"]


def test_the_model_is_described(client: httpx.Client, trained: TrainedModel) -> None:
    card = client.get("/model").json()
    assert (card["model"], card["classes"]) == (trained.name, list(trained.classes))
    assert not card["champion"]


def test_metrics_count_photos_and_requests(client: httpx.Client, trained: TrainedModel) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def photos() -> float:
        text = client.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "catdog_photos_total" and sample.labels["model"] == trained.name
        )

    before = photos()
    client.post("/predict", files=form(photo(), photo(), b"x"))
    assert photos() == before + 3


def test_each_prediction_is_a_line_of_the_log(client: httpx.Client, server: Server) -> None:
    content = photo(99)
    answer = client.post("/predict", content=content).json()
    (log,) = (server.home / "api").glob("predictions-*.jsonl")
    line = json.loads(log.read_text().splitlines()[-1])
    assert line.pop("at")
    (found,) = answer["predictions"]
    assert line == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "class": found["class"],
        "confidence": found["confidence"],
        "unanswered": None,
        "error": None,
        "task": "default",
        "model": answer["model"],
        "version": answer["version"],
    }
    assert not (server.home / "api" / "photos").exists()
