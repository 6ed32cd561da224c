"""Both images, built with buildah, and what compose.yaml and a Kubernetes job start in them.

Where no registry is in reach the base is made by debootstrap; else name one in BASE_IMAGE.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration
from sites import PATIENCE, ROOT, end, wait_for

from flows.server.private import free_port

BASE = os.environ.get("BASE_IMAGE")
NEEDED = ["buildah"] if BASE else ["buildah", "debootstrap"]
MISSING = [tool for tool in NEEDED if not shutil.which(tool)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah's isolation by chroot needs root"),
]
COMPOSE = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text(encoding="utf-8"))
USER = 10001
"""Of the images."""
TOKEN = "a-token"  # noqa: S105
TINY = {"models": ["baseline"], "epochs": 1, "image_size": 64, "promote": True}
PACKAGES = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"


class Engine:
    """Buildah with a storage of its own, without a daemon or namespaces."""

    def __init__(self, folder: Path) -> None:
        storage = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))
        self._command = ("buildah", "--storage-driver", "vfs", *storage)

    def __call__(self, *words: str | Path) -> str:
        done = subprocess.run(  # noqa: S603  a tool of the tests
            [*self._command, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout.strip()

    def build(self, name: str, base: str, *words: str) -> str:
        """Build an image of the Dockerfile; its packages come from where this machine has them."""
        given = [f"BASE={base}", *(f"{n}={os.environ[n]}" for n in _PIP if n in os.environ)]
        trusted = os.environ.get("SSL_CERT_FILE")
        volume = f"{trusted}:/etc/ssl/certs/ca-certificates.crt:ro"
        self(
            *("build", "--isolation", "chroot", "--network", "host", "--tag", name, *words),
            *("--file", ROOT / "deployments" / "Dockerfile"),
            *("--ignorefile", ROOT / "deployments" / "Dockerfile.dockerignore"),
            *(word for each in given for word in ("--build-arg", each)),
            *(("--volume", volume) if trusted else ()),
            ROOT,
        )
        return name

    def command(
        self, image: str, home: Path, words: Sequence[str], environment: Mapping[str, str]
    ) -> list[str]:
        """What starts a new container on a home, which is no /data: there buildah has its own."""
        given = {"CATDOG_HOME": "/mnt"} | dict(environment)
        variables = [f"--env={name}={value}" for name, value in given.items()]
        place = ("--isolation", "chroot", "--network", "host", f"--volume={home}:/mnt")
        return [*self._command, "run", *place, *variables, self("from", image), "--", *words]

    def run(self, *container: Any) -> str:
        """Wait for a container that must succeed."""
        done = subprocess.run(  # noqa: S603
            self.command(*container), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    @contextmanager
    def running(self, *container: Any) -> Iterator[None]:
        process = subprocess.Popen(self.command(*container))  # noqa: S603
        try:
            yield
        finally:
            end(process)


_PIP = ("PIP_INDEX_URL",)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("images")
    yield Engine(folder)
    shutil.rmtree(folder)  # 10 GB


@pytest.fixture(scope="module")
def base(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with Python and nothing else: Debian's smallest, of Debian's own packages."""
    if BASE:
        return BASE
    folder = tmp_path_factory.mktemp("base")
    packages = ("--variant=minbase", "--include=python3,python3-venv")
    subprocess.run(  # noqa: S603
        ["debootstrap", *packages, "bookworm", folder],  # noqa: S607
        check=True,
        stdout=subprocess.DEVNULL,
    )
    container = engine("from", "scratch")
    engine("add", container, folder, "/")
    engine("commit", "--rm", container, "localhost/base")
    shutil.rmtree(folder)
    return "localhost/base"


@pytest.fixture(scope="module")
def image(engine: Engine, base: str) -> str:
    return engine.build("localhost/catdog", base)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The volume of the services."""
    folder = tmp_path_factory.mktemp("data")
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture(scope="module")
def client(engine: Engine, image: str, home: Path) -> Iterator[dict[str, str]]:
    """The server of compose.yaml, on SQLite; what its clients find in their environment."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}/api"
    service = COMPOSE["services"]["server"]
    own = {"PREFECT_SERVER_API_PORT": port}
    with engine.running(image, home, service["command"], own):
        wait_for(lambda: _answers(f"{url}/health"), "the server is ready", 2 * PATIENCE)
        yield {"PREFECT_API_URL": url}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.HTTPError:
        return False


def smoke(client: Mapping[str, str]) -> str:
    """Start the deployment and give the id of the run."""
    with httpx.Client(base_url=client["PREFECT_API_URL"], timeout=60) as api:
        found = api.get("/deployments/name/catdog/smoke").raise_for_status().json()
        wanted = {"state": {"type": "SCHEDULED"}, "parameters": TINY}
        run = api.post(f"/deployments/{found['id']}/create_flow_run", json=wanted)
        return str(run.raise_for_status().json()["id"])


def state(client: Mapping[str, str], run: str) -> str:
    url = f"{client['PREFECT_API_URL']}/flow_runs/{run}"
    return str(httpx.get(url, timeout=60).raise_for_status().json()["state_name"])


@pytest.fixture(scope="module")
def completed(engine: Engine, image: str, home: Path, client: dict[str, str]) -> str:
    """A run of catdog/smoke by the services of compose.yaml."""
    engine.run(image, home, COMPOSE["services"]["deploy"]["command"], client)
    run = smoke(client)
    with engine.running(image, home, COMPOSE["services"]["worker"]["command"], client):
        ended = {"Completed", "Failed", "Crashed"}
        wait_for(lambda: state(client, run) in ended, "the run ends", 5 * PATIENCE)
    return run


def test_the_services_of_compose_complete_a_run(
    client: dict[str, str], completed: str, home: Path
) -> None:
    assert state(client, completed) == "Completed"
    assert list(home.glob("runs/*/run.json"))
    assert {path.stat().st_uid for path in home.rglob("*")} == {USER}


def test_a_job_of_kubernetes_completes_a_run(
    engine: Engine, image: str, home: Path, client: dict[str, str], completed: str
) -> None:
    """What the manifests' job `deploy` makes, and what Prefect's worker makes of a run of it."""
    manifests = (ROOT / "deployments" / "kubernetes" / "server.yaml").read_text(encoding="utf-8")
    (job,) = [each for each in yaml.safe_load_all(manifests) if each["kind"] == "Job"]
    (deploy,) = job["spec"]["template"]["spec"]["containers"]
    words = [*deploy["command"], *deploy["args"]]
    engine.run(image, home, words, client | {"RUN_IMAGE": image})
    run = smoke(client)
    (container,) = asyncio.run(_pod(client, run))["containers"]
    assert container["image"] == image
    given = {each["name"]: each["value"] for each in container["env"]}
    engine.run(image, home, container["args"], given)
    assert state(client, run) == "Completed"


async def _pod(client: Mapping[str, str], run: str) -> dict[str, Any]:
    """The pod that Prefect's worker asks the cluster for."""
    with temporary_settings({PREFECT_API_URL: client["PREFECT_API_URL"]}):
        async with get_client() as prefect:
            made = await KubernetesWorkerJobConfiguration.resolve_for_flow_run(
                await prefect.read_flow_run(run),  # type: ignore[arg-type]
                client=prefect,
                work_pool=await prefect.read_work_pool("catdog"),
                worker_name="a worker",
            )
    return dict(made.job_manifest["spec"]["template"]["spec"])


def test_the_api_answers_from_the_small_image(
    engine: Engine, base: str, home: Path, completed: str, tiny_photos: Path
) -> None:
    small = engine.build("localhost/catdog-api", base, "--target", "api")
    heavy = PACKAGES.format(["tensorflow", "prefect", "pandas", "ai_edge_litert"])
    assert engine.run(small, home, ["python", "-c", heavy], {}).strip() == "['ai_edge_litert']"
    told = json.loads(engine("inspect", "--type", "image", small))["OCIv1"]["config"]
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    words = [*told["Cmd"], "--port", port]
    with engine.running(small, home, words, {"CATDOG_API_TOKEN": TOKEN}):
        wait_for(lambda: _answers(f"{url}/ready"), "the API is ready")
        photo = next(tiny_photos.rglob("*.jpg"))
        assert httpx.post(f"{url}/predict", content=photo.read_bytes()).status_code == 401
        done = subprocess.run(  # noqa: S603
            [
                *("curl", "--silent", "--fail", "--data-binary", f"@{photo}"),
                *("--header", f"Authorization: Bearer {TOKEN}", f"{url}/predict"),
            ],
            check=True,
            capture_output=True,
        )
    (answer,) = json.loads(done.stdout)["predictions"]
    assert answer["class"] in ("cats", "dogs")
