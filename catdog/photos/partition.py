"""Cut photos into training, validation and test: seeded, the same everywhere, stable as they grow.

Each photo has a place between 0 and 1, which `places.py` takes from its content and the seed.
Training takes the lower places and the test set the upper ones, so that a photo stays in its split
whatever is added next to it, and whatever it is renamed to. The price: the counts of the splits
vary, as those of tossed coins do (of 1,000 held-out photos 192 +- 12 are test photos).

Pictures that are there several times stay together, at the lowest of their places. One more copy
can thus take a picture out of the test set, and never into it.

What is left: where a split would have no photo of a class, it is given the nearest. While that
lasts (in classes of fewer than about 30 photos: `benchmarks/growing_split.py` counts them), or when
copies are taken away, a photo may still become a test photo later. So may a picture that was saved
again and whose first file is gone: its content is another one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from catdog.photos.groups import Group
from catdog.store.artifacts import SPLITS

FILLED_FIRST = ("test", "train", "validation")


def partition(
    places: Mapping[str, float],
    labels: Mapping[str, str],
    groups: Iterable[Group],
    *,
    held_out: float,
    test: float,
) -> dict[str, str]:
    """The split of each photo.

    places: that of each photo (0 to 1) by its path; labels: its class. groups: paths of the same
    picture. held_out: the share of all photos that is held out, 1 for those of a validation folder
    (no training photo is then wanted); test: the share of the held-out photos that is kept for the
    test, 0 for those of a training folder next to a test folder. A class has at least one picture
    in each split that is wanted as long as it has enough of them.
    """
    lowest = {group: min(places[path] for path in group) for group in grouped(places, groups)}
    unwanted = {"train": held_out == 1, "test": test == 0}
    wanted = [part for part in FILLED_FIRST if not unwanted.get(part)]
    splits = {group: _split(low, held_out, test) for group, low in lowest.items()}
    ordered = sorted(lowest, key=lambda group: (lowest[group], group))
    for label in sorted(set(labels.values())):
        _fill([g for g in ordered if label in {labels[path] for path in g}], splits, wanted)
    return {path: split for group, split in splits.items() for path in group}


def grouped(paths: Iterable[str], groups: Iterable[Group]) -> list[Group]:
    """The groups, each sorted, and each other photo as a group of its own."""
    ordered = [tuple(sorted(group)) for group in groups]
    together = {path for group in ordered for path in group}
    return [*ordered, *((path,) for path in paths if path not in together)]


def _split(low: float, held_out: float, test: float) -> str:
    if low < 1 - held_out:
        return "train"
    return "validation" if low < 1 - held_out * test else "test"


def _fill(ordered: Sequence[Group], splits: dict[Group, str], wanted: Iterable[str]) -> None:
    """Give each empty split of a class the nearest group of a split that can spare one.

    ordered: the groups of the class by their places.
    """
    for part in wanted:
        counts = Counter(splits[group] for group in ordered)
        spare = [group for group in ordered if counts[splits[group]] > 1]
        if counts[part] or not spare:
            continue
        below = [g for g in spare if SPLITS.index(splits[g]) < SPLITS.index(part)]
        splits[below[-1] if below else spare[0]] = part
