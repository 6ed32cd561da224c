"""Check every photo and divide them into training, validation and test."""

from typing import Literal

from prefect import task

from catdog.photos import split as manifest
from catdog.store.artifacts import Manifest, Photos
from tasks.caching import obtained


@task(name="split", task_run_name="split", persist_result=False)
def split(
    photos: Photos,
    *,
    seed: int,
    validation_share: float,
    test_share: float,
    duplicates: Literal["drop", "keep"],
) -> Manifest:
    """Check every photo and divide them into training, validation and test."""
    return obtained(
        lambda store: manifest.split(
            photos,
            seed=seed,
            validation_share=validation_share,
            test_share=test_share,
            duplicates=duplicates,
            store=store,
        )
    )
