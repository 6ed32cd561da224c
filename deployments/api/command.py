"""The command `catdog api`."""

from contextlib import nullcontext, suppress
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from catdog.errors import StoreError
from catdog.settings import Limits
from flows.cli.terminal import FalseFlags, Home, Risk, Switch, Task, Threshold, task_of, use
from flows.parameters import flags
from flows.server.client import HOST
from flows.server.private import listen

PORT = 8000
"""uvicorn's own."""


@flags
def api(
    *,
    host: str = HOST,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65_535))] = PORT,
    model: str | None = None,
    task: Task = None,
    calibrated: Switch = False,
    threshold: Threshold = None,
    risk: Risk = None,
    false_flags: FalseFlags = None,
    wait: Switch = False,
    keep_photos: Switch = False,
    limits: Limits,
    home: Home = None,
) -> None:
    """Serve the champion over HTTP, with a page to drop photos on; Ctrl-C ends it.

    A new champion takes over while it runs, and no request fails. A request may name another task.

    Parameters
    ----------
    host
        The address to listen on; any but loopback needs a token in CATDOG_API_TOKEN.
    port
        The one to listen on; 0 is any free one.
    model
        A model of the newest run that has it, or the folder of an export. [default: the champion]
    calibrated
        Give the confidence at the temperature that was fitted on validation.
    wait
        Start without a model, too, and be ready as soon as a run has made one.
    keep_photos
        Keep every photo in HOME/api/photos, by its SHA-256. Nothing removes them.
    """
    from deployments.api.served import Models
    from deployments.api.server import run, token_for

    folder = use(home)
    token = token_for(host)
    with listen(host, port) as listener:
        models = Models(
            model,
            calibrated,
            threshold,
            folder,
            risk=risk,
            false_flags=false_flags,
            task=task_of(task),
        )
        with suppress(StoreError) if wait else nullcontext():
            models.take()
        run(listener, models, limits, token=token, keep_photos=keep_photos)
