"""The commands `catdog config`: what is set, by what, and what a file may say."""

import json

from cyclopts import App

from catdog.addresses import without_secrets
from catdog.configuration import config_file, given_values
from catdog.settings import Settings, schema
from flows.cli.terminal import out, say, table
from flows.parameters import as_typed

config_app = App(name="config", help="Show the settings and where they come from.")


@config_app.command
def show() -> None:
    """Show each setting, its value, and what sets it: a variable, the file, or the default."""
    settings, given, file = Settings.load(), given_values({}, Settings.model_fields), config_file()
    shown = table("setting", "value", "from")
    for name in Settings.model_fields:
        value = as_typed(getattr(settings, name))
        origin = given[name].origin if name in given else "default"
        shown.add_row(name, without_secrets(value), "the file" if origin == str(file) else origin)
    say(f"Configuration file: {file or 'none'}")
    out.print(shown)


@config_app.command(name="schema")
def print_schema() -> None:
    """Print the JSON schema of catdog.toml, by which editors check it and complete names."""
    print(json.dumps(schema(), indent=2))  # noqa: T201
