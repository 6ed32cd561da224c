"""Cut photos into training, validation and test: fixed, seeded, the same on every machine."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from catdog.settings import Cut
from catdog.store.digest import value_digest

Group = tuple[str, ...]


def partition(
    labels: Mapping[str, str],
    groups: Iterable[Group],
    cut: Cut,
) -> dict[str, str]:
    """The split of each photo where the folders name classes only.

    Of each class, round(validation_share x n) photos are held out, and of these
    round(test_share x held out) are the test photos; at least one goes to each split. Which ones
    is decided by their rank (see `rank`), so it depends on the seed and the paths alone.

    labels: the class of each path. groups: photos of the same picture, which stay together.
    A class needs three photos.
    """
    counts = Counter(labels.values())
    share = cut.validation_share
    held = Counter({c: _count(n, share, most=n - 1, least=2) for c, n in counts.items()})
    test, validation = _quotas(held, cut.test_share)
    ranked = _ranked(labels, groups, cut.seed)
    taken = _take(ranked, labels, test, "test")
    left = [group for group in ranked if group[0] not in taken]
    return dict.fromkeys(labels, "train") | taken | _take(left, labels, validation, "validation")


def partition_validation(
    labels: Mapping[str, str], groups: Iterable[Group], cut: Cut
) -> dict[str, str]:
    """Either "validation" or "test" for each photo of a validation folder.

    Of each class, round(test_share x n) photos become the test photos, at least one and not all;
    else as `partition`. A class needs two photos.
    """
    test, _ = _quotas(Counter(labels.values()), cut.test_share)
    taken = _take(_ranked(labels, groups, cut.seed), labels, test, "test")
    return dict.fromkeys(labels, "validation") | taken


def rank(seed: int, path: str) -> str:
    """Where a photo stands in the queue for the test set: the lowest are taken first.

    SHA-256 of the JSON array [seed, path], path in Unicode's NFC form (file systems differ).
    """
    return value_digest([seed, unicodedata.normalize("NFC", path)])


def _quotas(held_out: Counter[str], test_share: float) -> tuple[Counter[str], Counter[str]]:
    test = Counter({c: _count(n, test_share, most=n - 1, least=1) for c, n in held_out.items()})
    return test, held_out - test


def _count(photos: int, share: float, *, most: int, least: int) -> int:
    return max(least, min(round(share * photos), most))


def _ranked(labels: Mapping[str, str], groups: Iterable[Group], seed: int) -> list[Group]:
    """All photos by rank, those of one picture behind its first one."""
    grouped = [tuple(sorted(group)) for group in groups]
    together = {path for group in grouped for path in group}
    alone = [(path,) for path in labels if path not in together]
    return sorted([*grouped, *alone], key=lambda group: rank(seed, group[0]))


def _take(
    ranked: Sequence[Group], labels: Mapping[str, str], quota: Counter[str], split: str
) -> dict[str, str]:
    """The first groups that fit into the quota of each class, all in one split."""
    left, taken = Counter(quota), dict[str, str]()
    for group in ranked:
        need = Counter(labels[path] for path in group)
        if need <= left:
            left -= need
            taken |= dict.fromkeys(group, split)
    return taken
