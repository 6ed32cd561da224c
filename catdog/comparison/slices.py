"""Where an accuracy hides errors: by what is known of the photos, each part against the rest.

Who looks at many parts finds a bad one by luck. So p values are adjusted for all parts that
were looked at (Holm), and the intervals hold all at once (Bonferroni).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison.metrics import CONFIDENCE, Interval, score_interval
from catdog.comparison.over_photos import holm
from catdog.store.artifacts import Manifest, Photos
from catdog.store.store import Record
from catdog.wording import FEW, counted, listing, percent

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 10
"""Photos of a part, and outside of it: of fewer, hardly anything can be shown."""
QUARTERS = (0.25, 0.5, 0.75)
GREY = {"1", "L", "LA", "La", "I", "F", "I;16"}
"""Modes of a photo without colours."""
SQUARE = 1.25
"""How much longer one side is where a photo counts as wide or upright: 5 to 4, as of old prints."""
MOST = 50
"""Columns of a metadata file that are looked at: the more, the less any of them can show."""


class Slice(Record):
    """The test photos that have something in common."""

    of: str
    """Such as "megapixels", or a column of the metadata file."""
    value: str
    n: int
    """A photo of each picture or group."""
    accuracy: float
    interval: Interval
    """The 95 % CI, which holds for all slices at once."""
    rest: float
    """The accuracy of all other photos."""
    p_adjusted: float
    """Of "as accurate as the rest": Fisher's exact test, Holm-adjusted."""


class Slices(Record):
    """The accuracy of a model by slice of the test set, the worst first."""

    name: str
    slices: tuple[Slice, ...]

    @property
    def worse(self) -> tuple[Slice, ...]:
        """Those of which it is shown that they are worse than the rest."""
        level = 1 - CONFIDENCE
        return tuple(s for s in self.slices if s.p_adjusted < level and s.accuracy < s.rest)

    @property
    def sentence(self) -> str:
        """What is shown, in words."""
        looked = f"{counted(len(self.slices), 'slice')} of the test set"
        if not self.worse:
            return f"Of {looked}, none is shown to be less accurate for {self.name} than the rest."
        found = listing(
            f"{s.of} {s.value} ({percent(s.accuracy)} of {s.n:,}, the rest {percent(s.rest)})"
            for s in self.worse
        )
        return f"Of {looked}, less accurate for {self.name} than the rest: {found}."


class _Part(NamedTuple):
    of: str
    value: str
    inside: npt.NDArray[np.bool_]


def slices(name: str, tested: "pd.DataFrame", photos: Photos, manifest: Manifest) -> Slices | None:
    """The slices of a model's test photos; None where there are too few photos for any.

    tested: predictions, with the columns path, label and predicted.
    """
    table = _one_a_picture(tested, manifest)
    right = (table["label"] == table["predicted"]).to_numpy()
    parts = [
        part
        for part in (*_known(table), *_told(table["path"], photos))
        if FEWEST <= part.inside.sum() <= len(table) - FEWEST
    ]
    if not parts:
        return None
    adjusted = holm([fisher(right, part.inside) for part in parts])
    found = [_slice(part, right, len(parts), p) for part, p in zip(parts, adjusted, strict=True)]
    return Slices(name=name, slices=tuple(sorted(found, key=lambda s: (s.accuracy, s.p_adjusted))))


def _slice(part: _Part, right: npt.NDArray[np.bool_], looks: int, p: float) -> Slice:
    from scipy.special import ndtri

    inside, n = right[part.inside], int(part.inside.sum())
    accuracy = float(inside.mean())
    critical = float(ndtri(1 - (1 - CONFIDENCE) / looks / 2))
    return Slice(
        of=part.of,
        value=part.value,
        n=n,
        accuracy=accuracy,
        interval=score_interval(accuracy, n, critical),
        rest=float(right[~part.inside].mean()),
        p_adjusted=p,
    )


def fisher(right: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]) -> float:
    """Two-sided p of "as accurate inside as outside" (Fisher's exact test). Both: (n)."""
    from scipy.stats import fisher_exact

    counts = [[right[w].sum(), (~right[w]).sum()] for w in (inside, ~inside)]
    return float(fisher_exact(np.array(counts)).pvalue)


def _one_a_picture(tested: "pd.DataFrame", manifest: Manifest) -> "pd.DataFrame":
    """The test photos with what is known of each: of each picture that with the lowest SHA-256."""
    known = manifest.table().drop(columns=["label", "split"])
    table = tested[["path", "label", "predicted"]].merge(known, on="path")
    picture = table["path"].map(manifest.groups())
    order = table.assign(picture=picture).sort_values(["sha256", "path"], kind="stable")
    return order.drop_duplicates("picture").sort_values("path").reset_index(drop=True)


def _known(table: "pd.DataFrame") -> Iterator[_Part]:
    """What the photos themselves tell: size, brightness, colour and aspect."""
    width, height = (table[side].to_numpy(float) for side in ("width", "height"))
    yield from _quarters("megapixels", width * height / 1e6)
    yield from _quarters("brightness", table["brightness"].to_numpy(float))
    yield _Part("colour", "none", table["mode"].isin(GREY).to_numpy())
    yield _Part("aspect", "upright", height > SQUARE * width)
    yield _Part("aspect", "wide", width > SQUARE * height)
    yield _Part("aspect", "square", np.maximum(width, height) <= SQUARE * np.minimum(width, height))


def _quarters(of: str, values: npt.NDArray[np.float64]) -> Iterator[_Part]:
    """Four parts of as many photos, or fewer where many have the same value."""
    edges = np.unique(np.quantile(values, QUARTERS))
    place = np.searchsorted(edges, values, side="right")
    shown = [f"{edge:.3g}" for edge in edges]
    for quarter in range(len(edges) + 1):
        if quarter == 0:
            told = f"below {shown[0]}"
        elif quarter == len(edges):
            told = f"{shown[-1]} or more"
        else:
            told = f"{shown[quarter - 1]} to {shown[quarter]}"
        yield _Part(of, told, place == quarter)


def _told(paths: Iterable[str], photos: Photos) -> Iterator[_Part]:
    """What a metadata file says: numbers in quarters, and each of few values."""
    said = {row["path"]: json.loads(row.get("facts") or "{}") for row in photos.rows()}
    mine: list[Mapping[str, str]] = [said.get(path, {}) for path in paths]
    for column in list(dict.fromkeys(name for facts in mine for name in facts))[:MOST]:
        values = np.array([facts.get(column, "") for facts in mine])
        kinds = [value for value in np.unique(values).tolist() if value]
        if len(kinds) > FEW and (numbers := _numbers(values)) is not None:
            yield from _quarters(column, numbers)
        else:
            yield from (_Part(column, value, values == value) for value in kinds)


def _numbers(values: npt.NDArray[np.str_]) -> npt.NDArray[np.float64] | None:
    """The same as numbers; None where one is none."""
    try:
        found = values.astype(float)
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None
