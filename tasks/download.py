"""Fetch and unpack the photos."""

from prefect import task

from catdog import sources
from catdog.artifacts import Photos
from catdog.progress import progress_folder, write_stage
from tasks.caching import store, stored_by

BYTES_IN_A_MEGABYTE = 1_000_000


@task(
    name="download",
    task_run_name="download",
    **stored_by(lambda source: sources.photos_key(source, store=store())),
)
def download(source: str) -> Photos:
    """Fetch and unpack the photos of a source, or take a folder as it is."""
    folder = progress_folder(store().home)

    def publish(done: int, total: int | None) -> None:
        of = f" of {total / BYTES_IN_A_MEGABYTE:.1f}" if total else ""
        write_stage(folder, f"Downloading: {done / BYTES_IN_A_MEGABYTE:.1f}{of} MB")

    return sources.download(source, store=store(), progress=publish)
