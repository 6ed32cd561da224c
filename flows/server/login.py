"""What a client must know of a server of ours, in files that only their owner can read.

They have the form of Prefect's own `prefect.toml`: the login that a home keeps, and the file that
`catdog serve --client-config` writes for Prefect's commands.
"""

import json
import os
import secrets
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catdog.errors import CatdogError, SettingsError
from catdog.store.files import beside, require_storable, writing

AUTH = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_AUTH = "PREFECT_API_AUTH_STRING"
CLIENT_URL = "PREFECT_API_URL"
KEPT = "# The login of this home's Prefect servers. Without this file they ask for none."
PASSING = "# Written by 'catdog serve', which removes it when it ends."
OWN = 0o700
"""Of the folder: the database and the log next to the login tell what was run, and with what."""
OTHERS = 0o077
"""The rights of all but the owner."""


class LoginError(CatdogError):
    """The login of a home cannot be used."""


def login_file(home: Path) -> Path:
    """Where a home keeps the login of its servers."""
    return home / "prefect" / "login.toml"


def keep_login(home: Path, url: str) -> None:
    """Keep the login of a home for its server at this API URL: the one it has, or a new one."""
    secret = os.environ.get(AUTH) or saved_login(home) or f"catdog:{secrets.token_urlsafe()}"
    path = login_file(home)
    with writing(home):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(OWN)
        _write(path, _settings(KEPT, url, secret))


def saved_login(home: Path) -> str | None:
    """The USER:PASSWORD that a home keeps, if any. Raises LoginError."""
    path = login_file(home)
    try:
        if path.stat().st_mode & OTHERS:
            raise LoginError(
                f"{path} may have been read by others.",
                "Remove it; 'catdog serve --auth' makes another login.",
            )
        return str(_api(path)["auth_string"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise LoginError(
            f"{path} cannot be read ({error}).", "Remove it, or choose another --home."
        ) from error


def require_login(home: Path) -> None:
    """Let the servers that this process starts ask for the login of their home, if it has one."""
    if not os.environ.get(AUTH) and (secret := saved_login(home)):
        os.environ[AUTH] = secret


def log_in(home: Path, url: str) -> None:
    """Log in to the configured server when it is the one of this home: others never get it."""
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    path = login_file(home)
    if get_current_settings().api.auth_string or not os.access(path, os.R_OK):
        return
    if (secret := saved_login(home)) and names(path, url):
        os.environ[CLIENT_AUTH] = secret
        refresh_global_settings_context()


def names(path: Path, url: str) -> bool:
    """Whether a file of Prefect's form names this API URL."""
    try:
        return bool(_api(path).get("url") == url)
    except (OSError, ValueError, KeyError):
        return False


def require_ours(path: Path) -> None:
    """Raise SettingsError unless `catdog serve` may write this file."""
    require_storable(path, "Name another --client-config.")
    if path.exists() and not path.is_file():
        raise SettingsError(f"{path} is no file.", "Name another --client-config.")
    path = Path(os.path.realpath(path))
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise SettingsError(
            f"{path.parent} is no folder that you may write to.", "Name another --client-config."
        )
    if path.exists() and not _text(path).startswith(PASSING):
        raise SettingsError(
            f"{path} was not written by 'catdog serve'.",
            "Remove it, or name another --client-config.",
        )


@contextmanager
def client_config(path: Path, url: str) -> Iterator[None]:
    """A file that leads Prefect's commands to the server at this API URL, while the block lasts.

    A link to it stays.
    """
    text = _settings(PASSING, url, os.environ.get(AUTH))
    require_ours(path)
    path = Path(os.path.realpath(path))
    _write(path, text)
    try:
        yield
    finally:
        if _text(path) == text:  # else it is gone, or a later server's
            path.unlink()


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""


def _settings(note: str, url: str, secret: str | None) -> str:
    given = {"url": url} | ({"auth_string": secret} if secret else {})
    quoted = {name: json.dumps(text, ensure_ascii=False) for name, text in given.items()}  # as TOML
    return "\n".join([note, "[api]", *map(" = ".join, quoted.items())]) + "\n"


def _api(path: Path) -> dict[str, object]:
    found: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))["api"]
    return found


def _write(path: Path, text: str) -> None:
    """Write a file that appears whole, and is its owner's alone from the start."""
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=beside(path).name)  # mode 600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(made).replace(path)
