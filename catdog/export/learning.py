"""Learning curves of models on a frozen base: from features that are computed once."""

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from catdog.comparison.learning import DRAWS, LearningCurve, Part, learning_curve, parts
from catdog.errors import StoreError
from catdog.export.evidence import Reader, pictures
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.history.runs import load_run
from catdog.inference.litert import Floats
from catdog.promotion.candidates import Chosen
from catdog.store.artifacts import HELD_OUT, Arrays, Manifest
from catdog.store.store import Store

STRENGTH = 100.0
"""Of logistic regression on features of length 1 (C of scikit-learn): about as accurate on the
official photos as the last layer of `transfer`."""


class Seen(NamedTuple):
    """Photos as a base shows them to the last layer."""

    features: Floats
    """(n, width)."""
    labels: npt.NDArray[np.int32]
    """(n)."""


def learn(chosen: Chosen, store: Store) -> LearningCurve:
    """The learning curve of a model whose base is frozen, with a new last layer for each part.

    Raises StoreError as `seen` does.
    """
    return curve(chosen.model.name, *seen(chosen, store))


def seen(chosen: Chosen, store: Store) -> tuple[Seen, Seen, tuple[str, ...]]:
    """Photos to train on and to test, and their classes.

    Validation photos test, too, as no epoch is chosen on them here; each picture once. Raises
    StoreError when the base learns, as the parts would then have to be trained again, or the
    photos are gone.
    """
    model = chosen.model
    frozen = model.facts().get("weights") and model.choices() == model.facts().get("epochs")
    reader = Reader(flatbuffer_of(model, store).file(FILE).read_bytes()) if frozen else None
    if reader is None or not reader.has_features:
        raise StoreError(
            f"'{model.name}' has no frozen base, or does not end in a dense layer with softmax.",
            "Ask for 'transfer'; for others, run on parts of the photos.",
        )
    run = load_run(chosen.run, store)
    arrays, manifest = run.stored(Arrays, store), run.stored(Manifest, store)
    train = Seen(
        reader.read(arrays.images("train"), range(arrays.counts["train"]))[1],
        arrays.labels("train"),
    )
    held_out = []
    for split in HELD_OUT:
        rows = pictures(arrays.paths(split), manifest)
        features = reader.read(arrays.images(split), rows)[1]
        held_out.append(Seen(features, arrays.labels(split)[rows]))
    test = Seen(*(np.concatenate(each) for each in zip(*held_out, strict=True)))
    return train, test, arrays.classes


def curve(name: str, train: Seen, test: Seen, classes: tuple[str, ...]) -> LearningCurve:
    """The learning curve of a new last layer."""
    draws = [list(parts(train.labels, draw)) for draw in range(DRAWS)]
    found = []
    for chosen in zip(*draws, strict=True):
        used = chosen if len(chosen[0]) < len(train.labels) else chosen[:1]
        right = [_right(train, rows, test) for rows in used]
        found.append(Part(len(chosen[0]), np.array(right)))
    return learning_curve(name, found, test.labels, classes)


def _right(train: Seen, rows: npt.NDArray[np.intp], test: Seen) -> npt.NDArray[np.bool_]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=STRENGTH, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(train.features[rows], train.labels[rows])
    return np.asarray(head.predict(test.features) == test.labels)
