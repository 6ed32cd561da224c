"""The settings as parameters: of the flow and its run form, and of the command line."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, cleandoc, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar

import cyclopts
from pydantic import BaseModel, Field, TypeAdapter
from pydantic.fields import FieldInfo

from catdog.settings import NOT_OF_A_RUN, SECTIONS, Limits, Settings

R = TypeVar("R")


def run_form(function: Callable[[Settings], R]) -> Callable[..., R]:
    """The function with a parameter for each setting, for a flow; but those that it is not told.

    They are flat because that makes the best run form in the UI, and are given one by one by
    `prefect deployment run -p`; their titles and their order show the sections. Their descriptions
    go into the docstring too, the only place where Prefect looks for them.
    """
    told = (name for name in Settings.model_fields if name not in NOT_OF_A_RUN)
    in_order = sorted(told, key=lambda name: SECTIONS.index(Settings.section_of(name)))
    fields = {name: Settings.model_fields[name] for name in in_order}
    texts = [f"    {name}: {field.description}" for name, field in fields.items()]
    kinds = {n: (field.default, _in_form(n, field)) for n, field in fields.items()}
    spread = _spread(function, kinds)
    spread.__doc__ = "\n".join([cleandoc(function.__doc__ or ""), "", "Args:", *texts])
    return spread


def flags(function: Callable[..., R]) -> Callable[..., R]:
    """The function with flags in place of the settings, or the group of them, that it takes.

    For the command line. A flag that is not given is None.
    """
    _, group = _group_of(function)
    shown = {
        name: field
        for name, field in group.model_fields.items()
        if name in ("home", "remote") or name not in NOT_OF_A_RUN
    }
    kinds = {
        name: Annotated[_typed(field) | None, flag(name, group), _panel(group.section_of(name))]
        for name, field in shown.items()
    }
    return _spread(function, {name: (None, kind) for name, kind in kinds.items()})


def flag(name: str, group: type[BaseModel] = Settings) -> cyclopts.Parameter:
    """A flag that stands for a setting: its text, choices and default come from there."""
    field = group.model_fields[name]
    notes = {
        "choices": ", ".join(_choices(field)),
        "default": as_typed(field.get_default(call_default_factory=True)),
    }
    shown = "".join(f" [{what}: {text}]" for what, text in notes.items() if text)
    return cyclopts.Parameter(help=f"{field.description}{shown}", show_default=False)


def _panel(section: str) -> cyclopts.Parameter:
    """Where `--help` shows a flag."""
    place = SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)
    return cyclopts.Parameter(group=cyclopts.Group(section, sort_key=place))


def _in_form(name: str, field: FieldInfo) -> Any:
    """A setting's type for the run form; Prefect gives each the bare name as its title."""
    title = Field(json_schema_extra={"title": f"{Settings.section_of(name)}: {name}"})
    return Annotated[field.annotation, field, title]


def _spread(function: Callable[..., R], fields: Mapping[str, tuple[Any, Any]]) -> Callable[..., R]:
    """The function with keywords in place of its settings. fields: their defaults and types."""
    taken, group = _group_of(function)

    @wraps(function)
    def call(**given: Any) -> R:
        settings = group.load(**{name: given.pop(name) for name in fields if name in given})
        return function(**given, **{taken: settings})

    keywords = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (default, kind) in fields.items()
    ]
    parameters = [
        each
        for own in signature(function).parameters.values()
        for each in (keywords if own.name == taken else [own])
    ]
    call.__signature__ = signature(function).replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _group_of(function: Callable[..., Any]) -> tuple[str, type[Settings | Limits]]:
    """The parameter that takes settings, and what kind of them."""
    kinds = function.__annotations__.items()
    return next((name, kind) for name, kind in kinds if kind in (Settings, Limits))


def _typed(field: FieldInfo) -> Any:
    """What a flag's text is read as; the settings themselves check all else, and explain it."""
    kinds: tuple[type, ...] = (bool, int, float, Path)
    return next((kind for kind in kinds if field.annotation in (kind, kind | None)), str)


def _choices(field: FieldInfo) -> list[str]:
    kind: Any = field.annotation
    schema = TypeAdapter(kind).json_schema()
    each = schema.get("items", schema)
    found: list[str] = next(iter(each.get("anyOf", [each]))).get("enum", [])
    return found


def as_typed(value: Any) -> str:
    """A setting's value as one would type it after its flag; empty for None."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
