"""What all commands share: where they print, and how they learn of the home folder."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Column, Table

from catdog.errors import StoreError
from catdog.settings import Settings
from catdog.store.files import require_storable, write_where_named
from catdog.wording import escaped
from flows.parameters import flag

out = Console(markup=False, highlight=False)  # names of files and classes are no markup
if not out.is_terminal:
    out.width = 10_000  # so that a row of a table is one whole line
err = Console(stderr=True, soft_wrap=True)

Home = Annotated[Path | None, flag("home")]
Port = Annotated[int, Parameter(validator=Number(gte=1, lte=65_535))]
DEFAULT_PORT = 4200
"""Prefect's own, so that its command line finds the server where it looks first."""
Threshold = Annotated[float | None, flag("threshold")]
Risk = Annotated[str | None, flag("risk")]
FalseFlags = Annotated[str | None, flag("false_flags")]
Task = Annotated[
    str | None,
    Parameter(help="Whose champion, where several tasks have one. [default: the first one's]"),
]
Switch = Annotated[bool, Parameter(negative="", show_default=False)]


def table(*names: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table. names: headings of text; numbers: those of the numbers after it."""
    texts = (Column(name, overflow="fold") for name in names)
    return Table(*texts, *(Column(number, justify="right") for number in numbers))


def say(text: str) -> None:
    """Print a sentence, which the terminal itself may break."""
    out.print(text, soft_wrap=True)


def one_line(error: Exception) -> str:
    """What the user is told: the same shape for a wrong flag as for any other problem."""
    from rich.markup import escape

    return f"[bold red]Error:[/] {escape(escaped(error))}"


def use(home: Path | None) -> Path:
    """The home folder that is asked for; this process and its children will find the same one."""
    return share(Settings.load(home=home))


def task_of(task: str | None) -> str | None:
    """The task that is asked for; None where no one has named any."""
    return Settings.load(task=task).task


def share(settings: Settings) -> Path:
    """Let this process and its children find the home folder of these settings."""
    os.environ["CATDOG_HOME"] = str(settings.home)
    return settings.home


def require_file(path: Path, option: str) -> None:
    """Refuse before any work what could not be written after it. option: that names the path."""
    require_storable(path, f"Choose another file for {option}.")
    if path.is_dir():
        raise StoreError(f"{path} is a folder.", f"Choose a file for {option}.")


def write_file(path: Path, text: str, option: str) -> None:
    """Write what an option asks for. Raises StoreError where that cannot be."""
    try:
        write_where_named(path, text)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror}).", f"Choose another file for {option}."
        ) from error
