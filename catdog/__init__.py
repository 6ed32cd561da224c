"""catdog: train image classifiers as one repeatable pipeline.

The functions that a notebook needs are here; each is imported when it is first used.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catdog.errors import CatdogError
    from catdog.inference.load import load
    from catdog.library import (
        champion,
        compare,
        download,
        evaluate,
        prefetch,
        runs,
        split,
        train,
    )
    from catdog.report import figures

    __version__: str

_FUNCTIONS = (
    "champion", "compare", "download", "evaluate", "prefetch", "runs", "split", "train",
)  # fmt: skip

__all__ = [
    "CatdogError",
    "__version__",
    "champion",
    "compare",
    "download",
    "evaluate",
    "figures",
    "load",
    "prefetch",
    "runs",
    "split",
    "train",
]


class _Catdog(ModuleType):
    """So that `champion` and `runs` stay functions, though a room and a module are called so too.

    Python sets what it imports as an attribute of the package around it.
    """

    champion = property(lambda self: __getattr__("champion"), lambda self, room: None)
    runs = property(lambda self: __getattr__("runs"), lambda self, module: None)


sys.modules[__name__].__class__ = _Catdog


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module("catdog.library"), name)
    if name == "load":
        return import_module("catdog.inference.load").load
    if name == "CatdogError":
        return import_module("catdog.errors").CatdogError
    if name == "figures":
        return import_module("catdog.report.figures")
    if name == "__version__":
        return version(import_module("catdog.machine").DISTRIBUTION)
    raise AttributeError(f"module 'catdog' has no attribute '{name}'")
