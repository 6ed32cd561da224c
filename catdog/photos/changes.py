"""What became of the photos between two runs: added, removed, relabelled, moved to another split.

A photo is known by its bytes, so one that was only renamed is neither added nor removed.
"""

from collections import defaultdict
from typing import NamedTuple

from catdog.store.artifacts import Manifest
from catdog.store.store import Record
from catdog.wording import listing


class Relabelled(NamedTuple):
    """A photo whose class has changed."""

    path: str
    before: str
    now: str


class Resplit(NamedTuple):
    """A photo that has gone to another split; a held-out one may now be trained on."""

    path: str
    before: str
    now: str


class Changes(Record):
    """The usable photos of a run against those of an earlier one; paths are the newer ones."""

    since: str
    """The earlier run."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    relabelled: tuple[Relabelled, ...] = ()
    renamed: tuple[str, ...] = ()
    resplit: tuple[Resplit, ...] = ()

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
        counted = {
            "added": len(self.added),
            "removed": len(self.removed),
            "relabelled": len(self.relabelled),
            "renamed": len(self.renamed),
            "moved to another split": len(self.resplit),
        }
        parts = [f"{n:,} {what}" for what, n in counted.items() if n]
        return f"Photos: {listing(parts)}." if parts else "The photos are the same."


def compare_manifests(before: Manifest, now: Manifest, *, since: str) -> Changes:
    """What has changed from one manifest, that of the run `since`, to the next.

    Equal copies are told apart by their paths; a file with new content under an old name counts
    as one removed and one added.
    """
    old, new = _rows(before), _rows(now)
    pairs, added, removed = _match(old, new)
    return Changes(
        since=since,
        added=tuple(sorted(added)),
        removed=tuple(sorted(removed)),
        relabelled=tuple(
            sorted(Relabelled(b.path, a.label, b.label) for a, b in pairs if a.label != b.label)
        ),
        renamed=tuple(sorted(b.path for a, b in pairs if a.path != b.path and a.label == b.label)),
        resplit=tuple(
            sorted(Resplit(b.path, a.split, b.split) for a, b in pairs if a.split != b.split)
        ),
    )


class _Row(NamedTuple):
    sha256: str
    path: str
    label: str
    split: str


def _rows(manifest: Manifest) -> list[_Row]:
    return [_Row(**{name: row[name] for name in _Row._fields}) for row in manifest.rows()]


def _match(
    old: list[_Row], new: list[_Row]
) -> tuple[list[tuple[_Row, _Row]], list[str], list[str]]:
    """Pairs of the same bytes, those of the same path first; then what is left on either side."""
    waiting: defaultdict[str, dict[str, _Row]] = defaultdict(dict)
    for row in old:
        waiting[row.sha256][row.path] = row
    pairs, strangers = [], []
    for row in new:
        if row.path in waiting[row.sha256]:
            pairs.append((waiting[row.sha256].pop(row.path), row))
        else:
            strangers.append(row)
    added = []
    for row in strangers:
        if waiting[row.sha256]:
            _, before = waiting[row.sha256].popitem()
            pairs.append((before, row))
        else:
            added.append(row.path)
    removed = [path for rows in waiting.values() for path in rows]
    return pairs, added, removed
