"""The partition itself, on lists of names."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.photos.partition import partition
from catdog.photos.places import places_of
from catdog.store.artifacts import SPLITS


def named(counts: Sequence[int], folder: str = "") -> dict[str, str]:
    return {
        f"{folder}class{c}/{i}.jpg": f"class{c}" for c, n in enumerate(counts) for i in range(n)
    }


def cut(
    labels: Mapping[str, str],
    groups: Sequence[tuple[str, ...]] = (),
    *,
    seed: int = 1,
    held_out: float = 0.4,
    test: float = 0.3,
) -> dict[str, str]:
    """Partition photos whose content is their path."""
    digests = {path: hashlib.sha256(path.encode()).hexdigest() for path in labels}
    return partition(places_of(digests, seed), labels, groups, held_out=held_out, test=test)


sizes = st.lists(st.integers(3, 60), min_size=2, max_size=4)
shares = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**31 - 1)


def official() -> dict[str, str]:
    return {
        f"validation/{s}s/{s}.{i}.jpg": f"{s}s" for s in ("cat", "dog") for i in range(2000, 2500)
    }


def test_the_official_archive_keeps_its_numbers_and_its_test_photos() -> None:
    splits = cut(official(), seed=42, held_out=1, test=0.192)
    assert Counter(splits.values()) == {"validation": 808, "test": 192}
    tests = sorted(path for path, split in splits.items() if split == "test")
    assert hashlib.sha256("\n".join(tests).encode()).hexdigest()[:16] == "f889510fc5c56b8d", (
        "since the first version"
    )
    grown = cut(official() | named((300, 300)), seed=42, held_out=1, test=0.192)
    assert {path for path in official() if grown[path] == "test"} == set(tests)


def test_the_cut_is_the_same_on_every_machine() -> None:
    splits = cut(named((6, 6)), held_out=0.5, test=0.4)
    assert sorted(path for path, split in splits.items() if split == "test") == [
        "class0/3.jpg",
        "class1/5.jpg",
    ]


@settings(deadline=None, max_examples=50)
@given(sizes, seeds, shares, shares)
def test_every_class_has_photos_in_every_split(
    counts: list[int], seed: int, held_out: float, test: float
) -> None:
    labels = named(counts)
    splits = cut(labels, seed=seed, held_out=held_out, test=test)
    assert splits.keys() == labels.keys()
    found = Counter((labels[path], split) for path, split in splits.items())
    assert all(found[f"class{c}", split] for c in range(len(counts)) for split in SPLITS)
    inside = cut(labels, seed=seed, held_out=1, test=test)
    assert set(inside.values()) == {"validation", "test"}


@settings(deadline=None, max_examples=20)
@given(seeds, shares, shares)
def test_the_splits_have_about_the_shares_that_were_asked_for(
    seed: int, held_out: float, test: float
) -> None:
    n = 2_000
    found = Counter(cut(named((n, n)), seed=seed, held_out=held_out, test=test).values())
    shares = {"train": 1 - held_out, "test": held_out * test}
    for split, share in shares.items():
        deviation = (2 * n * share * (1 - share)) ** 0.5
        assert abs(found[split] - 2 * n * share) < 6 * deviation


@settings(deadline=None, max_examples=50)
@given(sizes, seeds, st.randoms(use_true_random=False))
def test_a_partition_does_not_depend_on_the_order_of_files(
    counts: list[int], seed: int, random: Any
) -> None:
    labels = named(counts)
    shuffled = list(labels.items())
    random.shuffle(shuffled)
    assert cut(labels, seed=seed) == cut(dict(shuffled), seed=seed)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), seeds, st.sampled_from((0.4, 1)))
def test_one_more_photo_makes_no_old_one_a_test_photo(
    copied: list[int], seed: int, held_out: float
) -> None:
    """Each new photo is a copy of the one with this number, or shows something new.

    The exception: a class that had one picture alone in a split, which may have been put there.
    """
    labels = named((15, 15))
    pictures = {path: (path,) for path in labels}
    before = cut(labels, seed=seed, held_out=held_out)
    for week, number in enumerate(copied):
        path, label = f"new/{week}.jpg", f"class{number % 2}"
        twin = next(islice((p for p, c in labels.items() if c == label), number // 2, None), path)
        labels[path] = label
        group = (*pictures.get(twin, ()), path)
        pictures |= dict.fromkeys(group, group)
        after = cut(
            labels, [*{g for g in pictures.values() if len(g) > 1}], seed=seed, held_out=held_out
        )
        seen = Counter((labels[g[0]], before[g[0]]) for g in {pictures[p] for p in before})
        for old, split in before.items():
            if split != "test" and after[old] == "test":
                assert 1 in {seen[labels[old], part] for part in SPLITS}
        before = after


@settings(deadline=None, max_examples=50)
@given(sizes, seeds, st.data())
def test_groups_are_never_torn(counts: list[int], seed: int, data: st.DataObject) -> None:
    labels = named(counts)
    paths = data.draw(st.permutations(sorted(labels)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(paths) - 1), max_size=9)))
    edges = [0, *cuts]
    groups = [tuple(paths[a:b]) for a, b in zip(edges, cuts, strict=False) if b - a > 1]
    splits = cut(labels, groups, seed=seed)
    assert all(len({splits[path] for path in group}) == 1 for group in groups)
    assert splits.keys() == labels.keys()
