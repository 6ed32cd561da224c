"""The task that finds out how well the best model knows when it does not know."""

import logging

from prefect import task

from catdog.errors import CatdogError
from catdog.export.evidence import recipe
from catdog.store.artifacts import Arrays, Evidence, Manifest, Predictions, TrainedModel
from catdog.store.store import Store
from tasks.caching import obtained

log = logging.getLogger("catdog.run")


@task(name="evidence", task_run_name="evidence-{model.name}", persist_result=False)
def evidence(
    model: TrainedModel, predictions: Predictions, arrays: Arrays, manifest: Manifest
) -> Evidence | None:
    """Gather what a promise about a model's answers is made from.

    None for a model that cannot be converted: its score still counts.
    """

    def obtain(store: Store) -> Evidence:
        return store.obtain(recipe(model, predictions, arrays, manifest, store))

    try:
        return obtained(obtain)
    except CatdogError as error:
        log.warning("%s", error)
        return None
