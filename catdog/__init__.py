"""catdog: train image classifiers as one repeatable pipeline.

The functions that a notebook needs are here; each is imported when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catdog.entry.functions import (
        champion,
        compare,
        download,
        evaluate,
        prefetch,
        runs,
        split,
        train,
    )
    from catdog.errors import CatdogError
    from catdog.export.load import load
    from catdog.report import figures

    __version__: str

_FUNCTIONS = ("champion", "compare", "download", "evaluate", "prefetch", "runs", "split", "train")
_HOMES = dict.fromkeys(_FUNCTIONS, "catdog.entry.functions") | {
    "load": "catdog.export.load",
    "CatdogError": "catdog.errors",
}

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


def __getattr__(name: str) -> Any:
    if home := _HOMES.get(name):
        return getattr(import_module(home), name)
    if name == "figures":
        return import_module("catdog.report.figures")
    if name == "__version__":
        return version(import_module("catdog.machine").DISTRIBUTION)
    raise AttributeError(f"module 'catdog' has no attribute '{name}'")
