"""Learning curves of models on a frozen base: from features that are computed once."""

import warnings

import numpy as np
import numpy.typing as npt

from catdog.comparison.learning import DRAWS, LearningCurve, Part, learning_curve, parts
from catdog.errors import StoreError
from catdog.export.evidence import Eye
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.history.runs import load_run
from catdog.inference.litert import Floats
from catdog.promotion.candidates import Chosen
from catdog.store.artifacts import HELD_OUT, Arrays
from catdog.store.store import Store

STRENGTH = 100.0
"""Of logistic regression on features of length 1 (C of scikit-learn): about as accurate on the
official photos as the last layer of `transfer`."""

Labels = npt.NDArray[np.int32]


def learn(chosen: Chosen, store: Store) -> LearningCurve:
    """The learning curve of a model whose base is frozen, with a new last layer for each part.

    Validation photos test, too: no epoch is chosen on them here. Raises StoreError when the base
    learns, as the parts would then have to be trained again, or the photos are gone.
    """
    model = chosen.model
    if not model.facts().get("weights") or model.choices() != model.facts().get("epochs"):
        raise StoreError(
            f"'{model.name}' has no frozen base: its features are learned from all photos.",
            "Ask for 'transfer'; for others, run on parts of the photos.",
        )
    arrays = load_run(chosen.run, store).stored(Arrays, store)
    eye = Eye(flatbuffer_of(model, store).file(FILE).read_bytes())
    seen = {split: eye.all(arrays.images(split), _all(arrays, split))[1] for split in arrays.counts}
    labels = {split: arrays.labels(split) for split in arrays.counts}
    tested = (
        np.concatenate([seen[split] for split in HELD_OUT]),
        np.concatenate([labels[split] for split in HELD_OUT]),
    )
    return curve(model.name, (seen["train"], labels["train"]), tested, arrays.classes)


def curve(
    name: str,
    train: tuple[Floats, Labels],
    test: tuple[Floats, Labels],
    classes: tuple[str, ...],
) -> LearningCurve:
    """The same from features (n, width) and labels (n) of both."""
    features, labels = train
    draws = [list(parts(labels, draw)) for draw in range(DRAWS)]
    found = []
    for chosen in zip(*draws, strict=True):
        used = chosen if len(chosen[0]) < len(labels) else chosen[:1]
        right = [_right(features[rows], labels[rows], *test) for rows in used]
        found.append(Part(len(chosen[0]), np.array(right)))
    return learning_curve(name, found, test[1], classes)


def _right(
    features: Floats, labels: Labels, tested: Floats, truth: Labels
) -> npt.NDArray[np.bool_]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=STRENGTH, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(features, labels)
    return np.asarray(head.predict(tested) == truth)


def _all(arrays: Arrays, split: str) -> npt.NDArray[np.intp]:
    return np.arange(arrays.counts[split])
