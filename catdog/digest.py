"""Digests of files, values and code: the parts that artifact keys are made of."""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

# What these modules decide reaches a key by value, or cannot change an artifact's content.
PLUMBING = frozenset(
    f"catdog.{name}"
    for name in ("artifacts", "digest", "errors", "machine", "progress", "settings", "store")
)
KEY_LENGTH = 24
# CPython counts the depth of all threads' syntax trees in one place, so that two that parse at
# once fail with SystemError: https://github.com/python/cpython/issues/106905
_PARSING = Lock()


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

    Comments, layout and docstrings, also those below constants and fields, do not count: changing
    them changes no artifact.
    """
    found: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name in PLUMBING:
            continue
        with _PARSING:
            tree = ast.parse(_source(name))
        waiting.extend(_imports(tree))
        found[name] = ast.dump(_without_docstrings(tree))
    return value_digest(found)


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source for module {module}", name=module)
    return Path(spec.origin).read_text(encoding="utf-8")


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("catdog."))
        elif isinstance(node, ast.ImportFrom) and node.module == "catdog":
            yield from (f"catdog.{a.name}" for a in node.names if find_spec(f"catdog.{a.name}"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("catdog."):
            yield node.module or ""


def _without_docstrings(tree: ast.Module) -> ast.Module:
    stripped: ast.Module = _DropStrings().visit(tree)
    return stripped


class _DropStrings(ast.NodeTransformer):
    """Takes away the strings that stand as statements: they do nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node
