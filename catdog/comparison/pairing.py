"""Compare two runs on the photos that both were tested on."""

from pathlib import Path
from typing import TYPE_CHECKING

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.comparison.significance import Correct, PairTest, compare_pairs
from catdog.errors import PhotosError
from catdog.store.artifacts import read_table
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd


class RunScore(Record):
    """One model of one run on the shared test photos."""

    run: str
    model: str
    accuracy: float
    interval: Interval


class RunComparison(Record):
    """Two runs on the same test photos. Names are "RUN: MODEL"."""

    photos: int
    scores: tuple[RunScore, ...]
    pairs: tuple[PairTest, ...]
    """A model against its namesake in the other run; where no name is shared, all against all."""
    only_first: tuple[str, ...]
    """Models that only the first run has, and so were not compared."""
    only_second: tuple[str, ...]
    """Those that only the second has."""


def compare_runs(first: Path, second: Path, *, names: tuple[str, str]) -> RunComparison:
    """Compare two `predictions.csv` files, pairing the test photos by path and label.

    names: how to call the two runs. Of several seeds, each model's first counts.
    Raises PhotosError when the test photos differ, as then nothing can be paired.
    """
    tables = [_by_model(read_table(path)) for path in (first, second)]
    _check_same_photos([next(iter(table.values())) for table in tables], names)
    one, two = tables
    shared = [name for name in one if name in two]
    photos = next(iter(one.values())).index
    wanted = [(m, m) for m in shared] or [(a, b) for a in one for b in two]
    correct = [
        (run, model, (table["predicted"] == table["label"]).loc[photos].to_numpy(dtype=bool))
        for run, models in zip(names, tables, strict=True)
        for model, table in models.items()
    ]
    return RunComparison(
        photos=len(photos),
        scores=tuple(_score(*each) for each in correct),
        pairs=compare_pairs(
            {f"{run}: {model}": found for run, model, found in correct},
            [(f"{names[0]}: {a}", f"{names[1]}: {b}") for a, b in wanted],
        ),
        only_first=tuple(name for name in one if shared and name not in two),
        only_second=tuple(name for name in two if shared and name not in one),
    )


def _by_model(table: "pd.DataFrame") -> "dict[str, pd.DataFrame]":
    """The test predictions of each model's first seed, by path."""
    found = {}
    for name, rows in table[table["split"] == "test"].groupby("model", sort=False):
        first_seed = rows[rows["seed"] == rows["seed"].iloc[0]]
        found[str(name)] = first_seed.set_index("path")
    return found


def _check_same_photos(tables: "list[pd.DataFrame]", names: tuple[str, str]) -> None:
    one, two = (set(table["label"].items()) for table in tables)
    if one == two:
        return
    if not one & two:
        problem = "they have no test photo in common"
    else:
        extra = sorted(one ^ two)
        path, label = extra[0]
        problem = (
            f"{len(one - two)} test photos are only in {names[0]} and {len(two - one)} only in "
            f"{names[1]} (such as {path}, {label})"
        )
    raise PhotosError(
        f"{names[0]} and {names[1]} cannot be paired: {problem}.",
        "Compare runs with the same source, seed and split.",
    )


def _score(run: str, model: str, correct: Correct) -> RunScore:
    hits, n = int(correct.sum()), len(correct)
    interval = wilson_interval(hits, n)
    return RunScore(run=run, model=model, accuracy=hits / n, interval=interval)
