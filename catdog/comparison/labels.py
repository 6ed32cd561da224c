"""Potential label errors: confident learning on predictions by models that never saw the photo."""

from typing import TYPE_CHECKING

import numpy as np

from catdog.comparison.metrics import scored
from catdog.store.store import Record

if TYPE_CHECKING:
    import pandas as pd

ACCURATE_ENOUGH = 0.8
"""The least accuracy of a model that checks labels: the labels that are wrong count against it, and
with less, nearly all of the list would be its own errors."""


class LabelIssue(Record):
    """A photo whose label may be wrong."""

    path: str
    label: str
    suggested: str
    """The class that it rather has."""
    label_probability: float
    """What the model gives to `label`."""
    suggested_probability: float


class LabelCheck(Record):
    """The photos of a cross-validation whose labels may be wrong, the likeliest first."""

    model: str
    """Whose predictions tell."""
    photos: int
    issues: tuple[LabelIssue, ...]


def check_labels(model: str, table: "pd.DataFrame") -> LabelCheck:
    """Look for label errors among the photos that a model predicts without having seen them.

    Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021, 1373-1411): a photo belongs to
    a class with confidence when the probability of that class is at least its mean over the photos
    that are labelled so; where several classes are, to the likeliest of all. Listed are photos that
    belong to another class than their label's, unless the model predicts their label: a rare class
    has a low mean, which photos of other classes reach. The label's probability less that of the
    likeliest other class gives the order.

    table: a row a photo, as in `Predictions.table`.
    """
    truth, p, classes = scored(table)
    every = np.arange(len(classes))
    mean = np.array([p[truth == k, k].mean() if (truth == k).any() else np.inf for k in every])
    confident, own, highest = p >= mean, p[np.arange(len(p)), truth], p.max(axis=1)
    several = confident.sum(axis=1) > 1
    suggested = np.where(several, p.argmax(axis=1), confident.argmax(axis=1))
    doubted = (suggested != truth) & (own < highest)
    found = np.flatnonzero(confident.any(axis=1) & doubted)
    margin = (own - highest)[found]
    paths = table["path"].to_numpy()
    return LabelCheck(
        model=model,
        photos=len(table),
        issues=tuple(
            LabelIssue(
                path=paths[i],
                label=classes[truth[i]],
                suggested=classes[suggested[i]],
                label_probability=p[i, truth[i]],
                suggested_probability=p[i, suggested[i]],
            )
            for i in found[np.argsort(margin, kind="stable")].tolist()
        ),
    )
