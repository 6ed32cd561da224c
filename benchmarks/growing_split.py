"""Does a photo become a test photo that was in another split before? Counted in growing sources.

Each source has two classes and grows by a tenth every week; so many of its new photos show a
picture that was there before, which may bring several older ones together with it.
"""

import argparse
import hashlib
from collections.abc import Iterator

import numpy as np

from catdog.photos.partition import partition
from catdog.photos.places import places_of
from catdog.settings import Settings

WEEKS = 10
GROWTH = 0.1


def weekly_splits(photos: int, copies: float, seed: int) -> Iterator[dict[str, str]]:
    """The split of each photo in each week; photos: of each class at the start."""
    rng, cut = np.random.default_rng(seed), Settings.of({"seed": seed})
    pictures: list[tuple[str, ...]] = []
    for week in range(WEEKS + 1):
        new = photos if week == 0 else round(photos * GROWTH)
        for number, label in ((n, label) for n in range(new) for label in ("cats", "dogs")):
            same = [i for i, group in enumerate(pictures) if group[0].startswith(label)]
            path = f"{label}/{week}-{number}"
            if week and rng.random() < copies:
                pictures[rng.choice(same)] += (path,)
            else:
                pictures.append((path,))
        paths = [path for group in pictures for path in group]
        yield partition(
            places_of(
                {path: hashlib.sha256(f"{seed} {path}".encode()).hexdigest() for path in paths},
                cut.seed,
            ),
            {path: path.split("/")[0] for path in paths},
            pictures,
            held_out=cut.validation_share,
            test=cut.test_share,
        )


def turncoats(photos: int, copies: float, seed: int) -> tuple[int, int, int]:
    """Photos in all after the last week; those that became a test photo, and that ceased to be."""
    trusted, tested = set[str](), set[str]()
    became, ceased = set[str](), set[str]()
    splits: dict[str, str] = {}
    for splits in weekly_splits(photos, copies, seed):
        tests = {path for path, split in splits.items() if split == "test"}
        became |= tests & trusted
        ceased |= tested - tests
        tested, trusted = tests, trusted | (splits.keys() - tests)
    return len(splits), len(became), len(ceased)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=1_000)
    given = parser.parse_args()

    print("| Photos a class | Copies | Became a test photo | in sources | Ceased to be one |")
    print("|--:|--:|--:|--:|--:|")
    for photos in (10, 30, 100, 300):
        sources = max(50, given.sources * 10 // photos)
        for copies in (0.0, 0.1):
            counts = np.array([turncoats(photos, copies, seed) for seed in range(sources)])
            every, became, ceased = counts.sum(axis=0)
            print(
                f"| {photos} to {photos + WEEKS * round(photos * GROWTH)} | {copies:.0%} "
                f"| {became:,} of {every:,} | {(counts[:, 1] > 0).sum():,} of {sources:,} "
                f"| {ceased:,} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
