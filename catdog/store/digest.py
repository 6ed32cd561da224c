"""Digests of files, values and code: the parts that artifact keys are made of."""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from catdog.syntax import imports, parse

ROOT = "catdog"
# What these modules, or all modules of these packages, decide reaches a key by value, or cannot
# change an artifact's content.
PLUMBING = (
    "catdog.errors",
    "catdog.machine",
    "catdog.references",
    "catdog.training.offsite",
    "catdog.training.progress",
    "catdog.settings",
    "catdog.sources.fetch",
    "catdog.sources.web",
    "catdog.store.digest",
    "catdog.store.files",
    "catdog.store.holds",
    "catdog.store.remote",
    "catdog.store.store",
    "catdog.syntax",
)
KEY_LENGTH = 24


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_once(path: Path) -> str:
    """As `file_digest`, but a process reads an unchanged file only once."""
    status = path.stat()
    return _digest_of_version(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=100_000)
def _digest_of_version(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    return file_digest(path)


def value_digest(value: Any) -> str:
    """SHA-256 of a JSON value in one canonical spelling, as 64 hex digits.

    Raises TypeError for what JSON cannot hold and ValueError for NaN or infinity.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def make_key(*, code: tuple[str, ...], libraries: tuple[str, ...] = (), **inputs: Any) -> str:
    """The key of an artifact: a digest of all that can change its content.

    code: the `catdog` modules that make it; those that they import count too.
    libraries: distributions whose version matters, such as "keras".
    inputs: the input digests and the settings that matter, as JSON values.
    """
    return value_digest(
        {
            "code": code_digest(*code),
            "libraries": {name: version(name) for name in libraries},
            "inputs": inputs,
        }
    )[:KEY_LENGTH]


@cache
def code_digest(*modules: str) -> str:
    """Digest of the meaning of these modules and of all `catdog` modules that they import.

    Comments, layout and docstrings, also those below constants and fields, do not count, nor what
    only a type checker sees: changing them changes no artifact.
    """
    return value_digest({name: _read(name).meaning for name in modules_covered(*modules)})


def modules_covered(*modules: str) -> frozenset[str]:
    """These modules and all that they import, as far as they can change an artifact.

    With a module come the packages around it, whose code Python runs first. `catdog` itself comes
    only where its own name is imported: it makes nothing, but through it everything can be had.
    """
    found = set[str]()
    waiting = _with_packages(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and not is_plumbing(name):
            found.add(name)
            waiting |= _read(name).imports
    return frozenset(found)


def is_plumbing(module: str) -> bool:
    """Whether no key counts the code of a module, since it can change no artifact."""
    parts = module.split(".")
    return any(".".join(parts[:length]) in PLUMBING for length in range(1, len(parts) + 1))


class _Module(NamedTuple):
    meaning: str
    imports: frozenset[str]


@cache
def _read(module: str) -> _Module:
    file = _file(module)
    if file is None:
        raise ModuleNotFoundError(f"no source for module {module}", name=module)
    tree = parse(file.read_text(encoding="utf-8"))
    named = {_holder(name, part) if part else name for name, part in imports(tree)}
    return _Module(ast.dump(tree), frozenset(_with_packages(filter(_is_own, named))))


def _file(module: str) -> Path | None:
    """Where the code of a module is. It is looked up without importing any package."""
    for folder in sys.modules[ROOT].__path__:
        place = Path(folder, *module.split(".")[1:])
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _is_own(module: str) -> bool:
    return module.split(".")[0] == ROOT


def _with_packages(modules: Iterable[str]) -> set[str]:
    """The modules, and the packages around them below `catdog`."""
    found = set[str]()
    for module in modules:
        parts = module.split(".")
        found |= {module, *(".".join(parts[:length]) for length in range(2, len(parts)))}
    return found


def _holder(module: str, name: str) -> str:
    """The module that `from module import name` gives, or takes the name from."""
    inner = f"{module}.{name}"
    return inner if _is_own(module) and _file(inner) else module
