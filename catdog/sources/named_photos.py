"""Which photos a user means who names files and folders."""

from collections.abc import Iterable
from pathlib import Path

from catdog.errors import PhotosError
from catdog.sources.inventory import is_photo, reading, visible_files


def find_photos(paths: Iterable[Path]) -> list[Path]:
    """The photos that are named, and those in the folders that are named, each folder sorted.

    Hidden files in a folder are left out, as they are from a source.

    Raises PhotosError for a path that does not exist and for a folder without photos, and
    SourceError for a folder that cannot be read.
    """
    found: list[Path] = []
    for path in paths:
        with reading():
            inside = sorted(filter(is_photo, visible_files(path))) if path.is_dir() else None
        if inside is not None:
            if not inside:
                raise PhotosError(f"{path} holds no photos.", "Name photos, or a folder of them.")
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        else:
            raise PhotosError(f"{path} is not a file or folder here.", "Check the path.")
    return found
