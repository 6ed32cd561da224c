"""Decode and resize the photos once, for fast reading."""

from prefect import task

from catdog import arrays
from catdog.artifacts import Arrays, Manifest, Photos
from tasks.caching import store, stored_by


def _key(photos: Photos, manifest: Manifest, image_size: int) -> str:
    return arrays.arrays_key(manifest, image_size=image_size)


@task(name="prefetch", task_run_name="prefetch", **stored_by(_key))
def prefetch(photos: Photos, manifest: Manifest, *, image_size: int) -> Arrays:
    """Decode and resize the photos once, for fast reading."""
    return arrays.prefetch(photos, manifest, image_size=image_size, store=store())
