"""The task that gets hold of the photos, with its progress in megabytes."""

from prefect import task

from catdog.sources.download import recipe
from catdog.store.artifacts import Photos
from catdog.training.progress import progress_folder, write_stage
from tasks.caching import obtained, store

BYTES_IN_A_MEGABYTE = 1_000_000


@task(name="download", task_run_name="download", persist_result=False)
def download(source: str) -> Photos:
    """Fetch and unpack the photos of a source, or take a folder as it is."""
    folder = progress_folder(store().home)

    def publish(done: int, total: int | None) -> None:
        of = f" of {total / BYTES_IN_A_MEGABYTE:.1f}" if total else ""
        write_stage(folder, f"Downloading: {done / BYTES_IN_A_MEGABYTE:.1f}{of} MB")

    return obtained(lambda store: store.obtain(recipe(source, store=store, progress=publish)))
