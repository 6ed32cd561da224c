"""Show in the Prefect UI what became of the photos since the last run."""

from collections.abc import Iterable

from prefect.artifacts import create_table_artifact

from catdog.changes import Changes

MOST_ROWS = 500
"""A page that a browser still scrolls well; the log has the whole counts."""


def publish_changes(changes: Changes) -> None:
    """A table of the photos that were added, removed, relabelled, renamed or moved."""
    create_table_artifact(
        [{"photo": path, "what": what} for path, what in _rows(changes)][:MOST_ROWS],
        key="photo-changes",
        description=changes.sentence,
    )


def _rows(changes: Changes) -> Iterable[tuple[str, str]]:
    yield from ((path, "added") for path in changes.added)
    yield from ((path, "removed") for path in changes.removed)
    yield from ((r.path, f"relabelled: {r.before} to {r.now}") for r in changes.relabelled)
    yield from ((path, "renamed") for path in changes.renamed)
    yield from ((r.path, f"moved: {r.before} to {r.now}") for r in changes.resplit)
