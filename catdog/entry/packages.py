"""Where this package and its neighbours meet: `flows`, `tasks` and `deployments`.

Any project may have a folder or a package of such a name, and Prefect imports a deployment's flow
with the working folder first. The command and the deployments therefore enter by modules of
`catdog`, which take the packages that came with it, whatever Python would find.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).parents[2]
NAMES = ("deployments", "flows", "tasks")


def claim() -> None:
    """Let the neighbours of this package be ours, in this process and in those that it spawns."""
    if any(_place(name) != OURS / name for name in NAMES):
        sys.path.insert(0, str(OURS))
    import_module("deployments")
    import_module("flows")
    import_module("tasks")


def _place(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
