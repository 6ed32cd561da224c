"""What became of the photos between two runs: added, removed, relabelled, moved to another split.

A photo is known by its bytes, so one that was only renamed is neither added nor removed.
"""

from collections import Counter, defaultdict
from typing import NamedTuple

from catdog.store.artifacts import Manifest
from catdog.store.store import Record
from catdog.wording import listing

Row = dict[str, str]
"""Of a manifest."""


class Moved(NamedTuple):
    """A photo that has gone to another class or split."""

    path: str
    before: str
    now: str


class Changes(Record):
    """The usable photos of a run against those of an earlier one; paths are the newer ones."""

    since: str
    """The earlier run."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    relabelled: tuple[Moved, ...] = ()
    renamed: tuple[str, ...] = ()
    resplit: tuple[Moved, ...] = ()
    """A photo that was held out may now be trained on."""

    @property
    def any(self) -> bool:
        """Whether anything has changed."""
        return bool(self.rows)

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """What became of each photo that is not as it was: its path, and what in words."""
        return (
            *((path, "added") for path in self.added),
            *((path, "removed") for path in self.removed),
            *((r.path, f"relabelled: {r.before} to {r.now}") for r in self.relabelled),
            *((path, "renamed") for path in self.renamed),
            *((r.path, f"moved: {r.before} to {r.now}") for r in self.resplit),
        )

    @property
    def sentence(self) -> str:
        """All that has changed, in numbers; says so where nothing has."""
        counted = Counter(what.partition(":")[0] for _, what in self.rows)
        to = {"moved": " to another split"}
        parts = [f"{n:,} {what}{to.get(what, '')}" for what, n in counted.items()]
        return f"Photos: {listing(parts)}." if parts else "The photos are the same."


def compare_manifests(before: Manifest, now: Manifest, *, since: str) -> Changes:
    """What has changed from one manifest, that of the run `since`, to the next.

    Equal copies are told apart by their paths; a file with new content under an old name counts
    as one removed and one added.
    """
    pairs, added, removed = _match(before.rows(), now.rows())

    def moved(column: str) -> tuple[Moved, ...]:
        found = ((b["path"], a[column], b[column]) for a, b in pairs if a[column] != b[column])
        return tuple(Moved(*each) for each in sorted(found))

    renamed = (b["path"] for a, b in pairs if a["path"] != b["path"] and a["label"] == b["label"])
    return Changes(
        since=since,
        added=tuple(sorted(added)),
        removed=tuple(sorted(removed)),
        relabelled=moved("label"),
        renamed=tuple(sorted(renamed)),
        resplit=moved("split"),
    )


def _match(old: list[Row], new: list[Row]) -> tuple[list[tuple[Row, Row]], list[str], list[str]]:
    """Pairs of the same bytes, those of the same path first; then what is left on either side."""
    waiting: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for row in old:
        waiting[row["sha256"]][row["path"]] = row
    pairs, strangers, added = [], [], []
    for row in new:
        if same := waiting[row["sha256"]].pop(row["path"], None):
            pairs.append((same, row))
        else:
            strangers.append(row)
    for row in strangers:
        if copies := waiting[row["sha256"]]:
            pairs.append((copies.popitem()[1], row))
        else:
            added.append(row["path"])
    removed = [path for rows in waiting.values() for path in rows]
    return pairs, added, removed
