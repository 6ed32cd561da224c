"""What the folders say of a photo: its class and, where there are split folders, its split."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from catdog.errors import PhotosError
from catdog.store.artifacts import SPLIT_FOLDERS

HOW = "Make one folder per class, such as cats/ and dogs/, alone or inside train/ and validation/."


@dataclass(frozen=True)
class Layout:
    """Where photos lie. Files outside every class folder are in `outside`."""

    labels: dict[str, str]
    """The class of each path."""
    splits: dict[str, str]
    """The split of each path; empty when the folders name classes only."""
    outside: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return tuple(sorted(set(self.labels.values())))


def read_layout(places: Mapping[str, str], origin: str) -> Layout:
    """Find class and split of each photo in its place (relative, POSIX).

    There are split folders when both `train` and another of SPLIT_FOLDERS are there. Folders
    within a class folder belong to that class.
    places: the place of each path; the path itself, but where a metadata file names the classes.
    origin: what errors call the photos.
    Raises PhotosError when there are fewer than two classes.
    """
    parts = {path: PurePosixPath(place).parts for path, place in places.items()}
    tops = {SPLIT_FOLDERS.get(part[0].lower()) for part in parts.values() if len(part) > 2}
    split = "train" in tops and len(tops - {None}) > 1
    depth = 1 if split else 0
    inside = {
        path: part
        for path, part in parts.items()
        if len(part) > depth + 1 and (not split or part[0].lower() in SPLIT_FOLDERS)
    }
    layout = Layout(
        labels={path: part[depth] for path, part in inside.items()},
        splits={p: SPLIT_FOLDERS[part[0].lower()] for p, part in inside.items()} if split else {},
        outside=tuple(path for path in parts if path not in inside),
    )
    _check(layout, origin)
    return layout


def _check(layout: Layout, origin: str) -> None:
    classes = layout.classes
    if not classes:
        raise PhotosError(f"{origin} has photos but no class folders.", HOW)
    if len(classes) == 1:
        raise PhotosError(f"{origin} has only one class, '{classes[0]}'.", HOW)
