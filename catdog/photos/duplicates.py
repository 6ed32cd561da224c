"""Photos that show the same picture: equal files, and copies of another size or quality."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from catdog.photos.groups import joined

NEAR_BITS = 6
"""Of 64. On the official photos, copies saved again (JPEG quality 30, or half the size) are at most
4 bits from the original, and no two different photos are nearer than 12."""
NEAR_DIFFERENCE = 0.25
"""Mean difference of two thumbnails as a share of their contrast: at most 0.15 for such copies,
at least 0.57 for different photos. Bits alone would call all pictures with a plain ground equal;
a picture without contrast is never near another."""
THUMBNAIL = 16
ROWS = 128
"""Hashes compared with all others at a time, to bound the memory."""
PAIRS = 4096
"""Pairs of thumbnails compared at a time, to bound the memory."""


@dataclass(frozen=True)
class Fingerprint:
    """What is compared of a picture."""

    bits: int
    """Perceptual hash of 64 bits (imagehash.phash: signs of the lowest DCT frequencies)."""
    thumbnail: npt.NDArray[np.uint8]
    """16 x 16 x 3, RGB."""


def fingerprint(photo: Image.Image) -> Fingerprint:
    """The fingerprint of an RGB image."""
    import imagehash

    bits = np.packbits(imagehash.phash(photo).hash)
    thumbnail = photo.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return Fingerprint(int.from_bytes(bits.tobytes(), "big"), np.asarray(thumbnail))


def distance(a: Fingerprint, b: Fingerprint) -> int:
    """Bits of 64 in which two perceptual hashes differ."""
    return (a.bits ^ b.bits).bit_count()


def same_pictures(
    digests: Sequence[str], fingerprints: Sequence[Fingerprint]
) -> list[tuple[int, ...]]:
    """Groups of two or more photos that show the same picture, as indices in rising order.

    digests: SHA-256 of the files. A group holds all that are linked by equal or near photos.
    """
    first: dict[str, int] = {}
    equal = [(first.setdefault(digest, i), i) for i, digest in enumerate(digests)]
    different = list(first.values())
    near = _near([fingerprints[i] for i in different])
    links = [*equal, *((different[a], different[b]) for a, b in near.tolist())]
    return joined(range(len(digests)), links)


def _near(fingerprints: Sequence[Fingerprint]) -> npt.NDArray[np.intp]:
    """Pairs of near pictures, k x 2: every hash against every other, in blocks."""
    bits = np.array([fingerprint.bits for fingerprint in fingerprints], dtype=np.uint64)
    thumbnails = np.array([fingerprint.thumbnail for fingerprint in fingerprints])
    contrast = np.array([thumbnail.std() for thumbnail in thumbnails])
    detailed = np.flatnonzero(contrast)
    found = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(detailed), ROWS):
        block, others = detailed[start : start + ROWS], detailed[start:]
        apart = np.bitwise_count(bits[block, None] ^ bits[None, others])
        rows, columns = np.nonzero(np.triu(apart <= NEAR_BITS, k=1))
        for cut in range(0, len(rows), PAIRS):
            a, b = block[rows[cut : cut + PAIRS]], others[columns[cut : cut + PAIRS]]
            difference = np.abs(thumbnails[a].astype(np.int16) - thumbnails[b])
            limit = NEAR_DIFFERENCE * np.minimum(contrast[a], contrast[b])
            near = difference.mean(axis=(1, 2, 3)) < limit
            found.append(np.stack([a[near], b[near]], axis=1))
    return np.concatenate(found)
