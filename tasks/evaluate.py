"""Score one model on the validation and test photos."""

from prefect import task

from catdog import evaluation
from catdog.artifacts import Arrays, Predictions, TrainedModel
from tasks.caching import store, stored_by


@task(
    name="evaluate",
    task_run_name="evaluate-{model.name}",
    **stored_by(evaluation.predictions_key),
)
def evaluate(model: TrainedModel, arrays: Arrays) -> Predictions:
    """Predict all validation and test photos with a trained model."""
    return evaluation.evaluate(model, arrays, store=store())
