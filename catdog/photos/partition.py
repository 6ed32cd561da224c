"""Cut photos into training, validation and test: seeded, the same everywhere, stable as they grow.

Each photo has a place between 0 and 1 that its content and the seed alone decide. Training takes
the lower places and the test set the upper ones, so that a photo stays in its split whatever is
added beside it, and whatever it is renamed to. The price: the counts of the splits vary, as those
of tossed coins do (of 1,000 held-out photos 192 +- 12 are test photos).

Pictures that are there several times stay together, at the lowest of their places. One more copy
can thus take a picture out of the test set, and never into it.

What is left: where a split would have no photo of a class, it is given the nearest. While that
lasts (in classes of fewer than about 30 photos: `benchmarks/growing_split.py` counts them), or when
copies are taken away, a photo may still become a test photo later. So may a picture that was saved
anew and whose first file is gone: its content is another one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from catdog.store.artifacts import SPLITS
from catdog.store.digest import value_digest

Group = tuple[str, ...]

KNOWN = tuple(
    [f"validation/{species}s/{name.format(species, number)}.jpg" for number in numbers]
    for name, numbers in (("{}.{}", range(2000, 2500)), ("drawn-{}-{:04}", range(1, 101)))
    for species in ("cat", "dog")
)
"""The held-out photos of two sets that do not grow, by class: the official archive, the sample."""
FILLED_FIRST = ("test", "train", "validation")


def partition(
    digests: Mapping[str, str],
    labels: Mapping[str, str],
    groups: Iterable[Group],
    *,
    seed: int,
    held_out: float,
    test: float,
) -> dict[str, str]:
    """The split of each photo.

    digests: SHA-256 of each photo's file by its path; labels: its class. groups: paths of the same
    picture. held_out: the share of all photos that is held out, 1 for those of a validation folder
    (no training photo is then wanted); test: the share of the held-out photos that is kept for the
    test, 0 for those of a training folder beside a test folder. A class has at least one picture in
    each split that is wanted as long as it has enough of them.
    """
    places = {path: place(seed, path, digest) for path, digest in digests.items()}
    lowest = {group: min(places[path] for path in group) for group in grouped(digests, groups)}
    unwanted = {"train": held_out == 1, "test": test == 0}
    wanted = [part for part in FILLED_FIRST if not unwanted.get(part)]
    splits = {group: _split(low, held_out, test) for group, low in lowest.items()}
    ordered = sorted(lowest, key=lambda group: (lowest[group], group))
    for label in sorted(set(labels.values())):
        _fill([g for g in ordered if label in {labels[path] for path in g}], splits, wanted)
    return {path: split for group, split in splits.items() for path in group}


def place(seed: int, path: str, digest: str) -> float:
    """Where a photo stands between 0 and 1.

    The first 52 bits of the SHA-256 of the JSON array [seed, digest of its file]. The photos of
    KNOWN, told by their paths, are spread evenly instead, so that the official archive has exactly
    96 test photos of each class with the default share.
    """
    even = _even_places(seed).get(path)
    return int(value_digest([seed, digest])[:13], 16) / 16**13 if even is None else even


@cache
def _even_places(seed: int) -> dict[str, float]:
    """Places by rank: the lowest SHA-256 of the JSON array [seed, path] has the highest place."""
    places = dict[str, float]()
    for paths in KNOWN:
        ranked = sorted(paths, key=lambda path: value_digest([seed, path]))
        places |= {path: 1 - (rank + 0.5) / len(paths) for rank, path in enumerate(ranked)}
    return places


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
