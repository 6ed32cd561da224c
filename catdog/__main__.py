"""The command `catdog`, also as `python -m catdog`.

It stands here, and not in `flows`, since any project may have a folder or package of that name,
and would be taken for ours where Python finds it first.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).parents[1]
BESIDE = ("deployments", "flows", "tasks")
"""The packages that come with this one."""


def main() -> None:
    """Run the command line, or say in one line what hides it."""
    for name in BESIDE:
        spec = find_spec(name)
        found = Path(spec.origin or "").parent if spec else None
        if found != OURS / name:
            sys.exit(
                f"Error: Python finds {found or 'nothing'} for the package '{name}' of catdog. "
                f"Call 'catdog' itself, without PYTHONPATH, and install no other '{name}'."
            )
    import_module("flows.cli.app").main()


if __name__ == "__main__":
    main()
