"""Decode and resize the photos once, for fast reading."""

from prefect import task

from catdog.photos import prefetch as arrays
from catdog.store.artifacts import Arrays, Manifest, Photos
from tasks.caching import obtained


@task(name="prefetch", task_run_name="prefetch", persist_result=False)
def prefetch(photos: Photos, manifest: Manifest, *, image_size: int) -> Arrays:
    """Decode and resize the photos once, for fast reading."""
    return obtained(
        lambda store: arrays.prefetch(photos, manifest, image_size=image_size, store=store)
    )
