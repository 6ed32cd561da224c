"""Divide all photos into folds for cross-validation: stratified, seeded, copies together."""

from collections import defaultdict

from catdog.errors import PhotosError
from catdog.photos.groups import Group
from catdog.photos.places import places_of
from catdog.settings import Folding
from catdog.store.artifacts import Manifest
from catdog.wording import counted


def assign_folds(manifest: Manifest, folding: Folding, origin: str) -> dict[str, int]:
    """The fold of each photo, from 1: those of every split, a test folder of the source included.

    The pictures of a class are dealt out in the order of their places (`places.py`), so that
    the folds differ by at most one picture of each class, and of all. Photos of one picture or
    group are in one fold, also when they have two classes.

    origin: what errors call the photos. Raises PhotosError when a class has fewer pictures than
    there are folds.
    """
    assert folding.folds is not None, "there are no folds"  # noqa: S101
    rows = {row["path"]: row for row in manifest.rows()}
    places = places_of({path: row["sha256"] for path, row in rows.items()}, folding.seed)
    pictures: defaultdict[str, Group] = defaultdict(tuple)
    for path, picture in manifest.groups().items():
        pictures[picture] += (path,)
    by_class: defaultdict[str, list[Group]] = defaultdict(list)
    for group in (tuple(sorted(paths)) for paths in pictures.values()):
        by_class[rows[group[0]]["label"]].append(group)
    if short := {n: len(by_class[n]) for n in manifest.classes if len(by_class[n]) < folding.folds}:
        which = ", ".join(f"'{label}' ({count})" for label, count in short.items())
        raise PhotosError(
            f"{origin}: too few different pictures for {folding.folds} folds of "
            f"{counted(len(short), 'class', 'classes')}: {which}.",
            "Add photos, or ask for fewer folds.",
        )
    folds: dict[str, int] = {}
    dealt = 0
    for groups in (by_class[label] for label in manifest.classes):
        for group in sorted(groups, key=lambda g: (min(places[path] for path in g), g)):
            folds |= dict.fromkeys(group, dealt % folding.folds + 1)
            dealt += 1
    return folds
