"""The commands `catdog deploy` and `catdog automations`: for a server that stands by itself."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from flows.cli.terminal import Home, say, use
from flows.server.configured import standing_server, understood

SILENCE_DAYS = 8
"""The schedule is weekly: after one more day without a success something is wrong."""
ZOMBIE_MINUTES = 10
"""Prefect's runs send a heartbeat every 3 minutes: three missed ones are no delay any more.
Keep it above PREFECT_FLOWS_HEARTBEAT_FREQUENCY, or runs that live are marked as crashed."""

Duration = Annotated[float, Parameter(validator=Number(gt=0))]
Pairs = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]


def deploy(
    *,
    pool: str,
    image: str | None = None,
    memory: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    gpus: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    env: Pairs = (),
    secret: Pairs = (),
    home: Home = None,
) -> None:
    """Register the deployments 'full' and 'smoke' for the workers of a work pool.

    The pool is there, and of type process, docker or kubernetes (see docs/production.md):
    prefect work-pool create NAME --type process

    Parameters
    ----------
    pool
        The work pool's name.
    image
        Of the containers of a docker or kubernetes pool, such as REGISTRY/catdog:0.1.0
    memory
        Of such a container, in GiB.
    gpus
        Of such a container: NVIDIA GPUs.
    env
        An environment variable of each run, as NAME=VALUE. Those who use the server can read it.
    secret
        An environment variable that is kept elsewhere: NAME=BLOCK, a block of the server of type
        Secret; with a kubernetes pool NAME=SECRET, a Secret of its namespace with the key NAME.
    """
    url = standing_server(use(home))
    from deployments.definitions import register
    from deployments.pools import Wanted, pairs

    wanted = Wanted(image, memory, gpus, pairs("--env", env), pairs("--secret", secret))
    with understood(url):
        names, start_worker = register(pool, wanted)
    say(f"Registered {' and '.join(names)} at {url}.")
    say(f"A worker runs them: {start_worker}")


def automations(
    *,
    silence_days: Duration = SILENCE_DAYS,
    zombie_minutes: Duration = ZOMBIE_MINUTES,
    notify: str | None = None,
    home: Home = None,
) -> None:
    """Create again what the server watches: failed runs, a new champion, silence, zombie runs.

    Parameters
    ----------
    silence_days
        Tell when no run has completed for so long.
    zombie_minutes
        Mark a run as crashed that has sent no heartbeat for so long.
    notify
        A notification block of the server as TYPE/NAME, which is told as well as the server's log.
    """
    url = standing_server(use(home))
    from deployments.automations import create_automations

    with understood(url):
        create_automations(
            silence_days=silence_days, zombie_minutes=zombie_minutes, notify=notify, replace=True
        )
    say(f"The automations are at {url}.")
