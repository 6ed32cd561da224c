"""What the run form in Prefect's UI says of each parameter of the flow."""

from collections.abc import Callable
from inspect import cleandoc, signature
from typing import TypeVar

from catdog.settings import Settings

F = TypeVar("F", bound=Callable[..., object])


def described(function: F) -> F:
    """Write the settings' descriptions into the docstring, the only place where Prefect looks.

    The descriptions in the annotations do not reach the schema that it makes of the parameters.
    """
    names = signature(function).parameters
    texts = [f"    {name}: {Settings.model_fields[name].description}" for name in names]
    function.__doc__ = "\n".join([cleandoc(function.__doc__ or ""), "", "Args:", *texts])
    return function
