"""`catdog deploy` for each type of work pool: what Prefect's own workers make of it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.types import HostConfig
from manifests import assert_restricted, assert_valid
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.context import refresh_global_settings_context
from prefect.workers.base import BaseWorker
from prefect.workers.process import ProcessWorker
from prefect_docker.worker import DockerWorker
from prefect_kubernetes.worker import KubernetesWorker

from catdog.errors import CatdogError, SettingsError
from deployments import operating
from deployments.pools import JOB_TEMPLATE
from flows.server import private
from flows.server.choose import prefect_server
from flows.server.client import ServerError

IMAGE = "registry.example/catdog:0.1.0"
TEMPLATES: dict[str, tuple[type[BaseWorker[Any, Any, Any]] | None, dict[str, Any]]] = {
    "process": (ProcessWorker, ProcessWorker.get_default_base_job_template()),
    "docker": (DockerWorker, DockerWorker.get_default_base_job_template()),
    "kubernetes": (KubernetesWorker, json.loads(JOB_TEMPLATE.read_text(encoding="utf-8"))),
    "ecs": (None, {}),
}
"""By the name of a pool, which is its type: its worker and its job template."""
PREFECTS_OWN = ("parallelism", "completions")
"""Prefect's worker wants them in a pod, where Kubernetes has no such fields."""


@pytest.fixture(scope="module", autouse=True)
def pools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server with a pool of each type, and one of Kubernetes as Prefect makes it by itself."""
    home = tmp_path_factory.mktemp("home")
    private.START_SECONDS = 600  # a busy machine is no failed test
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATDOG_HOME", str(home))
        # Other tests of this process have a server, or will: neither is to use the other.
        patch.setenv("PREFECT_API_URL", "")
        refresh_global_settings_context()
        with prefect_server(home):
            with get_client(sync_client=True) as client:
                for name, (_, template) in TEMPLATES.items():
                    pool = WorkPoolCreate(name=name, type=name, base_job_template=template)
                    client.create_work_pool(pool)
                plain = KubernetesWorker.get_default_base_job_template()
                client.create_work_pool(
                    WorkPoolCreate(name="plain", type="kubernetes", base_job_template=plain)
                )
            Secret(value="hidden").save("mlflow-login")  # type: ignore[unused-coroutine]
            yield
    refresh_global_settings_context()


def deployed(pool: str, **wanted: Any) -> tuple[Any, dict[str, Any]]:
    """What the pool's worker makes of a run of 'smoke', and the job variables that are stored."""
    operating.deploy(pool=pool, **wanted)
    return asyncio.run(_as_the_worker_has_it(pool))


async def _as_the_worker_has_it(pool: str) -> tuple[Any, dict[str, Any]]:
    worker = TEMPLATES[pool][0]
    assert worker
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("catdog/smoke")
        assert deployment.work_pool_name == pool
        configuration = await worker.job_configuration.resolve_for_flow_run(
            await client.create_flow_run_from_deployment(deployment.id),
            client=client,
            work_pool=await client.read_work_pool(pool),
            worker_name="a worker",
        )
    return configuration, dict(deployment.job_variables)


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def test_a_process_pool_gets_the_environment() -> None:
    made, kept = deployed("process", env=("CATDOG_SEED=3",), secret=("LOGIN=mlflow-login",))
    assert (made.env["CATDOG_SEED"], made.env["LOGIN"]) == ("3", "hidden")
    assert made.env["PYTHONSAFEPATH"] == "1", "what the file of deployments says stays"
    assert "hidden" not in json.dumps(kept)


def test_a_container_of_docker_gets_all_that_was_asked_for_and_no_volume() -> None:
    made, kept = deployed(
        "docker",
        image=IMAGE,
        memory=1.5,
        gpus=2,
        env=("CATDOG_SEED=3",),
        secret=("LOGIN=mlflow-login",),
    )
    assert (made.image, made.volumes, made.auto_remove) == (IMAGE, [], True)
    assert (made.env["CATDOG_SEED"], made.env["LOGIN"]) == ("3", "hidden")
    assert "hidden" not in json.dumps(kept)
    asked = HostConfig("1.43", mem_limit=made.mem_limit, **made.container_create_kwargs)
    assert asked["Memory"] == 3 * 2**29
    (gpus,) = asked["DeviceRequests"]
    assert (gpus["Count"], gpus["Capabilities"]) == (2, [["gpu"]])


def test_a_job_of_kubernetes_gets_all_that_was_asked_for_and_no_volume() -> None:
    made, _ = deployed(
        "kubernetes",
        image=IMAGE,
        memory=12,
        gpus=1,
        env=("CATDOG_SEED=3",),
        secret=("CATDOG_MLFLOW=mlflow",),
    )
    pod = made.job_manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "12288Mi", "ephemeral-storage": "20Gi"},
        "limits": {"memory": "12288Mi", "ephemeral-storage": "20Gi", "nvidia.com/gpu": 1},
    }
    given = environment(container)
    assert given["CATDOG_SEED"] == "3"
    assert given["PYTHONSAFEPATH"] == "1"
    assert given["CATDOG_MLFLOW"] == {"secretKeyRef": {"name": "mlflow", "key": "CATDOG_MLFLOW"}}
    assert given["PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"] == "reschedule"
    assert [list(volume) for volume in pod["volumes"]] == [["name", "emptyDir"]]
    assert " ".join(container["args"]).endswith("prefect flow-run execute")


def test_a_job_without_wishes_is_one_that_kubernetes_takes() -> None:
    made, _ = deployed("kubernetes", image=IMAGE)
    job = made.job_manifest
    pod = job["spec"]["template"]["spec"]
    for field in PREFECTS_OWN:
        del pod[field]
    job["metadata"]["name"] = job["metadata"].pop("generateName") + "x1y2z"
    assert_valid(job)
    assert_restricted(pod)
    assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]


BAD = [
    ({"pool": "nowhere"}, ServerError, "no work pool 'nowhere'"),
    ({"pool": "ecs", "image": IMAGE}, SettingsError, "of type ecs.*process, docker, kubernetes"),
    ({"pool": "docker"}, SettingsError, "'docker' are containers.*--image"),
    ({"pool": "kubernetes", "memory": 8}, SettingsError, "'kubernetes' are containers.*--image"),
    ({"pool": "process", "gpus": 1, "image": IMAGE}, SettingsError, "no --image and --gpus"),
    ({"pool": "process", "env": ("CATDOG_SEED",)}, SettingsError, "'CATDOG_SEED' is no NAME=VALUE"),
    ({"pool": "process", "secret": ("A=",)}, SettingsError, "'A=' is no NAME=VALUE.*--secret"),
    ({"pool": "process", "secret": ("A=none",)}, ServerError, "no block 'none' of type Secret"),
    ({"pool": "plain", "image": IMAGE, "gpus": 1}, SettingsError, "'plain' has no gpus.*update"),
]


@pytest.mark.parametrize(("asked", "error", "told"), BAD, ids=lambda each: str(each)[:40])
def test_what_a_pool_cannot_give_is_told_in_one_line(
    asked: dict[str, Any], error: type[CatdogError], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        operating.deploy(**asked)
    assert "\n" not in str(raised.value)


def test_the_package_of_the_workers_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = "prefect worker start --pool docker"
    operating.deploy(pool="docker", image=IMAGE)
    assert f"run them: {start}\n" in capsys.readouterr().out.replace("runs", "run")
    monkeypatch.setattr("deployments.pools.find_spec", lambda name: None)
    operating.deploy(pool="docker", image=IMAGE)
    assert f"pip install prefect-docker; {start}\n" in capsys.readouterr().out


def test_the_job_template_travels_with_the_package() -> None:
    assert Path(str(JOB_TEMPLATE)).is_file()
