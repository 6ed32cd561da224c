"""The task that settles what the pretrained models start from."""

from prefect import task

from catdog.training import weights
from catdog.training.weights import Weights
from tasks.caching import store


@task(name="weights", task_run_name="weights", persist_result=False)
def find_weights(choice: str, backbone: str) -> Weights:
    """Find the ImageNet weights: never cached, since a better copy may have appeared."""
    return weights.find_weights(choice, backbone=backbone, home=store().home)
