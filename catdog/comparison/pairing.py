"""Compare two runs on the photos that both were tested on."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from catdog.comparison.metrics import Interval, wilson_interval
from catdog.comparison.over_folds import Fold, accuracy_over_folds
from catdog.comparison.over_photos import Correct
from catdog.comparison.over_seeds import FEWEST, accuracy_interval
from catdog.comparison.pairs import PairTest, caveat, compare_pairs, mean_accuracy
from catdog.errors import PhotosError
from catdog.store.artifacts import read_table
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd


class RunScore(Record):
    """One model of one run on the shared test photos: the mean of three seeds or more, or folds."""

    run: str
    model: str
    seeds: int
    """Or folds: the trainings that the accuracy is of."""
    accuracy: float
    interval: Interval


class RunComparison(Record):
    """Two runs on the same test photos. Names are "RUN: MODEL"."""

    photos: int
    scores: tuple[RunScore, ...]
    pairs: tuple[PairTest, ...]
    """A model against its namesake in the other run; where no name is shared, all against all."""
    caveat: str
    """What the claims are about: these trained models, or the ways of training."""
    only_first: tuple[str, ...]
    """Models that only the first run has, and so were not compared."""
    only_second: tuple[str, ...]
    """Those that only the second has."""


def compare_runs(
    first: Path, second: Path, *, names: tuple[str, str], margin: float
) -> RunComparison:
    """Compare two `predictions.csv` files, pairing the test photos by path and label.

    names: how to call the two runs. margin: of equivalence, 0..1.
    Raises PhotosError when the test photos or their folds differ, as then nothing can be paired.
    """
    (one, folds), (two, others) = (_pooled(_by_model(read_table(p))) for p in (first, second))
    tables = [one, two]
    _check_same_photos([next(iter(models.values()))[0] for models in tables], names)
    if folds != others:
        raise PhotosError(
            f"{names[0]} and {names[1]} cannot be paired: not the same photos were held out "
            "together.",
            "Compare runs with the same source, seed and folds.",
        )
    shared = [name for name in one if name in two]
    photos = next(iter(one.values()))[0].index
    fold = np.array([folds[path] for path in photos]) if folds else None
    wanted = [(m, m) for m in shared] or [(a, b) for a in one for b in two]
    correct = [
        (run, model, np.stack([_correct(table.loc[photos]) for table in seeds]))
        for run, models in zip(names, tables, strict=True)
        for model, seeds in models.items()
    ]
    return RunComparison(
        photos=len(photos),
        scores=tuple(_score(*each, fold) for each in correct),
        pairs=compare_pairs(
            {f"{run}: {model}": found for run, model, found in correct},
            [(f"{names[0]}: {a}", f"{names[1]}: {b}") for a, b in wanted],
            margin=margin,
            fold=fold,
        ),
        caveat=caveat([len(found) for _, _, found in correct], len(set(folds.values())) or None),
        only_first=tuple(name for name in one if shared and name not in two),
        only_second=tuple(name for name in two if shared and name not in one),
    )


def _by_model(table: "pd.DataFrame") -> "dict[str, list[pd.DataFrame]]":
    """The test predictions of each model's seeds, by path."""
    return {
        str(name): [seed.set_index("path") for _, seed in rows.groupby("seed", sort=False)]
        for name, rows in table[table["split"] == "test"].groupby("model", sort=False)
    }


def _pooled(
    models: "dict[str, list[pd.DataFrame]]",
) -> "tuple[dict[str, list[pd.DataFrame]], dict[str, int]]":
    """The folds of a cross-validation as one table a model, and the fold of each photo.

    Of a run without folds, all as it is. A model that lacks a fold is left out.
    """
    import pandas as pd

    most = max(models.values(), key=len)
    if len(most) == 1 or not set(most[0].index).isdisjoint(most[1].index):
        return models, {}
    whole = {name: [pd.concat(each)] for name, each in models.items() if len(each) == len(most)}
    return whole, {path: n for n, table in enumerate(most, start=1) for path in table.index}


def _correct(table: "pd.DataFrame") -> Correct:
    correct: Correct = (table["predicted"] == table["label"]).to_numpy(dtype=bool)
    return correct


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


def _score(run: str, model: str, correct: Correct, fold: Fold | None) -> RunScore:
    if fold is not None:
        seeds, interval = len(np.unique(fold)), accuracy_over_folds(correct[0], fold)
    elif len(correct) < FEWEST:
        seeds, interval = 1, wilson_interval(int(correct[0].sum()), correct.shape[1])
    else:
        seeds, interval = len(correct), accuracy_interval(correct)
    accuracy = mean_accuracy(correct)
    return RunScore(run=run, model=model, seeds=seeds, accuracy=accuracy, interval=interval)
