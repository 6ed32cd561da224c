"""Which photos to look at: the worst errors, the least certain, and labels that may be wrong."""

from typing import TYPE_CHECKING, Any

import numpy as np

from catdog.comparison.metrics import scored
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12
"""Photos of each kind that a report shows."""
CONFIDENT = 0.9
"""A label is doubted where every good model gives another class at least this probability."""
GOOD_ACCURACY, GOOD_WITHIN = 0.9, 0.05
"""A good model has this accuracy on validation, and is at most this far below the best one."""


class JudgedPhoto(Record):
    """A photo, what it is said to be, and what a model makes of it."""

    path: str
    split: str
    label: str
    predicted: str
    probabilities: dict[str, float]


class DoubtedLabel(Record):
    """A photo whose label every good model contradicts with confidence."""

    path: str
    split: str
    label: str
    predicted: str
    confidence: float
    """The lowest probability that any of the good models gives to `predicted`."""


def worst_errors(test: "pd.DataFrame") -> tuple[JudgedPhoto, ...]:
    """The wrong photos to whose true class the model gave the lowest probability, worst first."""
    truth, p, classes = scored(test)
    wrong = np.flatnonzero(p.argmax(axis=1) != truth)
    order = np.argsort(p[wrong, truth[wrong]], kind="stable")[:SHOWN]
    return tuple(_judged(test.iloc[int(i)], classes) for i in wrong[order])


def least_certain(test: "pd.DataFrame") -> tuple[JudgedPhoto, ...]:
    """The photos whose two likeliest classes lie closest together, closest first."""
    _, p, classes = scored(test)
    ranked = np.sort(p, axis=1)
    order = np.argsort(ranked[:, -1] - ranked[:, -2], kind="stable")[:SHOWN]
    return tuple(_judged(test.iloc[int(i)], classes) for i in order)


def good_models(validation_accuracy: dict[str, float]) -> tuple[str, ...]:
    """The models whose contradiction of a label is worth a look; there may be none."""
    least = max(GOOD_ACCURACY, max(validation_accuracy.values()) - GOOD_WITHIN)
    return tuple(name for name, accuracy in validation_accuracy.items() if accuracy >= least)


def doubted_labels(tables: "list[pd.DataFrame]") -> tuple[DoubtedLabel, ...]:
    """Photos that all these tables (same photos, one a good model) call another class, surely.

    Most doubtful first.
    """
    if not tables:
        return ()
    truth, _, classes = scored(tables[0])
    p = np.stack([scored(table)[1] for table in tables])
    predicted = p.argmax(axis=2)
    agreed = (predicted == predicted[0]).all(axis=0) & (predicted[0] != truth)
    confidence = p.max(axis=2).min(axis=0)
    chosen = np.flatnonzero(agreed & (confidence >= CONFIDENT))
    order = chosen[np.argsort(-confidence[chosen], kind="stable")][: 2 * SHOWN]
    return tuple(
        DoubtedLabel(
            **tables[0][["path", "split", "label"]].iloc[i],
            predicted=classes[predicted[0, i]],
            confidence=confidence[i],
        )
        for i in order.tolist()
    )


def _judged(row: Any, classes: tuple[str, ...]) -> JudgedPhoto:
    return JudgedPhoto(
        **row[["path", "split", "label", "predicted"]],
        probabilities={name: float(row[f"p_{name}"]) for name in classes},
    )
