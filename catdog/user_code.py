"""Runs the function of a user's own model, and looks at what it returns.

What runs is the very text that the key of the model covers: neither a module that was imported
before nor bytecode on the disk, which may both be older than the file.
"""

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import Lock
from types import ModuleType
from typing import Any

from catdog.errors import CatdogError, TrainingError
from catdog.references import Code, Source

TOLERANCE = 1e-3
"""By which probabilities may miss a sum of one. Rounding explains 1e-6."""
PROBED = 2
"""Photos that a model is tried on: one alone hides a mix-up of photos and classes."""
LONGEST = 300
"""Characters of a problem that is not ours: those of TensorFlow may take pages."""

_IMPORTING = Lock()


class UnfitError(Exception):
    """A model cannot be used; the message says why."""


def build_own(code: Code, classes: int, image_size: int) -> Any:
    """The Keras model of a user's function, which takes photos and gives probabilities.

    It is compiled where the function has compiled it. Raises TrainingError when the function
    fails, or returns anything else.
    """
    with blaming(code):
        with _importable(code):
            function = getattr(import_module(code.module), code.function)
            model = function(classes, image_size)
        _require(model, classes, image_size)
    return model


@contextmanager
def blaming(code: Code, *, spared: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Let what fails meanwhile be one line that names the user's file, unless it is spared."""
    try:
        yield
    except (Exception, SystemExit) as error:
        if isinstance(error, (CatdogError, *spared)):
            raise
        kind = "" if isinstance(error, UnfitError) else f"{type(error).__name__}: "
        text = " ".join(f"{kind}{error}".split())[:LONGEST]
        raise TrainingError(
            f"{_place(code, error)}: the model '{code.name}' cannot be trained "
            f"({text.rstrip('.')}).",
            "Mend it; the other models go on without it.",
        ) from error


def _place(code: Code, error: BaseException) -> str:
    """The file, and the last of its lines that the error came through."""
    files = {str(source.file) for source in code.modules.values()}
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in files]
    if isinstance(error, SyntaxError) or not own:
        return str(code.file)
    return f"{own[-1].filename}, line {own[-1].lineno}"


def _require(model: Any, classes: int, image_size: int) -> None:
    """Raises UnfitError for a model that cannot be used."""
    import keras
    import numpy as np

    if not isinstance(model, keras.Model):
        raise UnfitError(f"it returns a {type(model).__name__}, not a Keras model")
    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, image_size, image_size, 3))
    if not getattr(model, "inputs", None):
        raise UnfitError("it must be keras.Sequential, or keras.Model(inputs, outputs)")
    photos, probabilities = (None, image_size, image_size, 3), (None, classes)
    if (model.input_shape, model.output_shape) != (photos, probabilities):
        raise UnfitError(
            f"it turns {model.input_shape} into {model.output_shape}, not {photos} into "
            f"{probabilities}"
        )
    _require_plain(model)
    pixels = np.random.default_rng(0).integers(0, 256, (PROBED, *photos[1:]))
    found = np.asarray(model(pixels.astype(np.float32), training=False), np.float32)
    if not np.isfinite(found).all():
        raise UnfitError("it gives NaN for photos in 0..255")
    if found.min() < 0 or np.abs(found.sum(axis=1) - 1).max() > TOLERANCE:
        raise UnfitError("what it gives are no probabilities: let it end with softmax")


def _require_plain(model: Any) -> None:
    """Raises UnfitError for what a file could only bring back with code of the user's."""
    import keras

    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)  # nobody needs it who uses the model
    foreign = dict.fromkeys(_foreign(config))  # now: Keras takes the configuration apart
    registered = keras.saving.get_custom_objects()
    kept = dict(registered)
    registered.clear()
    try:
        keras.saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:
        names = ", ".join(foreign) or str(error).partition(". ")[0]
        raise UnfitError(
            f"not all of it is Keras's own ({names}), and catdog runs no code to load a model file"
        ) from error
    finally:
        registered.update(kept)


def _foreign(config: Any) -> Iterator[str]:
    """The classes and functions in a model's configuration that are not Keras's."""
    if isinstance(config, dict):
        module = str(config.get("module", "keras"))
        if module.partition(".")[0] != "keras":
            name = config["config"] if config["class_name"] == "function" else config["class_name"]
            yield str(name)
        parts: Iterable[Any] = config.values()
    else:
        parts = config if isinstance(config, list | tuple) else ()
    for part in parts:
        yield from _foreign(part)


@contextmanager
def _importable(code: Code) -> Iterator[None]:
    """Let the code's modules be imported as they were read; afterwards all is as before."""
    finder = _Finder(code)
    with _IMPORTING:
        before = {name: sys.modules.pop(name) for name in [*sys.modules] if name in finder}
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            for name in [name for name in sys.modules if name in finder]:
                del sys.modules[name]
            sys.modules.update(before)


class _Finder(MetaPathFinder):
    """Finds the modules of a user's code, and the folders around them, before all else does."""

    def __init__(self, code: Code) -> None:
        self.sources = code.modules
        names = (name.split(".") for name in code.modules)
        self.names = {".".join(each[:n]) for each in names for n in range(1, len(each) + 1)}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self.names:
            return None
        source = self.sources.get(name)
        if source is None:  # a folder without `__init__.py`
            return PathFinder.find_spec(name, path) or ModuleSpec(name, None, is_package=True)
        spec = ModuleSpec(name, _Loader(source), origin=str(source.file))
        spec.has_location = True
        if source.is_package:
            spec.submodule_search_locations = [str(source.file.parent)]
        return spec


class _Loader(Loader):
    def __init__(self, source: Source) -> None:
        self.source = source

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        code = compile(self.source.text, self.source.file, "exec", dont_inherit=True)
        exec(code, vars(module))  # noqa: S102  the user has named it
