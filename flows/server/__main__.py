"""The private server's own process."""

import argparse
import os

from flows.processes import end_with_parent
from flows.server.client import allowed_origins
from flows.server.login import AUTH


def main() -> None:
    """Serve until the parent process has gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True, help="the process to end with")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    end_with_parent(given.parent)  # before the imports, which take seconds

    import uvicorn
    from prefect.server.api.server import create_app

    from flows.server.guard import Guard, known_names

    origins = allowed_origins()
    app = Guard(
        create_app(),
        names=None if os.environ.get(AUTH) else known_names(origins),  # a login guards as well
        origins=origins,
    )
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
