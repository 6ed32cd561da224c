"""How a comparison is designed: each model is trained once, with several seeds, or for each fold.

All that depends on it is here: what a claim is about, the test behind it, and the words for it.
Arrays of outcomes (see `judges`), such as what is correct, have a row a training and a column a
test photo; in a cross-validation they have one row, of the models of all folds together.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from operator import eq
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from catdog.comparison.collapse import Collapse
from catdog.comparison.groups import Groups, Values
from catdog.comparison.judges import Judge, Outcomes, Shares
from catdog.comparison.metrics import Interval
from catdog.comparison.over_folds import Fold, OverFolds, accuracy_over_folds
from catdog.comparison.over_photos import (
    ALPHA,
    Difference,
    OfTheseTrainings,
    accuracy_of_these_trainings,
)
from catdog.comparison.over_seeds import ENOUGH, FEWEST, OverSeeds, accuracy_interval
from catdog.store.artifacts import Manifest
from catdog.store.store import Record
from catdog.wording import counted, listing, percent

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


class Estimate(Record):
    """What a model is ranked by."""

    name: str
    seeds: int
    """The trainings that the means are of; 1 where they are too few for a mean."""
    validation: float
    """Mean accuracy over the seeds, or mean metric, as `test` is."""
    test: float
    interval: Interval
    """95 % CI on test: over photos, and over seeds where there are enough, or over folds."""
    claim: bool = True
    """False where some trainings collapsed: the interval is over photos alone."""
    folds: int | None = None
    """Of a cross-validation."""


Unit = Literal["seed", "fold"]
"""What tells the trainings of a model apart."""


class Design:
    """Each model is trained once, or with several seeds: they are a sample where they are enough.

    Claims are then about the ways of training, else about the trained models, tested over photos.
    """

    unit: Unit = "seed"
    part: Literal["split", "fold"] = "split"
    """What the photos are divided into."""
    several: bool = False
    """Whether a model is trained more than once."""
    usable: bool = True
    """Whether its models are to be used."""
    folds: int | None = None
    fold_of: Mapping[str, int] = {}
    """The fold of each photo by its path, from 1; empty without folds."""

    needed = "predictions"
    """What a model is compared by."""
    where = "on the test set"
    over = "on test"
    """The same as short as a list has it."""
    within = ""
    """The same as the beginning of a sentence, where that needs to be said."""
    shown = ""
    """What single numbers of a model are of, where there are others."""
    of_epochs = ""
    """The same for its epochs."""
    left_out = ""
    """Which models are not compared either when some failed."""
    explained = ""
    """What the scores are, in some sentences."""
    method = ""
    """How pairs are tested, where all are tested alike."""
    caption = "Dots are accuracies, lines their 95 % CI (Wilson)."
    """Of the chart of accuracies."""
    repeats_caption = ""
    """Of the chart of all trainings."""
    calibration_remark = ""

    def __init__(
        self,
        *,
        group_of: Mapping[str, str] | None = None,
        paths: Iterable[str] = (),
        judge: Judge | None = None,
    ) -> None:
        """group_of: what tells the group of a photo, by its path, where photos count together.

        paths: the photos of the arrays; none are needed for the words. judge: how a metric sees
        their outcomes; None for accuracy.
        """
        self.group_of, self.judge = group_of or {}, judge or Shares()
        self.groups = Groups.of(paths, self.group_of)

    def whole(self, numbers: Iterable[int]) -> bool:
        """Whether a model with these seeds or folds can be compared."""
        return True

    def standing_for(self, trainings: Sequence[T]) -> Sequence[T]:
        """Those that single numbers of a model are of."""
        return trainings[:1]

    def to_use(self, things: tuple[T, ...]) -> tuple[T, ...]:
        """What is only there for models that are to be used: nothing where none is."""
        return things

    def pooled(self, tables: "list[pd.DataFrame]") -> "list[pd.DataFrame]":
        """The predictions of a model, a table a training; those of folds belong together."""
        return tables

    def on(self, paths: Iterable[str], judge: Judge | None = None) -> "Design":
        """The same for arrays of these photos."""
        return type(self)(group_of=self.group_of, paths=paths, judge=judge)

    def accuracies(self, outcomes: Outcomes, seeds: Sequence[int]) -> dict[int, float]:
        """A model's accuracies, or what else it is judged by, by seed or by fold."""
        return dict(zip(seeds, self.means(outcomes), strict=True))

    def means(self, outcomes: Outcomes) -> list[float]:
        """The accuracy, or what else it is judged by, of each training."""
        found: list[float] = self.judge.values(outcomes).mean(axis=1).tolist()
        return found

    def matched(
        self, first: Mapping[int, float], second: Mapping[int, float]
    ) -> list[tuple[float, float]]:
        """The accuracies of two models that are to be compared, by seed or by fold.

        Of each seed with each: two models have nothing in common with the same one.
        """
        return list(product(first.values(), second.values()))

    def wins(self, best: str, accuracies: Mapping[str, Mapping[int, float]]) -> tuple[int, int]:
        """How often no model is better than this one, and of how many rankings.

        A ranking is of one training of each model: there are as many as ways to choose them.
        """
        others = [list(found.values()) for name, found in accuracies.items() if name != best]
        won = sum(
            prod(sum(each <= own for each in found) for found in others)
            for own in accuracies[best].values()
        )
        return won, prod(len(found) for found in accuracies.values())

    def interval(self, outcomes: Outcomes, *, claim: bool = True) -> Interval | None:
        """95 % CI of the mean accuracy of a way of training; None where no claim is about it.

        claim: whether one can be made; else it is that of these trainings, over photos alone.
        """
        if len(outcomes) < FEWEST:
            return None
        values = self.judge.values(outcomes)
        if not claim:
            return accuracy_of_these_trainings(values, self.groups)
        found = accuracy_interval(values, self.groups, self.judge.degrees(values.shape[1]))
        return self.judge.widened(found, outcomes, self.groups)

    def accuracy(self, outcomes: Outcomes, *, claim: bool = True) -> tuple[int, float, Interval]:
        """Of how many trainings, the mean accuracy, and its 95 % CI: of all, or of the first."""
        interval = self.interval(outcomes, claim=claim)
        rows = outcomes if interval else outcomes[:1]
        reach = interval or self.judge.interval(rows[0], self.groups)
        return self.folds or len(rows), float(self.judge.values(rows).mean()), reach

    def estimate(
        self, name: str, test: Outcomes, validation: Values, *, claim: bool = True
    ) -> Estimate:
        """What a model is ranked by. validation: values of which the mean is that of a training."""
        trainings, accuracy, interval = self.accuracy(test, claim=claim)
        seeds = min(trainings, len(test))
        return Estimate(
            name=name,
            seeds=seeds,
            validation=float(validation[:seeds].mean()),
            test=accuracy,
            interval=interval,
            claim=claim,
            folds=self.folds,
        )

    def test(self, first: Outcomes, second: Outcomes, *, claim: bool = True) -> Difference:
        """The test of two models' difference: over seeds where both have enough.

        claim: whether one can be made about both ways of training.
        """
        if min(len(first), len(second)) < FEWEST:
            return self.judge.pair(first[0], second[0], self.groups)
        first, second = self.judge.values(first), self.judge.values(second)
        if not claim:
            return OfTheseTrainings(first, second, self.groups)
        return OverSeeds(first, second, self.groups, self.judge.degrees(first.shape[1]))

    def caveat(self, trainings: Sequence[int], collapses: Sequence[Collapse] = ()) -> str:
        """What the claims are about, and what they leave out; the fewest seeds of a model tell.

        trainings: how many of each model there are.
        """
        few = self.folds or min(trainings)
        told = self.about(trainings)
        if collapses:
            of = listing(each.name for each in collapses)
            no_claim = (
                f": no claim is made about the training of {of}, and intervals of it are over "
                "photos alone"
            )
            seen = listing(each.told for each in collapses)
            return f"{told} {seen}{no_claim if few >= FEWEST else ''}."
        if few < FEWEST:
            return told
        unseen = percent(1 - ALPHA ** (1 / few))
        return (
            f"{told} A failure that none of {counted(few, 'training')} shows may still befall up "
            f"to {unseen} of them, and is left out."
        )

    def about(self, trainings: Sequence[int]) -> str:
        """What the claims are about."""
        if max(trainings) == 1:
            return (
                "The claims are about these trained models: another seed may give another result. "
                f"For claims about the ways of training, repeat with --repeats {ENOUGH}."
            )
        if min(trainings) < FEWEST:
            return (
                f"Claims about a way of training need {FEWEST} seeds of each model, better "
                f"{ENOUGH}; with fewer they are about the trained models of the first seed, and "
                "another seed may give another result."
            )
        told = "The claims are about the ways of training: seeds and photos are both samples."
        if min(trainings) >= ENOUGH:
            return told
        return (
            f"{told} {ENOUGH} seeds of each model are better: with fewer, where one model varies "
            "much more than another, a 95 % CI covers 92 % only."
        )

    def divided(self, counts: Mapping[str, int]) -> str:
        """How many photos each part has, in words. counts: by split."""
        return ", ".join(f"{count:,} {split}" for split, count in counts.items())

    def counts(self, manifest: Manifest) -> dict[str, dict[str, int]]:
        """Photos by part and class."""
        return manifest.counts


class SeveralSeeds(Design):
    """The words where seeds have to be told apart."""

    several = True
    shown = "first seed"
    caption = f"Each model's first seed. {Design.caption}"
    repeats_caption = (
        "A dot is a seed, a line the mean. The other sections show each model's first seed."
    )


class CrossValidation(Design):
    """Each photo is tested once, by a model that was trained without its fold."""

    unit = part = "fold"
    several = True
    usable = False
    needed = "predictions for every fold"
    of_epochs = "first fold"
    left_out = ", nor is a model that lacks a fold"
    method = (
        "Over folds: corrected resampled t test (Nadeau and Bengio). Of these trained models: "
        "exact McNemar test on all photos, Holm-adjusted, which says nothing of another training."
    )
    caption = "Dots are accuracies over all folds, lines their 95 % CI over folds and photos."
    repeats_caption = "A dot is a fold, a line the mean."
    calibration_remark = " These intervals are over photos, not over folds."
    folds: int

    def __init__(
        self,
        folds: int,
        fold_of: Mapping[str, int] | None = None,
        *,
        group_of: Mapping[str, str] | None = None,
        paths: Iterable[str] = (),
        judge: Judge | None = None,
    ) -> None:
        """fold_of: the fold of each photo by its path. The others: as for any design."""
        paths = list(paths)
        super().__init__(group_of=group_of, paths=paths, judge=judge)
        self.folds, self.fold_of = folds, fold_of or {}
        self.fold: Fold = np.array([self.fold_of[path] for path in paths], dtype=np.int64)
        self.where = f"in {folds}-fold cross-validation"
        self.within = f"In {folds}-fold cross-validation, "
        self.over = f"over {folds} folds"
        self.explained = (
            f"Cross-validation: all photos were divided into {folds} folds, and each model was "
            f"trained {folds} times, each time with another seed and without one fold, its test "
            "photos; the epoch was selected on the next fold. So each photo is a test photo once, "
            "for a model that had not seen it; the scores are of these predictions together."
        )

    def whole(self, numbers: Iterable[int]) -> bool:
        """It has each fold once."""
        return sorted(numbers) == list(range(1, self.folds + 1))

    def standing_for(self, trainings: Sequence[T]) -> Sequence[T]:
        """All folds."""
        return trainings

    def to_use(self, things: tuple[T, ...]) -> tuple[T, ...]:
        """Nothing."""
        return ()

    def pooled(self, tables: "list[pd.DataFrame]") -> "list[pd.DataFrame]":
        """All folds as one table."""
        import pandas as pd

        return [pd.concat(tables)]

    def on(self, paths: Iterable[str], judge: Judge | None = None) -> Design:
        """The same with the fold of each of these photos."""
        groups = self.group_of
        return CrossValidation(self.folds, self.fold_of, group_of=groups, paths=paths, judge=judge)

    def accuracies(self, outcomes: Outcomes, seeds: Sequence[int]) -> dict[int, float]:
        """By fold, each on its own photos."""
        parts = {int(each): self.fold == each for each in np.unique(self.fold)}
        return {
            each: float(self.judge.among(part).values(outcomes[:, part]).mean())
            for each, part in parts.items()
        }

    def matched(
        self, first: Mapping[int, float], second: Mapping[int, float]
    ) -> list[tuple[float, float]]:
        """On the same fold."""
        return [(first[fold], second[fold]) for fold in first]

    def wins(self, best: str, accuracies: Mapping[str, Mapping[int, float]]) -> tuple[int, int]:
        """By fold."""
        folds = accuracies[best]
        highest = [max(found[fold] for found in accuracies.values()) for fold in folds]
        return sum(map(eq, folds.values(), highest)), len(folds)

    def interval(self, outcomes: Outcomes, *, claim: bool = True) -> Interval | None:
        """Over folds and photos."""
        values = self.judge.values(outcomes)
        if not claim:
            return accuracy_of_these_trainings(values, self.groups)
        found = accuracy_over_folds(values[0], self.fold, self.groups)
        return self.judge.widened(found, outcomes, self.groups)

    def test(self, first: Outcomes, second: Outcomes, *, claim: bool = True) -> Difference:
        """Over folds."""
        trained = self.judge.pair(first[0], second[0], self.groups)
        first, second = self.judge.values(first), self.judge.values(second)
        found = OverFolds(first[0], second[0], self.fold, self.groups, trained)
        return found if claim else OfTheseTrainings(first, second, self.groups, found)

    def about(self, trainings: Sequence[int]) -> str:
        """How much each model was trained on counts too."""
        return (
            f"The claims are about the ways of training, on {self.folds - 2} of {self.folds} "
            "folds: seeds, training photos and test photos are all samples. A model to be used "
            "comes from a run without folds."
        )

    def divided(self, counts: Mapping[str, int]) -> str:
        """The splits do not matter."""
        return f"{sum(counts.values()):,} in {self.folds} folds"

    def counts(self, manifest: Manifest) -> dict[str, dict[str, int]]:
        """Photos by fold and class."""
        placed = Counter((self.fold_of[row["path"]], row["label"]) for row in manifest.rows())
        return {
            f"fold {each}": {label: placed[each, label] for label in manifest.classes}
            for each in range(1, self.folds + 1)
        }


def design_of(
    folds: int | None,
    *,
    several: bool,
    fold_of: Mapping[str, int] | None = None,
    group_of: Mapping[str, str] | None = None,
) -> Design:
    """The design with so many folds, or with several seeds, or with neither."""
    if folds:
        return CrossValidation(folds, fold_of, group_of=group_of)
    return SeveralSeeds(group_of=group_of) if several else Design(group_of=group_of)


def designed(settings: Mapping[str, Any]) -> Design:
    """The design that the settings of a run ask for."""
    return design_of(settings.get("folds"), several=settings.get("repeats", 1) > 1)
