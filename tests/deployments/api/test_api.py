"""The API over a real socket: answers, limits, and a server that outlives every bad request."""

import asyncio
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from catdog.export.exported import DESCRIPTION, Description
from catdog.export.flatbuffer import FILE
from catdog.inference.classifier import Prediction
from catdog.promotion.registry import Registry
from catdog.promotion.rules import Candidate, Entrant
from catdog.settings import Limits
from catdog.store.artifacts import Flatbuffer, Manifest, Predictions, TrainedModel
from catdog.store.digest import file_digest
from catdog.store.files import write_json
from catdog.store.store import Recipe, Store

TOKEN = "a-token-of-the-tests"  # noqa: S105
LIMITS = Limits.load(max_mebibytes=1, max_photos=8, max_waiting=4, body_seconds=1)
HEAVY = {"tensorflow", "keras", "prefect", "pandas", "matplotlib", "scipy", "sklearn"}


def photo(seed: int = 0, side: int = 40) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class Server:
    """`catdog api` in a process of its own."""

    def __init__(self, home: Path, *flags: str, token: str | None = None, port: int = 0) -> None:
        environment = os.environ | {"CATDOG_HOME": str(home)}
        if token:
            environment["CATDOG_API_TOKEN"] = token
        self.home = home
        self.access = home / "access.log"  # a pipe that nobody reads would fill
        with self.access.open("w") as access:
            self.process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", "catdog", "api", "--port", str(port), *flags],
                env=environment,
                stdout=access,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()
        self.url = self.said.split()[0]
        self.port = int(self.url.rsplit(":", 1)[1]) if self.url.startswith("http") else 0

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def end(self) -> str:
        """What it still wrote to standard error until it ended."""
        try:
            return self.process.communicate(timeout=30)[1]
        finally:
            self.process.kill()

    def wait_for(self, path: str, holds: Callable[[httpx.Response], bool]) -> None:
        with self.client() as client:
            end = time.monotonic() + 30
            while not holds(client.get(path)):
                assert time.monotonic() < end, client.get(path).text
                time.sleep(0.02)


@contextmanager
def serving(home: Path, *flags: str, **more: Any) -> Iterator[Server]:
    server = Server(home, *flags, **more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.end()


@pytest.fixture(scope="module")
def exported(
    trained: TrainedModel, flatbuffer: Flatbuffer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """`trained` in a folder that a server can be given."""
    folder = tmp_path_factory.mktemp("export")
    file = folder / "model.tflite"
    file.write_bytes(flatbuffer.file(FILE).read_bytes())
    description = Description(
        format="litert",
        model=file.name,
        sha256=file_digest(file),
        name=trained.name,
        version=trained.content,
        classes=trained.classes,
        image_size=trained.image_size,
        temperature=2.0,
    )
    write_json(folder / DESCRIPTION, description.model_dump(mode="json"))
    return folder


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = [
        text
        for name, value in LIMITS.model_dump(exclude_defaults=True).items()
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    with serving(tmp_path_factory.mktemp("api"), "--model", str(exported), *flags) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client
        assert client.get("/health").json()["status"] == "ok", "it has not survived"


def require_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    for word in words:
        assert word in problem["detail"]
    return problem


def raw(server: Server, *parts: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    for part in parts:
        connection.sendall(part)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """All of it, as soon as it is there: the connection may stay open."""
    answer = b""
    while not answer.endswith(b"}"):
        piece = connection.recv(65_536)
        assert piece, answer
        answer += piece
    return answer


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


def form(*photos: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("photos", (f"{i}.png", content)) for i, content in enumerate(photos)]


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
        "error": "not an image (text?)",
    }
    assert third["error"]


def test_when_no_photo_can_be_read_each_reason_is_said(client: httpx.Client) -> None:
    huge = b"RIFF&\0\0\0WEBPVP8L\x1a\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(21)
    problem = require_problem(client.post("/predict", files=form(b"text", huge)), 422, "No photo")
    text, pixels = (p["error"] for p in problem["predictions"])
    assert "not an image" in text
    assert "pixels" in pixels


def test_a_photo_of_too_many_pixels_for_this_server_is_refused(client: httpx.Client) -> None:
    file = io.BytesIO()
    Image.new("1", (8_001, 8_000)).save(file, "PNG")
    problem = require_problem(client.post("/predict", content=file.getvalue()), 422, "No photo")
    assert problem["predictions"][0]["error"] == "more than 64,000,000 pixels"


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


@pytest.mark.parametrize(
    ("head", "begun"),
    [
        (b"Content-Length: 2000000000", bytes(10)),
        (b"Transfer-Encoding: chunked", b"200000\r\n" + bytes(2**21)),
    ],
)
def test_a_body_of_2_gb_is_refused_before_it_is_there(
    client: httpx.Client, server: Server, head: bytes, begun: bytes
) -> None:
    start = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n"
    with raw(server, start, begun) as connection:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"1 MiB" in answer


def test_who_reads_only_after_sending_all_learns_why_it_is_refused(client: httpx.Client) -> None:
    answer = client.post("/predict", content=(bytes(10**6) for _ in range(100)))
    require_problem(answer, 413, "1 MiB")


@pytest.mark.parametrize(("part", "most"), [('name="p"; filename="x"', "8"), ('name="p"', "100")])
def test_a_form_of_10_000_parts_is_refused(client: httpx.Client, part: str, most: str) -> None:
    parts = f"--b\r\nContent-Disposition: form-data; {part}\r\n\r\nx\r\n" * 10_000
    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = client.post("/predict", content=f"{parts}--b--\r\n", headers=kind)
    require_problem(answer, 413, "Too many", most)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "image/jpeg"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (b"no form", "multipart/form-data; boundary=b"),
        (b"no form", "multipart/form-data"),
    ],
)
def test_a_request_without_photos_is_told_so(client: httpx.Client, body: bytes, kind: str) -> None:
    require_problem(client.post("/predict", content=body, headers={"content-type": kind}), 400)


def test_a_body_that_does_not_arrive_in_time_is_given_up(
    client: httpx.Client, server: Server
) -> None:
    with raw(server, HEAD, b"half") as connection:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"1 second" in answer


def test_a_request_that_stops_half_way_takes_no_place(client: httpx.Client, server: Server) -> None:
    for _ in range(3 * LIMITS.max_waiting):
        raw(server, HEAD, b"half").close()
    server.wait_for("/metrics", lambda answer: "catdog_waiting 0.0" in answer.text)
    assert client.post("/predict", content=photo()).status_code == 200


def test_more_requests_than_may_wait_are_told_to_come_again(
    client: httpx.Client, server: Server
) -> None:
    waiting = [raw(server, HEAD, b"half") for _ in range(LIMITS.max_waiting)]
    server.wait_for("/metrics", lambda a: f"catdog_waiting {LIMITS.max_waiting}.0" in a.text)
    answer = client.post("/predict", content=photo())
    require_problem(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1
    require_problem(client.get("/ready"), 429)
    for connection in waiting:
        connection.close()
    server.wait_for("/ready", lambda answer: answer.status_code == 200)


def test_many_tiny_requests_are_all_answered(server: Server) -> None:
    async def ask() -> set[int]:
        limits = httpx.Limits(max_connections=LIMITS.max_waiting)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=60) as client:
            answers = await asyncio.gather(
                *(client.post("/predict", content=b"x") for _ in range(200))
            )
        return {answer.status_code for answer in answers}

    assert asyncio.run(ask()) == {422}


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.test"}, {"origin": "null"}, {"host": "evil.test"}],
)
def test_a_page_of_another_site_gets_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/model"), ("POST", "/predict"), ("OPTIONS", "/predict")):
        answer = client.request(method, path, headers=headers)
        require_problem(answer, 403)
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_page_may_ask_and_may_load_nothing_from_elsewhere(
    client: httpx.Client, server: Server
) -> None:
    answer = client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http:" not in answer.text
    assert "https:" not in answer.text
    own = {"origin": server.url}
    assert client.post("/predict", content=photo(), headers=own).status_code == 200


def test_paths_and_methods_that_there_are_not_are_problems(client: httpx.Client) -> None:
    require_problem(client.get("/nothing"), 404)
    require_problem(client.get("/predict"), 405)


def test_an_error_of_ours_is_a_problem_too(tmp_path: Path) -> None:
    from deployments.api.application import Api
    from deployments.api.journal import Journal

    class Broken:
        def now(self) -> None:
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
        journal.add(b"", str(number), Prediction(label="cats", probability=0.9), Model())
    journal.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 1 + KEPT_FILES
    assert all(file.stat().st_size <= 1_000 for file in files)
    kept = [json.loads(line)["sha256"] for file in files for line in file.read_text().splitlines()]
    assert "99" in kept
    assert "0" not in kept


def test_the_description_for_programs_is_whole(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/predict", "/model", "/health", "/ready", "/metrics"} == set(described["paths"])
    predict = described["paths"]["/predict"]["post"]
    assert set(predict["requestBody"]["content"]) == {"multipart/form-data", "image/*"}
    assert {"200", "400", "401", "408", "413", "422", "429", "503"} <= set(predict["responses"])
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
        "error": None,
        "model": answer["model"],
        "version": answer["version"],
    }
    assert not (server.home / "api" / "photos").exists()


def test_with_a_token_only_who_knows_it_gets_answers(exported: Path, tmp_path: Path) -> None:
    flags = ("--model", str(exported), "--host", "0.0.0.0", "--keep-photos", "--calibrated")  # noqa: S104
    with serving(tmp_path, *flags, token=TOKEN) as server:
        url = f"http://127.0.0.1:{server.port}"
        for headers in ({}, {"authorization": f"Bearer {TOKEN}x"}, {"authorization": "Bearer é"}):
            given = {name: text.encode() for name, text in headers.items()}
            for method, path in (("POST", "/predict"), ("GET", "/model"), ("GET", "/metrics")):
                require_problem(httpx.request(method, url + path, headers=given), 401, "Bearer")
        known = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.post(f"{url}/predict", content=photo(5), headers=known)
        assert answer.json()["calibrated"]
        for path in ("/", "/health", "/ready"):
            assert httpx.get(url + path).status_code == 200
        (kept,) = (tmp_path / "api" / "photos").iterdir()
        assert kept.read_bytes() == photo(5)


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


def _listens(server: Server) -> bool:
    try:
        raw(server).close()
    except OSError:
        return False
    return True


def test_told_to_stop_it_answers_what_it_has_begun(exported: Path, tmp_path: Path) -> None:
    content = photo()
    with serving(tmp_path, "--model", str(exported)) as server:
        head = (
            f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        with raw(server, head.encode(), content[:20]) as connection:
            server.wait_for("/metrics", lambda answer: "catdog_waiting 1.0" in answer.text)
            server.process.send_signal(signal.SIGTERM)
            while _listens(server):
                pass
            connection.sendall(content[20:])
            assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
        assert (server.end(), server.process.returncode) == ("", 0)
        last = json.loads(server.access.read_text().splitlines()[-1])
        assert (last["path"], last["status"], last["photos"]) == ("/predict", 200, 1)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ((), "catdog run"),
        (("--host", "0.0.0.0"), "CATDOG_API_TOKEN"),  # noqa: S104
        (("--model", "nonsense"), "no trained 'nonsense'"),
        (("--max-photos", "0"), "max_photos"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    tmp_path: Path, flags: tuple[str, ...], words: str
) -> None:
    with serving(tmp_path, *flags) as server:
        assert server.end() == ""
    assert server.process.returncode
    assert words in server.said


def test_a_port_in_use_is_one_line(exported: Path, server: Server, tmp_path: Path) -> None:
    with serving(tmp_path, "--model", str(exported), port=server.port) as second:
        second.end()
    assert second.process.returncode == 1
    assert f"Port {server.port} of 127.0.0.1 cannot be used" in second.said
    assert "--port" in second.said


def test_an_answer_is_not_held_back_for_its_second_packet() -> None:
    from deployments.api.server import listen

    with listen("127.0.0.1", 0) as listening:
        with socket.create_connection(listening.getsockname()):
            answering, _ = listening.accept()
        with answering:
            assert answering.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_its_process_holds_no_training_framework(exported: Path, tmp_path: Path) -> None:
    use = (
        "import sys, threading, os, signal\n"
        "from deployments.api import server\n"
        "kept = server.uvicorn.Server.run\n"
        "def run(self, **given):\n"
        "    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    kept(self, **given)\n"
        "server.uvicorn.Server.run = run\n"
        "from flows.cli.app import main\n"
        "try:\n"
        f"    main(['api', '--port', '0', '--model', {str(exported)!r}])\n"
        "finally:\n"
        "    print(*sys.modules)\n"
    )
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", use],
        env=os.environ | {"CATDOG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    loaded = set(done.stdout.split())
    assert "deployments.api.application" in loaded, done.stderr
    assert not HEAVY & loaded
