"""The deployments of `prefect.yaml`: served by this process, or registered for a work pool."""

import asyncio
import signal
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib.resources import files
from typing import Any

import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import ParameterSchema
from prefect.utilities.collections import deep_merge

from deployments.pools import Wanted, find_pool, job_variables, worker_command
from flows.catdog import catdog


def definitions() -> list[dict[str, Any]]:
    """The deployments as they stand in `prefect.yaml`."""
    text = (files("deployments") / "prefect.yaml").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = yaml.safe_load(text)["deployments"]
    return found


def served_deployments() -> list[RunnerDeployment]:
    """The same without their work pool, for a program that serves them: each run is its process."""
    return [_deployment(definition) for definition in definitions()]


def register(pool: str, wanted: Wanted) -> tuple[list[str], str]:
    """Register the deployments for a work pool of the configured server.

    Gives their names, and the command that starts a worker for them. Raises ServerError when there
    is no such pool, and SettingsError when its runs cannot have what is wanted.
    """
    with get_client(sync_client=True) as client:
        found = find_pool(client, pool)
        variables = job_variables(client, found, wanted)
    made = [_deployment(definition, pool, variables) for definition in definitions()]
    for deployment in made:
        deployment.apply()
    names = [f"{deployment.flow_name}/{deployment.name}" for deployment in made]
    return names, worker_command(found)


class _Stoppable(Runner):
    """Prefect's runner, which SIGTERM ends as Ctrl-C does.

    Its own handler never awaits the coroutine that would stop it.
    """

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Interrupt the event loop, which then lets the runner end its processes."""
        signal.raise_signal(signal.SIGINT)


def serve_until_stopped() -> None:
    """Serve the deployments until Ctrl-C or SIGTERM; then none of their runs has a process."""
    runner = _Stoppable()
    for deployment in served_deployments():
        runner.add_deployment(deployment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background job has none
    with suppress(KeyboardInterrupt):
        asyncio.run(runner.start())


async def next_run() -> tuple[str, datetime] | None:
    """The deployment that runs next by its schedule, and when."""
    from prefect.server.schemas.schedules import CronSchedule

    coming = []
    for definition in definitions():
        for given in definition.get("schedules", []):
            if given["active"]:
                schedule = CronSchedule(cron=given["cron"], timezone=given["timezone"])
                coming += [(definition["name"], when) for when in await schedule.get_dates(1)]
    return min(coming, key=lambda pair: pair[1], default=None)


class _Closed(ParameterSchema):
    """The parameters of a flow, and no others."""

    additionalProperties: bool  # noqa: N815  JSON schema's name


def _deployment(
    definition: dict[str, Any], pool: str | None = None, variables: Mapping[str, Any] = {}
) -> RunnerDeployment:
    """One of the definitions. variables: the job variables of the pool, on top of the file's."""
    of_all = definition["work_pool"]["job_variables"]
    deployment = RunnerDeployment.from_flow(
        catdog,
        definition["name"],
        description=definition["description"],
        tags=definition["tags"],
        parameters=definition["parameters"],
        schedules=[Schedule(**given) for given in definition.get("schedules", [])],
        concurrency_limit=ConcurrencyLimitConfig(**definition["concurrency_limit"]),
        work_pool_name=pool,
        job_variables=deep_merge(of_all, dict(variables)) if pool else None,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # Else the server takes a parameter that the flow has not, such as `home`, and the run crashes.
    schema = deployment._parameter_openapi_schema.model_dump()
    deployment._parameter_openapi_schema = _Closed(**schema, additionalProperties=False)
    deployment.entrypoint = definition["entrypoint"].replace(":", ".")  # as such a path has it
    return deployment
