"""What a user is told of an error that nobody has foreseen."""

import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from catdog.errors import CatdogError
from catdog.settings import Settings
from catdog.store.store import Store
from catdog.wording import quoted


def unexpected(error: BaseException) -> CatdogError:
    """One line for an error of ours; its traceback is in the log file that the line names."""
    kind, _, text = traceback.format_exception_only(error)[-1].strip().partition(": ")
    words = quoted(" ".join(text.split()))
    shown = kind.rsplit(".", 1)[-1] + (f": {words}" if words else "")
    log = _keep("".join(traceback.format_exception(error)))
    where = f"Its traceback is in {log}" if log else "The same command with --debug tells where"
    return CatdogError(
        f"Something went wrong that catdog does not know ({shown}).", f"{where}: please report it."
    )


def _keep(text: str) -> Path | None:
    """Write a text to a new file, in the home's logs where they can be written."""
    with suppress(Exception):  # it may be the settings that nobody has foreseen
        return _write(text, Store(Settings.load().home).work("logs"))
    with suppress(Exception):
        return _write(text, Path(tempfile.gettempdir()))
    return None


def _write(text: str, folder: Path) -> Path:
    """A file that is its owner's alone: a traceback may name what the user keeps for himself."""
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="backslashreplace",
        prefix="error-", suffix=".log", dir=folder, delete=False,
    ) as file:  # fmt: skip
        path = Path(file.name)
        try:
            file.write(text)
            file.flush()
        except OSError:
            path.unlink()
            raise
    return path
