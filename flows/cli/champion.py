"""The commands `catdog champion`: who it is, why, and how to choose another one."""

import json as json_text
from pathlib import Path
from typing import Annotated

from cyclopts import App

from catdog.promotion import tasks
from catdog.promotion.candidates import choose_entrant
from catdog.promotion.decision import Decision
from catdog.promotion.explain import score_text
from catdog.promotion.registry import level_now
from catdog.store.store import Store
from catdog.wording import listing
from flows.cli.terminal import Home, Switch, Task, say, task_of, use
from flows.parameters import flag

champion_app = App(name="champion", help="Show, choose or take back the model that 'predict' uses.")


@champion_app.command
def show(*, json: Switch = False, task: Task = None, home: Home = None) -> None:
    """Show the champion and the decision that made it champion.

    Parameters
    ----------
    json
        Print the newest decision as JSON.
    """
    folder = use(home)
    registry = tasks.registry_of(folder, task_of(task))
    decisions = registry.decisions()
    if not decisions:
        say("There is no champion yet. Start a run: catdog run")
        return
    newest = decisions[-1]
    if json:
        print(json_text.dumps(newest.model_dump(mode="json"), indent=2), flush=True)  # noqa: T201
        return
    say(f"Champion: {newest.champion.title}, {score_text(newest.champion)}.")
    say(f"Model: {newest.champion.model}, trained on {newest.champion.origin}.")
    say(f"Last decision ({newest.at:%Y-%m-%d %H:%M} UTC): {newest.sentence}")
    say(f"The next decision accepts a one-sided p of at most {level_now(decisions):.2g}.")
    if others := [name for name in tasks.tasks(folder) if name != registry.task]:
        say(f"Other tasks have champions of their own (--task): {listing(others)}.")


@champion_app.command
def history(*, task: Task = None, home: Home = None) -> None:
    """List all decisions, the newest last."""
    for decision in tasks.registry_of(use(home), task_of(task)).decisions():
        when = f"{decision.at:%Y-%m-%d %H:%M}"
        say(f"{decision.number:>3}  {when} UTC  {decision.outcome}: {decision.reason}")
        say(f"     {decision.sentence}")


@champion_app.command
def promote(
    run: str,
    /,
    *,
    model: str | None = None,
    task: Annotated[str | None, flag("task")] = None,
    home: Home = None,
) -> None:
    """Make a model champion whatever the test says; the record tells that a person did.

    Parameters
    ----------
    run
        The name of a run, or "latest".
    model
        One of its models. [default: the winner of its report, which is chosen on validation]
    """
    folder = use(home)
    challenger = choose_entrant(Store(folder), run, model)
    _tell(tasks.promote(folder, challenger, task_of(task)), folder)


@champion_app.command
def rollback(*, task: Task = None, home: Home = None) -> None:
    """Go back to the champion before this one."""
    folder = use(home)
    _tell(tasks.registry_of(folder, task_of(task)).rollback(), folder)


def _tell(decision: Decision, home: Path) -> None:
    """Print a decision, and emit its event where a Prefect server is configured."""
    say(decision.sentence)
    from flows.server.client import configured_url

    if url := configured_url():
        from flows.server.login import log_in
        from tasks.shown import announce

        log_in(home, url)
        announce(decision)
