"""catdog: train image classifiers as one repeatable pipeline.

The functions that a notebook needs are here; each is imported when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catdog.errors import CatdogError
    from catdog.inference.load import load
    from catdog.library import compare, download, evaluate, prefetch, split, train
    from catdog.report import figures

    __version__: str

_FUNCTIONS = ("compare", "download", "evaluate", "prefetch", "split", "train")

__all__ = [
    "CatdogError",
    "compare",
    "download",
    "evaluate",
    "figures",
    "load",
    "prefetch",
    "split",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(import_module("catdog.library"), name)
    if name == "CatdogError":
        return import_module("catdog.errors").CatdogError
    if name == "load":
        return import_module("catdog.inference.load").load
    if name == "figures":
        return import_module("catdog.report.figures")
    if name == "__version__":
        return version(import_module("catdog.machine").DISTRIBUTION)
    raise AttributeError(f"module 'catdog' has no attribute '{name}'")
