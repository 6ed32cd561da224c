"""The command line `catdog`. Heavy imports wait until a command needs them."""

import os
import re
import sys
import warnings
from argparse import ArgumentError, ArgumentParser
from collections.abc import Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from catdog.configuration import CONFIG, PREFIX, config_file
from catdog.errors import CatdogError, SettingsError
from catdog.machine import DISTRIBUTION
from catdog.settings import ExportFormat, Settings
from flows.cli.terminal import (
    FalseFlags,
    Home,
    Risk,
    Switch,
    Task,
    Threshold,
    err,
    one_line,
    out,
    say,
    share,
    task_of,
    use,
)
from flows.parameters import flags

HELP = """Train image classifiers as one repeatable pipeline, and compare them honestly.

Every setting is a flag, else an environment variable CATDOG_NAME, else a line
of the nearest catdog.toml (or [tool.catdog] of pyproject.toml) here or above,
or of the file that --config FILE names. 'catdog config show' tells them all.

With --remote s3://BUCKET/FOLDER (or gs, az), several homes share what they make.
With --debug, an error shows its whole traceback, and Prefect its own log.
"""
REMOTE = f"{PREFIX}REMOTE"
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended, as shells expect it."""


app = App(
    name="catdog",
    help=HELP,
    help_format="plaintext",  # Markdown would add 0.1 s to --help
    version=lambda: f"catdog {version(DISTRIBUTION)}",
    error_console=err,
    error_formatter=one_line,
    suppress_keyboard_interrupt=False,
)
ELSEWHERE = {
    "flows.cli.listing:models": "List the models with their parameters, and where they come from.",
    "flows.cli.listing:runs": "List past runs, each with its best model, or show one with all of "
    "its models.",
    "flows.cli.reports:report": "Write a past run's report again from what is stored, without "
    "training.",
    "flows.cli.reports:compare": "Compare two past runs on the same test photos, or say why they "
    "cannot be paired.",
    "flows.cli.learn:learn": "Tell what more photos would bring, from parts of those that there "
    "are.",
    "flows.cli.reproduce:reproduce": "Train a past run again, here or elsewhere, and compare the "
    "predictions.",
    "flows.cli.cache:cache_app": "List, measure, verify and prune the stored artifacts.",
    "flows.cli.doctor:doctor": "Examine what a run needs of this machine, with a remedy where "
    "something is amiss.",
    "deployments.api.command:api": "Serve the champion over HTTP, with a page to drop photos on.",
    "deployments.serving:serve": "Start a Prefect server with its UI, and run the deployments when "
    "due.",
    "deployments.operating:deploy": "Register the deployments 'full' and 'smoke' for the workers "
    "of a work pool.",
    "deployments.operating:automations": "Create again what the server watches: failed runs, a new "
    "champion, silence, zombie runs.",
    "flows.cli.config:config_app": "Show the settings and where they come from.",
    "flows.cli.champion:champion_app": "Show, choose or take back the model that 'predict' uses.",
}
"""Commands that are imported when they are called, and what `--help` says of them."""
for place, text in ELSEWHERE.items():
    app.command(place, name=place.partition(":")[2].removesuffix("_app"), help=text)


@app.command
@flags
def run(settings: Settings) -> None:
    """Run the whole pipeline: photos in, models trained in parallel, a comparison out.

    Ctrl-C ends it at once; the same command goes on from the last finished epoch of each model.
    """
    from flows.cli.run import run_flow

    share(settings)
    run_flow(settings, out)


@app.command
def predict(
    photos: list[Path],
    /,
    *,
    model: str | None = None,
    task: Task = None,
    calibrated: Switch = False,
    threshold: Threshold = None,
    risk: Risk = None,
    false_flags: FalseFlags = None,
    json: Switch = False,
    csv: Path | None = None,
    home: Home = None,
) -> int:
    """Classify photos: the predicted class and its confidence.

    Parameters
    ----------
    photos
        Photos, or folders of photos; '-' reads one from standard input.
    model
        A model of the newest run that has it, or the folder of an export. [default: the champion]
    calibrated
        Give the confidence at the temperature that was fitted on validation.
    json
        Print JSON instead of a table.
    csv
        Write the table to this file; '-' is standard output.
    """
    from catdog.export.load import load
    from flows.cli.predict import named, predict_photos

    files = named(photos)
    folder = use(home)
    classifier = load(
        model,
        task=task,
        calibrated=calibrated,
        threshold=threshold,
        risk=risk,
        false_flags=false_flags,
        home=folder,
    )
    return predict_photos(files, classifier, as_json=json, csv=csv)


@app.command
def export(
    model: str | None = None,
    /,
    *,
    format: Annotated[ExportFormat, Parameter(help="How the model is written.")] = "litert",  # noqa: A002
    to: Path,
    task: Task = None,
    home: Home = None,
) -> None:
    """Write a model into a folder, for use without catdog, when it has passed a replay.

    Parameters
    ----------
    model
        A model of the newest run that has it. [default: the champion]
    to
        The folder: a new or an empty one.
    """
    from catdog.export.export import export as write

    replay = write(model, format, to, use(home), task_of(task))
    say(f"{to} holds the model, its labels, preprocessing, card and example. {replay.sentence}")


app.register_install_completion_command(
    help="Let the shell complete commands and flags: bash, zsh or fish."
)


def _for_all_commands(arguments: Sequence[str] | None) -> tuple[bool, list[str]]:
    """Take out the flags that every command has: whether to debug, and the words that remain."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _require_values(arguments)
    parser = ArgumentParser(prog="catdog", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--remote", metavar="URL", nargs="?", const="")
    try:
        given, words = parser.parse_known_args(arguments)
    except ArgumentError as error:
        problem = f"{error.argument_name}: {error.message}."
        raise SettingsError(problem, "See 'catdog --help'.") from error
    if given.config:  # for the processes that it starts, too
        os.environ[CONFIG] = given.config
        os.environ[CONFIG] = str(config_file())
    if given.remote:
        os.environ[REMOTE] = given.remote
    if given.remote is not None:
        words = _of_the_remote(words, given.remote)
    if words[:1] == ["predict"]:  # alone it knows '-', which would be taken for a flag
        words = ["./-" if word == "-" else word for word in words]
    return given.debug, words


def _of_the_remote(words: list[str], url: str) -> list[str]:
    """Give `--remote` on to the commands that housekeep there; all others only take its value."""
    if words[:1] == ["cache"]:
        return [*words, "--remote"]
    if not url:
        raise SettingsError("Nothing is given after --remote.", "Write s3://BUCKET/FOLDER.")
    return words


def _require_values(words: Sequence[str]) -> None:
    """Raise SettingsError for an empty word: as a path, it would be the working folder."""
    for before, word in pairwise(["catdog", *words]):
        if not word or re.fullmatch(r"--[\w-]+=", word):
            raise SettingsError(
                f"Nothing is given after {word.rstrip('=') or before}.",
                "Give it a value: is a variable of your shell not set?",
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; any problem is one line on standard error."""
    debug = False
    try:
        debug, words = _for_all_commands(arguments)
        if not debug:
            os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
            warnings.simplefilter("ignore")  # PYTHONWARNINGS=error is for the user's own code
        try:
            sys.exit(app(words, exit_on_error=True))
        finally:
            sys.stdout.flush()  # else the end of the process does, where nobody handles its error
    except CatdogError as error:
        if debug:
            raise
        err.print(one_line(error), highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("Interrupted.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        out.on_broken_pipe()  # the reader has seen enough
    except Exception as error:
        if debug:
            raise
        from flows.cli.last_resort import unexpected

        err.print(one_line(unexpected(error)), highlight=False)
        sys.exit(os.EX_SOFTWARE)


if __name__ == "__main__":
    main()
