"""Which model of which run: to be used, or to be champion."""

from typing import NamedTuple

from catdog.errors import StoreError
from catdog.history.runs import load_run, load_runs
from catdog.metric import ACCURACY
from catdog.promotion.decision import DEFAULT
from catdog.promotion.rules import Entrant, entrant
from catdog.promotion.tasks import registry_of
from catdog.store.artifacts import Manifest, Predictions, TrainedModel
from catdog.store.store import Store


class Chosen(NamedTuple):
    """A model to be used, and how it was tested."""

    model: TrainedModel
    predictions: Predictions | None
    """None when they are no longer stored."""
    run: str
    task: str | None = None
    """Whose champion it is, where that has a name; else None."""


def choose_model(store: Store, name: str | None, task: str | None = None) -> Chosen:
    """The model of this name in the newest run that has it; without a name, the champion of a task.

    Where there is no champion at all, the newest run's best on validation; a cross-validation has
    no model to be used. Raises StoreError when there is none, or no champion of the task.
    """
    if name is None:
        registry = registry_of(store.home, task)
        if champion := registry.champion():
            predictions = registry.store.find(Predictions, champion.predictions)
            named = None if registry.task == DEFAULT else registry.task
            return Chosen(registry.model_of(champion), predictions, champion.run, named)
    for run in reversed(load_runs(store)):
        for score in run.design.to_use(tuple(run.finished(name))):
            if model := run.find(TrainedModel, store, score):
                return Chosen(model, run.find(Predictions, store, score), run.id)
    what = f"'{name}'" if name else "model"
    raise StoreError(f"There is no trained {what} in {store.home}.", "Train one: 'catdog run'.")


def choose_entrant(store: Store, run_name: str, model_name: str | None) -> Entrant:
    """The model of this name of a run, with what is needed to judge it; without, its winner.

    The winner is the one that challenged the champion after the run. Raises StoreError when there
    is no such run, model or winner, or its artifacts are gone.
    """
    run = load_run(run_name, store)
    if not run.design.usable:
        raise StoreError(
            f"Run {run.id} is a cross-validation: no model of it was trained on all it may use.",
            "Promote a model of a run without folds.",
        )
    best = next(iter(run.finished(model_name)), None) if model_name else run.winner()
    if best is None:
        wanted = f"finished model '{model_name}'" if model_name else "report that names a winner"
        names = ", ".join(dict.fromkeys(score.name for score in run.finished())) or "none"
        raise StoreError(f"Run {run.id} has no {wanted}.", f"For --model there are: {names}.")
    return entrant(
        run.stored(TrainedModel, store, best),
        run.stored(Predictions, store, best),
        run.stored(Manifest, store),
        run=run.id,
        origin=run.source,
        metric=str(run.settings.get("metric", ACCURACY)),
    )
