"""Photos that belong together: of one picture, or of one patient, product, animal, ...

All photos of a group are in one split and in one fold, and count together in tests and intervals.
"""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from string import digits
from typing import TypeVar

import numpy as np

from catdog.errors import PhotosError
from catdog.settings import FOLDER
from catdog.wording import escaped

Group = tuple[str, ...]
Item = TypeVar("Item", bound=Hashable)

ALIKE = 30
"""Photos of one name but for its number, at most, that may be of one thing: cat.1 to cat.1000 are
not."""
TELLING = 0.1
"""The share of all photos that must look related across splits: a few always do."""
BURST_SECONDS = 2
"""Between two shots of a burst."""


def group_names(given: Mapping[str, str], how: str | None) -> dict[str, str]:
    """The name of each photo's group; photos that belong to none are left out.

    given: the names in a metadata file by path; all paths. how: as the setting `group_by`.
    """
    found = {path: name or (_name(path, how) if how else "") for path, name in given.items()}
    return {path: name for path, name in found.items() if name}


def _name(path: str, how: str) -> str:
    if how == FOLDER:
        return PurePosixPath(path).parent.as_posix()
    found = re.search(how, path)
    if not found:
        return ""
    return (found[1] if found.re.groups else found[0]) or ""


def joined(items: Sequence[Item], links: Iterable[Sequence[Item]]) -> list[tuple[Item, ...]]:
    """Groups of two or more of these, each in their order: all that are linked, also by others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = {item: number for number, item in enumerate(items)}
    ends = [(place[link[0]], place[other]) for link in links for other in link[1:]]
    rows, columns = np.array(ends, dtype=np.intp).reshape(-1, 2).T
    graph = coo_array((np.ones(len(ends)), (rows, columns)), shape=(len(place),) * 2)
    _, component = connected_components(graph, directed=False)
    found: defaultdict[int, list[Item]] = defaultdict(list)
    for item, number in zip(items, component.tolist(), strict=True):
        found[number].append(item)
    return [tuple(group) for group in found.values() if len(group) > 1]


def same_name(names: Mapping[str, str]) -> list[Group]:
    """The photos of each group by its name."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, name in names.items():
        found[name].append(path)
    return [tuple(group) for group in found.values()]


def require_whole(names: Mapping[str, str], parts: Mapping[str, str], origin: str) -> None:
    """Raise PhotosError that names a group whose photos lie in two given splits.

    names: the group of each photo; parts: its split folder.
    """
    for first, *others in same_name(names):
        if other := next((path for path in others if parts[path] != parts[first]), None):
            raise PhotosError(
                f"{origin}: the group '{escaped(names[first][:80])}' is in two splits, with "
                f"{first} and {other}.",
                "Move all its photos to one of them, or give the photos without split folders.",
            )


def suspicion(parts: Mapping[str, str], taken: Mapping[str, str]) -> str:
    """A sentence where many photos of different parts seem to belong together; else empty.

    They have the same name but for a number at its end, or were taken in a burst.
    parts: the split or fold of each photo by its path; taken: EXIF's time, where there is one.
    """
    alike = [g for g in same_name({p: _stem(p) for p in parts}) if 1 < len(g) <= ALIKE]
    found = {"named alike but for a number": alike, "taken within seconds": _bursts(taken)}
    for how, groups in found.items():
        across = [group for group in groups if len({parts[path] for path in group}) > 1]
        photos = sum(map(len, across))
        if photos >= TELLING * len(parts):
            first = across[0]
            other = next(path for path in first if parts[path] != parts[first[0]])
            return (
                f"{photos:,} photos in different parts of the data are {how}, such as {first[0]} "
                f"({parts[first[0]]}) and {other} ({parts[other]}). If they show the same thing, "
                "the scores are too high: say which belong together with --group-by."
            )
    return ""


def _stem(path: str) -> str:
    place = PurePosixPath(path)
    return f"{place.parent.name}/{place.stem.rstrip(digits) or place.stem}"


def _bursts(taken: Mapping[str, str]) -> list[Group]:
    import pandas as pd

    times = pd.to_datetime(pd.Series(taken), format="%Y:%m:%d %H:%M:%S", errors="coerce").dropna()
    times = times.sort_values(kind="stable")
    apart = times.diff().dt.total_seconds().gt(BURST_SECONDS).cumsum()
    return [tuple(map(str, of.index)) for _, of in times.groupby(apart) if len(of) > 1]
