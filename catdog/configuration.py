"""What users have set: keywords, else the environment, else a configuration file.

A variable is `CATDOG_NAME`, unless it is empty. The file is `catdog.toml`, or a table in a
`pyproject.toml`.
"""

import difflib
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from catdog.addresses import obstacle
from catdog.errors import SettingsError
from catdog.references import absolute
from catdog.wording import quoted

PREFIX = "CATDOG_"
CONFIG = f"{PREFIX}CONFIG"
"""The variable that names the configuration file; else it is looked for."""
TOKEN = f"{PREFIX}API_TOKEN"
"""The variable that holds what clients of `catdog api` must know: no setting, so that none shows
it."""
FILE = "catdog.toml"


class Given(NamedTuple):
    """A value that somebody has set."""

    value: Any
    origin: str
    """The variable, or the path of the file, that sets it; empty for a keyword."""


def given_values(given: Mapping[str, Any], known: Collection[str]) -> dict[str, Given]:
    """What is set, by the name of its setting: keywords over the environment over the file.

    known: the names of all settings. Raises SettingsError for an unknown name, and for a file that
    is missing or no TOML.
    """
    keywords = {name: Given(value, "") for name, value in given.items() if value is not None}
    return _from_file(known) | _from_environment(known) | keywords


def standing_value(name: str) -> Any:
    """What the environment or the file sets for one setting; None for neither."""
    path = config_file()
    return os.environ.get(PREFIX + name.upper()) or (path and _values_in(path).get(name)) or None


def config_file() -> Path | None:
    """The configuration file: the one that CATDOG_CONFIG names, else the nearest one upwards.

    A folder's `catdog.toml` counts before a table `tool.catdog` of its `pyproject.toml`. Raises
    SettingsError when a file is no TOML, or its name begins with an unknown user.
    """
    if named := os.environ.get(CONFIG):
        try:
            return absolute_path(Path(named))
        except ValueError as error:
            problem = f"{quoted(named)} {error}."
            raise SettingsError(problem, "Name another file with --config.") from error
    here = _working_folder()
    for folder in (here, *here.parents):
        if (own := folder / FILE).is_file():
            return own
        shared = folder / "pyproject.toml"
        if shared.is_file() and _own_table(shared) is not None:
            return shared
    return None


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise SettingsError("The working folder is gone.", "Go to another one.") from error


def _own_table(project: Path) -> Any:
    """The table `tool.catdog` of a pyproject.toml; None without one."""
    tool = _read_toml(project).get("tool")
    return tool.get("catdog") if isinstance(tool, dict) else None


def _from_environment(known: Collection[str]) -> dict[str, Given]:
    found = {
        name.upper(): os.environ[name]
        for name in os.environ  # not all values: another thread may be taking one away
        if name.startswith(PREFIX) and os.environ[name]
    }
    variables = {PREFIX + name.upper(): name for name in known}
    _require_known(found, [*variables, CONFIG, TOKEN], "environment variable {}")
    return {variables[n]: Given(text, n) for n, text in found.items() if n in variables}


def _from_file(known: Collection[str]) -> dict[str, Given]:
    path = config_file()
    if path is None:
        return {}
    values = _values_in(path)
    _require_known(values, known, f"setting '{{}}' in {path}")
    if isinstance(home := values.get("home"), str) and home:
        values["home"] = home if home.startswith("~") else path.parent / home
    if isinstance(models := as_list(values.get("models")), list):
        values["models"] = [
            absolute(each, path.parent) if isinstance(each, str) else each for each in models
        ]
    return {name: Given(value, str(path)) for name, value in values.items()}


def _values_in(path: Path) -> dict[str, Any]:
    values = (_own_table if path.name == "pyproject.toml" else _read_toml)(path) or {}
    if not isinstance(values, dict):
        raise SettingsError(f"tool.catdog in {path} is no table.", "See 'catdog config schema'.")
    return values


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(
            f"{path} cannot be read as settings ({quoted(reason)}).",
            "Mend it, or name another file with --config.",
        ) from error


def _require_known(names: Iterable[str], known: Collection[str], called: str) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Choose from {', '.join(known)}."
            raise SettingsError(f"Unknown {called.format(quoted(name))}.", hint)


def as_list(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def absolute_path(path: Path) -> Path:
    try:
        whole = path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("names a user whom this machine does not know") from error
    if problem := obstacle(whole):
        raise ValueError(problem)
    return whole
