"""What the runs of a work pool are given: in the words of the pool's type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound

from catdog.errors import SettingsError
from catdog.wording import quoted
from flows.server.client import ServerError

JOB_TEMPLATE = files("deployments") / "kubernetes" / "base-job-template.json"
"""Of a Kubernetes pool whose runs may ask for all of `Wanted`."""


@dataclass(frozen=True)
class Wanted:
    """What a user asks for the runs of a pool.

    secrets: by the environment variable that a run finds each in, the name of a Prefect block of
    type Secret, or in Kubernetes of a Secret that has the variable as a key.
    """

    image: str | None = None
    memory_gib: float | None = None
    gpus: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def of_containers(self) -> list[str]:
        """The flags of what only a container can be given, as far as they were used."""
        given = {"--image": self.image, "--memory": self.memory_gib, "--gpus": self.gpus}
        return [flag for flag, value in given.items() if value is not None]


def pairs(flag: str, given: Sequence[str]) -> dict[str, str]:
    """What the values of a flag say as NAME=VALUE. Raises SettingsError for one that does not."""
    split = [text.partition("=") for text in given]
    for (name, equals, value), text in zip(split, given, strict=True):
        if not (name.isidentifier() and equals and value):
            raise SettingsError(f"'{quoted(text)}' is no NAME=VALUE.", f"Give each {flag} as one.")
    return {name: value for name, _, value in split}


def find_pool(client: SyncPrefectClient, name: str) -> WorkPool:
    """The work pool of this name. Raises ServerError when there is none."""
    try:
        return client.read_work_pool(name)
    except ObjectNotFound as error:
        raise ServerError(
            f"The server has no work pool '{name}'.",
            f"Create it: prefect work-pool create {name} --type process",
        ) from error


def job_variables(client: SyncPrefectClient, pool: WorkPool, wanted: Wanted) -> dict[str, Any]:
    """What a deployment tells the pool about its runs, in the pool's own variables.

    Raises SettingsError where the pool's type or its job template has no such thing, and
    ServerError for a block that the server has not.
    """
    if pool.type not in _TYPES:
        raise SettingsError(
            f"The work pool '{pool.name}' is of type {pool.type}, on which catdog was never run.",
            f"Choose one of type {', '.join(_TYPES)}.",
        )
    variables = _TYPES[pool.type](client, pool.name, wanted)
    known = pool.base_job_template.get("variables", {}).get("properties", {})
    if missing := ", ".join(sorted(variables.keys() - known.keys())):
        raise SettingsError(
            f"The job template of the work pool '{pool.name}' has no {missing}.",
            f"Give it one: prefect work-pool update {pool.name} --base-job-template "
            f"{JOB_TEMPLATE if pool.type == 'kubernetes' else 'FILE'}",
        )
    return variables


def worker_command(pool: WorkPool) -> str:
    """How to start a worker of this pool, with the package that it needs where it is not here."""
    package = f"prefect-{pool.type}"
    here = pool.type == "process" or find_spec(package.replace("-", "_"))
    install = "" if here else f"pip install {package}; "
    return f"{install}prefect worker start --pool {pool.name}"


def _process(client: SyncPrefectClient, pool: str, wanted: Wanted) -> dict[str, Any]:
    if flags := " and ".join(wanted.of_containers()):
        raise SettingsError(
            f"The runs of the process pool '{pool}' have what their worker has: no {flags}.",
            "Leave it out, or choose a pool of type docker or kubernetes.",
        )
    return {"env": dict(wanted.env) | _blocks(client, wanted.secrets)}


def _docker(client: SyncPrefectClient, pool: str, wanted: Wanted) -> dict[str, Any]:
    given: dict[str, Any] = {
        "image": _image(pool, wanted),
        "env": dict(wanted.env) | _blocks(client, wanted.secrets),
        "auto_remove": True,  # with the anonymous volume of /data
    }
    if wanted.memory_gib:
        given["mem_limit"] = f"{_mebibytes(wanted.memory_gib)}m"
    if wanted.gpus:
        request = {"count": wanted.gpus, "capabilities": [["gpu"]]}
        given["container_create_kwargs"] = {"device_requests": [request]}
    return given


def _kubernetes(client: SyncPrefectClient, pool: str, wanted: Wanted) -> dict[str, Any]:
    given: dict[str, Any] = {"image": _image(pool, wanted), "env": dict(wanted.env)}
    if wanted.secrets:
        given["secret_env"] = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
            for name, secret in wanted.secrets.items()
        ]
    if wanted.memory_gib:
        given |= dict.fromkeys(
            ("memory_request", "memory_limit"), f"{_mebibytes(wanted.memory_gib)}Mi"
        )
    if wanted.gpus:
        given["gpus"] = wanted.gpus
    return given


_TYPES: dict[str, Callable[[SyncPrefectClient, str, Wanted], dict[str, Any]]] = {
    "process": _process,
    "docker": _docker,
    "kubernetes": _kubernetes,
}


def _image(pool: str, wanted: Wanted) -> str:
    if not wanted.image:
        raise SettingsError(
            f"The runs of the work pool '{pool}' are containers.",
            "Name the image that you have built of deployments/Dockerfile: --image NAME:TAG",
        )
    return wanted.image


def _mebibytes(gibibytes: float) -> int:
    return round(gibibytes * 1024)


def _blocks(client: SyncPrefectClient, secrets: Mapping[str, str]) -> dict[str, str]:
    """References that a worker resolves when it starts a run: no secret is kept with the rest."""
    for block in secrets.values():
        try:
            client.read_block_document_by_name(block, "secret", include_secrets=False)
        except ObjectNotFound as error:
            raise ServerError(
                f"The server has no block '{block}' of type Secret.",
                "Make it in the UI, under Blocks, or by: prefect block create secret",
            ) from error
    return {name: f"{{{{ prefect.blocks.secret.{block} }}}}" for name, block in secrets.items()}
