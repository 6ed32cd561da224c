"""Published results on the official cats and dogs photos, next to which ours stand."""

from collections.abc import Iterable, Mapping

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.sources.official import PUBLISHED, is_official
from catdog.store.store import Record


class Published(Record):
    """An accuracy that others reported for the same kind of model, after its last epoch."""

    model: str
    split: str
    correct: int
    n: int
    source: str

    @property
    def accuracy(self) -> float:
        """The share of the photos that were classified correctly."""
        return self.correct / self.n

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval, as for our own models."""
        return wilson_interval(self.correct, self.n)


def published_results(photos: Iterable[Mapping[str, str]]) -> tuple[Published, ...]:
    """The published results, or none where these are other photos than the official ones.

    photos: rows with `path` and `sha256`, as in `photos.csv`.
    """
    return tuple(Published(**r._asdict()) for r in PUBLISHED) if is_official(photos) else ()
