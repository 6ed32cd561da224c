"""One server of an exported model for all tests of the API."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_server import LIMITS, Server, serving

from catdog.export.exported import DESCRIPTION, Description
from catdog.export.flatbuffer import FILE
from catdog.store.artifacts import Flatbuffer, TrainedModel
from catdog.store.digest import file_digest
from catdog.store.files import write_json


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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
