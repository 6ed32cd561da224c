"""Published results on the official cats and dogs photos, next to which ours stand."""

from collections.abc import Iterable, Mapping

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.sources.official import PUBLISHED, Revision, is_official
from catdog.store.store import Record


class Published(Record):
    """An accuracy that others reported for the same kind of model, after its last epoch."""

    model: str
    split: str
    percent: float
    """As the source prints it."""
    n: int
    revision: Revision

    @property
    def accuracy(self) -> float:
        """The same as a share."""
        return self.percent / 100

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval, as for our own models, of the nearest count of photos."""
        return wilson_interval(round(self.accuracy * self.n), self.n)


def published_results(photos: Iterable[Mapping[str, str]]) -> tuple[Published, ...]:
    """The published results, or none where these are other photos than the official ones.

    photos: rows with `path` and `sha256`, as in `photos.csv`.
    """
    return tuple(Published(**r._asdict()) for r in PUBLISHED) if is_official(photos) else ()
