"""The settings as parameters: of the flow and its run form, and of the command line."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter, Signature, cleandoc
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cyclopts
from pydantic import BaseModel, Field, TypeAdapter
from pydantic.fields import FieldInfo

from catdog.settings import NOT_OF_A_RUN, Answering, Settings

R = TypeVar("R")


def run_form(function: Callable[[Settings], R]) -> Callable[..., R]:
    """The function with a parameter for each setting, for a flow; but those that it is not told.

    They are flat because that makes the best run form in the UI. Their descriptions go into the
    docstring too, the only place where Prefect looks for them.
    """
    fields = {
        name: field for name, field in Settings.model_fields.items() if name not in NOT_OF_A_RUN
    }
    texts = [f"    {name}: {field.description}" for name, field in fields.items()]
    spread = _spread(
        function,
        (
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=Annotated[field.annotation, *field.metadata, _described(field)],
            )
            for name, field in fields.items()
        ),
    )
    spread.__doc__ = "\n".join([cleandoc(function.__doc__ or ""), "", "Args:", *texts])
    return spread


def flags(function: Callable[[Settings], R]) -> Callable[..., R]:
    """The function with a flag for each setting, for the command line; one not given is None."""
    return _spread(
        function,
        (
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[_typed(field) | None, flag(name)],
            )
            for name, field in Settings.model_fields.items()
            if name not in Answering.model_fields
        ),
    )


def flag(name: str, group: type[BaseModel] = Settings) -> cyclopts.Parameter:
    """A flag that stands for a setting: its text, choices and default come from there."""
    field = group.model_fields[name]
    notes = {
        "choices": ", ".join(_choices(field)),
        "default": as_typed(field.get_default(call_default_factory=True)),
    }
    shown = "".join(f" [{what}: {text}]" for what, text in notes.items() if text)
    return cyclopts.Parameter(help=f"{field.description}{shown}", show_default=False)


def _spread(function: Callable[[Settings], R], parameters: Iterable[Parameter]) -> Callable[..., R]:
    @wraps(function)
    def call(**given: Any) -> R:
        return function(Settings.load(**given))

    signature = Signature(list(parameters), return_annotation=function.__annotations__["return"])
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
    return call


def _described(field: FieldInfo) -> Any:
    return Field(description=field.description)


def _typed(field: FieldInfo) -> Any:
    """What a flag's text is read as; the settings themselves check all else, and explain it."""
    kinds: tuple[type, ...] = (bool, int, float, Path)
    return next((kind for kind in kinds if field.annotation in (kind, kind | None)), str)


def _choices(field: FieldInfo) -> list[str]:
    kind: Any = field.annotation
    schema = TypeAdapter(kind).json_schema()
    found: list[str] = schema.get("items", schema).get("enum", [])
    return found


def as_typed(value: Any) -> str:
    """A setting's value as one would type it after its flag; empty for None."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
