"""catdog: train image classifiers as one repeatable pipeline.

The functions that a notebook needs are here; each is imported when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from catdog.errors import CatdogError

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
    from catdog.export.load import load
    from catdog.report import figures

    __version__: str

_FUNCTIONS = ("champion", "compare", "download", "evaluate", "prefetch", "runs", "split", "train")

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
    if name in _FUNCTIONS:
        return getattr(import_module("catdog.entry.functions"), name)
    if name == "load":
        return import_module("catdog.export.load").load
    if name == "figures":
        return import_module("catdog.report.figures")
    if name == "__version__":
        return version(import_module("catdog.machine").DISTRIBUTION)
    raise AttributeError(f"module 'catdog' has no attribute '{name}'")
