"""Let the best model of a run challenge the champion."""

from prefect import task

from catdog.promotion.decision import Decision
from catdog.promotion.rules import entrant
from catdog.promotion.tasks import challenge
from catdog.settings import Promotion
from catdog.store.artifacts import Manifest, Predictions, TrainedModel
from tasks.caching import store
from tasks.shown import announce, publish_decision


@task(name="promote", task_run_name="promote-{model.name}", persist_result=False)
def promote(
    model: TrainedModel,
    predictions: Predictions,
    manifest: Manifest,
    promotion: Promotion,
    *,
    run: str,
    origin: str,
    task: str | None = None,
) -> Decision:
    """Judge a model against the champion: never cached, since the champion may have changed."""
    made = (model, predictions, manifest)
    challenger = entrant(*made, run=run, origin=origin, metric=promotion.metric)
    decision = challenge(store().home, challenger, promotion, task)
    publish_decision(decision)
    announce(decision)
    return decision
