"""The commands `catdog champion`: who it is, why, and how to choose another one."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from catdog.errors import StoreError
from catdog.store.store import Store
from flows.cli.app import Home, Switch, out, use

if TYPE_CHECKING:
    from catdog.champion.rules import Decision, Entrant
    from catdog.runs import Run

champion_app = App(name="champion", help="Show, choose or take back the model that 'predict' uses.")


@champion_app.command
def show(*, json: Switch = False, home: Home = None) -> None:
    """Show the champion and the decision that made it champion.

    Parameters
    ----------
    json
        Print the newest decision as JSON.
    """
    decisions = _decisions(use(home=home).home)
    if not decisions:
        _say("There is no champion yet. Start a run: catdog run")
        return
    newest = decisions[-1]
    if json:
        print(json_text.dumps(newest.model_dump(mode="json"), indent=2))  # noqa: T201
        return
    from catdog.champion.rules import score_text, title

    _say(f"Champion: {title(newest.champion)}, {score_text(newest.champion)}.")
    _say(f"Model: {newest.champion.model}, trained on {newest.champion.origin}.")
    _say(f"Last decision ({newest.at:%Y-%m-%d %H:%M} UTC): {newest.sentence}")
    if newest.challenger:
        _say(f"Models judged on this test set so far: {newest.test_set_uses}.")


@champion_app.command
def history(*, home: Home = None) -> None:
    """List all decisions, the newest last."""
    for decision in _decisions(use(home=home).home):
        when = f"{decision.at:%Y-%m-%d %H:%M}"
        _say(f"{decision.number:>3}  {when} UTC  {decision.outcome}: {decision.reason}")
        _say(f"     {decision.sentence}")


@champion_app.command
def promote(run: str, /, *, model: str | None = None, home: Home = None) -> None:
    """Make a model champion whatever the test says; the record tells that a person did.

    Parameters
    ----------
    run
        The name of a run, or "latest".
    model
        One of its models. [default: its best on validation]
    """
    from catdog.champion.registry import Registry

    folder = use(home=home).home
    _tell(Registry(folder).promote(_entrant(Store(folder), run, model)), folder)


@champion_app.command
def rollback(*, home: Home = None) -> None:
    """Go back to the champion before this one."""
    from catdog.champion.registry import Registry

    folder = use(home=home).home
    _tell(Registry(folder).rollback(), folder)


def print_decision(run: "Run", home: Path) -> None:
    """Print what became of a run's challenger, if it had one."""
    for decision in reversed(_decisions(home)):
        if decision.challenger and decision.challenger.run == run.id:
            _say(f"Champion: {decision.sentence}")
            return


def _decisions(home: Path) -> "list[Decision]":
    from catdog.champion.registry import Registry

    return Registry(home).decisions()


def _entrant(store: Store, run_name: str, model_name: str | None) -> "Entrant":
    from catdog.champion.rules import entrant
    from catdog.runs import load_run
    from catdog.store.artifacts import Manifest, Predictions, TrainedModel

    run = load_run(run_name, store)
    scores = [s for s in run.scores if not s.error and model_name in (None, s.name)]
    if not scores:
        names = ", ".join(dict.fromkeys(s.name for s in run.scores if not s.error)) or "none"
        raise StoreError(
            f"Run {run.id} has no finished model '{model_name or ''}'.", f"It has: {names}."
        )
    best = max(scores, key=lambda score: score.validation_accuracy or 0)
    label = f"{best.name} {best.seed}"
    model: TrainedModel | None = store.find(TrainedModel, run.artifacts[f"model {label}"])
    predictions: Predictions | None = store.find(Predictions, run.artifacts[f"predictions {label}"])
    manifest: Manifest | None = store.find(Manifest, run.artifacts["manifest"])
    if model is None or predictions is None or manifest is None:
        raise StoreError(
            f"The artifacts of {best.name} of run {run.id} are gone.", "Run it again: 'catdog run'."
        )
    return entrant(model, predictions, manifest, run=run.id, origin=str(run.settings["source"]))


def _tell(decision: "Decision", home: Path) -> None:
    """Print a decision, and emit its event where a Prefect server is configured."""
    _say(decision.sentence)
    from flows.server import configured_url

    if url := configured_url():
        from flows.login import log_in
        from tasks.promote import announce

        log_in(home, url)
        announce(decision)


def _say(text: str) -> None:
    out.print(text, highlight=False, soft_wrap=True, markup=False)
