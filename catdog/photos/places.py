"""Where each photo stands between 0 and 1: its split, and its fold, follow from that."""

from collections.abc import Mapping
from functools import cache

from catdog.sample import facts as sample
from catdog.sources import official
from catdog.store.digest import value_digest

SPREAD_EVENLY = (*official.HELD_OUT, *sample.HELD_OUT)
"""The held-out photos of the two sets that never grow, by class."""


def places_of(digests: Mapping[str, str], seed: int) -> dict[str, float]:
    """The place of each photo by its path, from 0 to 1.

    The first 52 bits of the SHA-256 of the JSON array [seed, digest of its file]. Photos with a
    path of SPREAD_EVENLY are spread evenly by their paths instead, whatever is in them, so that the
    official archive has exactly 96 test photos of each class with the default share.

    digests: SHA-256 of each photo's file by its path.
    """
    even = _even_places(seed)
    drawn = {path: int(value_digest([seed, d])[:13], 16) / 16**13 for path, d in digests.items()}
    return {path: even.get(path, place) for path, place in drawn.items()}


@cache
def _even_places(seed: int) -> dict[str, float]:
    """Places by rank: the lowest SHA-256 of the JSON array [seed, path] has the highest place."""
    places = dict[str, float]()
    for paths in SPREAD_EVENLY:
        ranked = sorted(paths, key=lambda path: value_digest([seed, path]))
        places |= {path: 1 - (rank + 0.5) / len(paths) for rank, path in enumerate(ranked)}
    return places
