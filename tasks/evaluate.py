"""Score one model on the validation and test photos."""

from prefect import task

from catdog.store.artifacts import Arrays, Predictions, TrainedModel
from catdog.training.evaluate import recipe
from tasks.caching import obtained


@task(name="evaluate", task_run_name="evaluate-{model.name}", persist_result=False)
def evaluate(model: TrainedModel, arrays: Arrays) -> Predictions:
    """Predict all validation and test photos with a trained model."""
    return obtained(lambda store: store.obtain(recipe(model, arrays)))
