"""The private server's own process."""

import os
import sys

from flows.processes import end_with_parent
from flows.server.client import allowed_origins
from flows.server.login import AUTH


def main() -> None:
    """Serve until the parent process has gone."""
    parent, host, port = sys.argv[1:]  # the process to end with, and where to listen
    end_with_parent(int(parent))  # before the imports, which take seconds

    import uvicorn
    from prefect.server.api.server import create_app

    from flows.server.guard import Guard, known_names
    from flows.server.texts import WholeTexts

    origins = allowed_origins()
    app = Guard(
        WholeTexts(create_app()),
        names=None if os.environ.get(AUTH) else known_names(origins),  # a login guards as well
        origins=origins,
    )
    uvicorn.run(app, host=host, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
