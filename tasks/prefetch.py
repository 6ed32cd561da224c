"""The task that readies the photos for training and scoring."""

from prefect import task

from catdog.photos.prefetch import recipe
from catdog.settings import Decoding, Folding
from catdog.store.artifacts import Arrays, Manifest, Photos
from tasks.caching import obtained


@task(name="prefetch", task_run_name="prefetch", persist_result=False)
def prefetch(photos: Photos, manifest: Manifest, decoding: Decoding, folding: Folding) -> Arrays:
    """Decode and resize the photos once, for fast reading."""
    return obtained(lambda store: store.obtain(recipe(photos, manifest, decoding, folding)))
