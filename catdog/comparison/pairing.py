"""Compare two runs on the photos that both were tested on."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from catdog.comparison.collapse import Collapse, collapsed
from catdog.comparison.design import Design, design_of
from catdog.comparison.metrics import Interval
from catdog.comparison.pairs import PairTest, compare_pairs
from catdog.comparison.scores import judging, outcomes
from catdog.errors import PhotosError
from catdog.metric import BY_ACCURACY, Metric
from catdog.store.artifacts import read_table

if TYPE_CHECKING:
    import pandas as pd


class RunScore(NamedTuple):
    """One model of one run on the shared test photos."""

    run: str
    model: str
    trainings: int
    """The mean is of so many; 1 where they are too few for a mean."""
    accuracy: float
    interval: Interval


class RunComparison(NamedTuple):
    """Two runs on the same test photos. Names are "RUN: MODEL"."""

    photos: int
    scores: tuple[RunScore, ...]
    pairs: tuple[PairTest, ...]
    """A model against its namesake in the other run; where no name is shared, all against all."""
    caveat: str
    """What the claims are about: these trained models, or the ways of training."""
    unpaired: tuple[str, ...]
    """Models that only one of the runs has, and so were not compared."""


def compare_runs(
    first: Path,
    second: Path,
    *,
    names: tuple[str, str],
    margin: float,
    metric: Metric = BY_ACCURACY,
) -> RunComparison:
    """Compare two `predictions.csv` files, pairing the test photos by path and label.

    Photos count together where either file has them in one group.

    names: how to call the two runs. margin: of equivalence, 0..1.
    Raises PhotosError when not the same photos were tested, and together: nothing can be paired.
    """
    (one, design, of_one), (two, other, of_two) = (
        _by_model(read_table(path)) for path in (first, second)
    )
    _check_same_photos([next(iter(models.values()))[0] for models in (one, two)], names)
    if design.fold_of != other.fold_of:
        raise PhotosError(
            f"{names[0]} and {names[1]} cannot be paired: not the same photos were held out "
            "together.",
            "Compare runs with the same source, seed and folds.",
        )
    shared = [name for name in one if name in two]
    tested = next(iter(one.values()))[0]
    metric.require_class(sorted(set(tested["label"])))
    photos = metric.rows(tested).index
    design = judging(tested.reset_index(), design if design.group_of else other, metric)
    collapses = {
        f"{run}: {each.name}": each.model_copy(update={"name": f"{run}: {each.name}"})
        for run, of in zip(names, (of_one, of_two), strict=True)
        for each in of
    }
    wanted = [(m, m) for m in shared] or [(a, b) for a in one for b in two]
    found = [
        (run, model, outcomes((table.loc[photos] for table in tables), metric))
        for run, models in zip(names, (one, two), strict=True)
        for model, tables in models.items()
    ]
    return RunComparison(
        photos=len(photos),
        scores=tuple(
            RunScore(run, model, *design.accuracy(each, claim=f"{run}: {model}" not in collapses))
            for run, model, each in found
        ),
        pairs=compare_pairs(
            {f"{run}: {model}": each for run, model, each in found},
            design,
            [(f"{names[0]}: {a}", f"{names[1]}: {b}") for a, b in wanted],
            margin=margin,
            collapses=collapses,
            metric=metric,
        ),
        caveat=design.caveat([len(each) for _, _, each in found], tuple(collapses.values())),
        unpaired=tuple(name for name in (*one, *two) if shared and name not in shared),
    )


def _by_model(
    table: "pd.DataFrame",
) -> "tuple[dict[str, list[pd.DataFrame]], Design, list[Collapse]]":
    """The test predictions of each model, by path, as the design pools them; and the design.

    Also the models of which trainings collapsed.

    Trainings of a model that share no photo are those of a cross-validation.
    """
    models = {
        str(name): [seed.set_index("path") for _, seed in rows.groupby("seed", sort=False)]
        for name, rows in table[table["split"] == "test"].groupby("model", sort=False)
    }
    most = max(models.values(), key=len)
    apart = len(most) > 1 and set(most[0].index).isdisjoint(most[1].index)
    fold_of = {path: n for n, part in enumerate(most, start=1) for path in part.index}
    design = design_of(
        len(most) if apart else None,
        several=True,
        fold_of=fold_of,
        group_of=dict(zip(table["path"], table["group"], strict=True)) if "group" in table else {},
    )
    collapses = [
        collapsed(name, tables, [int(each["seed"].iloc[0]) for each in tables], "seed")
        for name, tables in models.items()
    ]
    return (
        {
            name: design.pooled(tables)
            for name, tables in models.items()
            if design.whole(fold_of.get(part.index[0], 0) for part in tables)
        },
        design,
        [each for each in collapses if each],
    )


def _check_same_photos(tables: "list[pd.DataFrame]", names: tuple[str, str]) -> None:
    one, two = (set(table["label"].items()) for table in tables)
    if one == two:
        return
    problem = "they have no test photo in common"
    if one & two:
        path, label = min(one ^ two)
        problem = (
            f"{len(one - two)} test photos are only in {names[0]} and {len(two - one)} only in "
            f"{names[1]} (such as {path}, {label})"
        )
    raise PhotosError(
        f"{names[0]} and {names[1]} cannot be paired: {problem}.",
        "Compare runs with the same source, seed and split.",
    )
