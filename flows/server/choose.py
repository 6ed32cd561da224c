"""The Prefect server that a run reports to: the configured one, else a private one."""

from contextlib import AbstractContextManager
from pathlib import Path

from flows.server.client import configured_url
from flows.server.configured import watched_server
from flows.server.private import free_port, running_server


def prefect_server(home: Path) -> AbstractContextManager[str]:
    """The API URL of the server for this run; a private server ends with the run.

    The private one keeps its history in `home/prefect`, listens on loopback only, and ends with
    this process however that ends. Raises ServerError.
    """
    url = configured_url()
    return watched_server(home, url) if url else running_server(home, free_port())
