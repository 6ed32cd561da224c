"""Which photos count together: those of one picture or group are one observation, not several."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from catdog.store.store import Record
from catdog.wording import counted

Values = npt.NDArray[Any]
"""Of each photo, a column a photo; a row a training where there are several."""


class Grouped(Record):
    """How many test photos are in groups."""

    photos: int
    shared: int
    """Photos that are not alone in their group."""
    groups: int
    """Those with one photo included."""
    effective: float
    """As many independent photos would give an accuracy as precise."""
    sentence: str


class Groups:
    """The groups of some photos, in the order of their arrays; usually each photo is alone.

    All that treats photos as independent goes through here: what is known of one photo of a group
    is known of the others. Where all are alone, every number is the usual one.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        """names: of each photo, what tells its group; without any, all photos are alone."""
        _, self._place, self._sizes = np.unique(
            list(names), return_inverse=True, return_counts=True
        )
        self.alone = bool((self._sizes == 1).all())

    @classmethod
    def of(cls, paths: Iterable[str], group_of: Mapping[str, str]) -> "Groups":
        """Those of these photos. group_of: by path; a photo that it lacks is alone."""
        return cls(group_of.get(path, path) for path in paths)

    @property
    def count(self) -> int:
        """Groups, photos that are alone included."""
        return len(self._sizes)

    def number(self, photos: int) -> float:
        """The effective number of these photos: n^2 / sum m^2, with m photos in each group.

        The photos of a group are taken to be alike in all (Kish, Survey Sampling, 1965): exact for
        copies, and rather too careful for photos that are less alike.
        """
        return photos if self.alone else float(photos**2 / (self._sizes**2).sum())

    def least_variance(self, values: Values) -> float:
        """Of the mean of one value a photo, those of a group taken to be alike; or 0.

        A variance between few groups is too small where few of them have errors.
        """
        return 0.0 if self.alone else float(values.var(ddof=1)) / self.number(len(values))

    def counted(self, photos: int) -> str:
        """So many test photos, in words: those of all groups."""
        told = counted(photos, "test photo")
        return told if self.alone else f"{told} in {counted(self.count, 'group')}"

    def summary(self) -> Grouped | None:
        """What a report has to say of them; None where all photos are alone."""
        if self.alone:
            return None
        photos, shared = int(self._sizes.sum()), int(self._sizes[self._sizes > 1].sum())
        effective = self.number(photos)
        return Grouped(
            photos=photos,
            shared=shared,
            groups=self.count,
            effective=effective,
            sentence=(
                f"{shared:,} of the {photos:,} test photos belong together with others: they show "
                "the same picture, or are of one group. Accuracies are of all photos; in tests and "
                f"intervals each of the {self.count:,} groups and single photos counts once. An "
                f"accuracy is as precise as on {effective:,.0f} independent photos."
            ),
        )

    def among(self, chosen: npt.NDArray[Any]) -> "Groups":
        """Those of some of the photos: which, or their order."""
        return self if self.alone else Groups(self._place[chosen].astype(str))

    def each(self, drawn: Values) -> Values:
        """One value for each photo of a group, from as many as there are photos."""
        return drawn if self.alone else drawn[..., self._place]

    def cases(self, values: Values) -> Values:
        """A column a group instead of a photo: the same mean, and what varies between groups.

        The variance of a mean over photos that are sampled in groups, as a ratio (Cochran, Sampling
        Techniques, 1977, 9A): it is that of the mean of these columns, as if they were independent.
        """
        if self.alone:
            return values
        mean = values.mean(axis=-1, keepdims=True)
        found: Values = mean + self._sums(values - mean) * (self.count / values.shape[-1])
        return found

    def votes(self, first: Values, second: Values) -> tuple[Values, Values]:
        """What each of two models is in a group, as whole numbers of votes: correct, or not.

        A group is won by the model that classifies more of its photos correctly; where both do as
        many, both are correct if that is half or more.
        """
        if self.alone:
            return first, second
        one, other = self._sums(first), self._sums(second)
        half = 2 * one >= self._sizes
        return (one > other) | ((one == other) & half), (one < other) | ((one == other) & half)

    def sums(self, values: Values) -> Values:
        """A column a group: what its photos have together."""
        return values if self.alone else self._sums(values)

    def _sums(self, values: Values) -> Values:
        order = np.argsort(self._place, kind="stable")
        starts = np.cumsum(self._sizes) - self._sizes
        summed: Values = np.add.reduceat(values[..., order].astype(float), starts, axis=-1)
        return summed
