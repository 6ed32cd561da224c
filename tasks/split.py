"""The task that decides which photos count, and what each is for."""

from prefect import task

from catdog.photos.split import recipe
from catdog.settings import Cut
from catdog.store.artifacts import Manifest, Photos
from tasks.caching import obtained


@task(name="split", task_run_name="split", persist_result=False)
def split(photos: Photos, cut: Cut, folds: int | None = None) -> Manifest:
    """Check every photo and divide them into training, validation and test."""
    return obtained(lambda store: store.obtain(recipe(photos, cut, folds)))
