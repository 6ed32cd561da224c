"""Error analysis: errors of the highest loss or confidence, and the least confident photos."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from catdog.comparison.metrics import scored
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12
"""Photos of each kind that a report shows."""
CONFIDENT = 0.9
"""A high-confidence error is one to which every accurate model gives at least this probability."""
ACCURATE, ACCURATE_WITHIN = 0.9, 0.05
"""An accurate model has this accuracy on validation, and is at most this far below the best one."""


class _Predicted(Record):
    """A photo, its label, and what is predicted."""

    path: str
    split: str
    label: str
    predicted: str


class JudgedPhoto(_Predicted):
    """A photo as one model sees it."""

    probabilities: dict[str, float]


class ConfidentError(_Predicted):
    """A photo that every accurate model gives the same wrong class, with high confidence.

    The models may be wrong, or the label: a potential label error.
    """

    confidence: float
    """The lowest probability that any of the accurate models gives to `predicted`."""


class ConfusedPair(Record):
    """Photos of one class that a model takes for one other class."""

    label: str
    predicted: str
    photos: int
    n: int
    """Photos of the class."""
    path: str
    """Of the one with the highest confidence."""


def most_confused(test: "pd.DataFrame") -> tuple[ConfusedPair, ...]:
    """The pairs of classes that are confused most often, ties by the higher confidence."""
    truth, p, classes = scored(test)
    predicted = p.argmax(axis=1)
    found: dict[tuple[int, int], list[int]] = {}
    for i in np.argsort(-p.max(axis=1), kind="stable").tolist():
        if predicted[i] != truth[i]:
            found.setdefault((int(truth[i]), int(predicted[i])), []).append(i)
    return tuple(
        ConfusedPair(
            label=classes[label],
            predicted=classes[other],
            photos=len(rows),
            n=int((truth == label).sum()),
            path=test["path"].iloc[rows[0]],
        )
        for (label, other), rows in sorted(found.items(), key=lambda item: -len(item[1]))[:SHOWN]
    )


def highest_loss_errors(test: "pd.DataFrame") -> tuple[JudgedPhoto, ...]:
    """The errors with the lowest probability of the true class, so the highest loss, in order."""
    truth, p, classes = scored(test)
    wrong = np.flatnonzero(p.argmax(axis=1) != truth)
    order = np.argsort(p[wrong, truth[wrong]], kind="stable")[:SHOWN]
    return tuple(_judged(test.iloc[int(i)], classes) for i in wrong[order])


def least_confident(test: "pd.DataFrame") -> tuple[JudgedPhoto, ...]:
    """The photos with the smallest margin between the two likeliest classes, smallest first."""
    _, p, classes = scored(test)
    ranked = np.sort(p, axis=1)
    order = np.argsort(ranked[:, -1] - ranked[:, -2], kind="stable")[:SHOWN]
    return tuple(_judged(test.iloc[int(i)], classes) for i in order)


def accurate_models(validation_accuracy: dict[str, float]) -> tuple[str, ...]:
    """The models whose high-confidence errors are worth a look; there may be none."""
    least = max(ACCURATE, max(validation_accuracy.values()) - ACCURATE_WITHIN)
    return tuple(name for name, accuracy in validation_accuracy.items() if accuracy >= least)


def confident_errors(tables: "Sequence[pd.DataFrame]") -> tuple[ConfidentError, ...]:
    """Photos to which all these models give the same wrong class, most confident first.

    tables: the predictions of the accurate models on the same photos.
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
        ConfidentError(
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
