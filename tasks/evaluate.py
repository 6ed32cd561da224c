"""Score one model on the validation and test photos."""

import logging

from prefect import task

from catdog.errors import TrainingError
from catdog.export import flatbuffer
from catdog.store.artifacts import Arrays, Predictions, TrainedModel
from catdog.store.store import Store
from catdog.training.evaluate import recipe
from tasks.caching import obtained

log = logging.getLogger("catdog.train")


@task(name="evaluate", task_run_name="evaluate-{model.name}", persist_result=False)
def evaluate(model: TrainedModel, arrays: Arrays) -> Predictions:
    """Predict all validation and test photos with a trained model, and ready it for new ones.

    The models of a cross-validation are not for new ones.
    """

    def obtain(store: Store) -> Predictions:
        here = store.own(model)
        predictions = store.obtain(recipe(here, store.own(arrays)))
        if predictions.path in store.made and not arrays.held_out:
            try:
                store.obtain(flatbuffer.recipe(here))
            except TrainingError as error:  # the score still counts; who uses it is told why
                log.warning("%s", error)
        return predictions

    return obtained(obtain, given=model)
