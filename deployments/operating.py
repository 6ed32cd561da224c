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


def deploy(*, pool: str, home: Home = None) -> None:
    """Register the deployments 'full' and 'smoke' for the workers of a work pool.

    Parameters
    ----------
    pool
        The work pool, which is there: prefect work-pool create NAME --type process
    """
    url = standing_server(use(home))
    from deployments.definitions import register

    with understood(url):
        names = register(pool)
    say(f"Registered {' and '.join(names)} at {url}.")
    say(f"A worker runs them: prefect worker start --pool {pool}")


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
