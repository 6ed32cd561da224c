"""Show in the Prefect UI what became of the photos since the last run."""

from prefect.artifacts import create_table_artifact

from catdog.photos.changes import Changes

MOST_ROWS = 500
"""A page that a browser still scrolls well; `comparison.json` has all."""


def publish_changes(changes: Changes) -> None:
    """A table of the photos that were added, removed, relabelled, renamed or moved."""
    create_table_artifact(
        [{"photo": path, "what": what} for path, what in changes.rows[:MOST_ROWS]],
        key="photo-changes",
        description=f"Since run {changes.since}. {changes.sentence}",
    )
