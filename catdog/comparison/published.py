"""Published results on the official cats and dogs photos, to stand beside ours."""

from catdog.store.artifacts import Manifest
from catdog.store.store import Record

OFFICIAL_CLASSES = ("cats", "dogs")


class Published(Record):
    """An accuracy that others reported for the same kind of model on the same photos."""

    model: str
    split: str
    low: float
    high: float
    """The same as `low` unless a range was published."""
    source: str


NOTEBOOK = "the notebook that catdog replaces, one run"
STUDENT = "acgowda, PIC16B homework 3 (2022-05)"
TUTORIAL = "TensorFlow tutorial on transfer learning, 10 epochs"

RESULTS = (
    Published(model="baseline", split="validation", low=0.58, high=0.58, source=NOTEBOOK),
    Published(model="augmented", split="validation", low=0.63, high=0.68, source=NOTEBOOK),
    Published(model="preprocessed", split="validation", low=0.74, high=0.77, source=NOTEBOOK),
    Published(model="transfer", split="validation", low=0.98, high=0.98, source=NOTEBOOK),
    Published(model="transfer", split="test", low=0.9896, high=0.9896, source=NOTEBOOK),
    Published(model="baseline", split="validation", low=0.579, high=0.579, source=STUDENT),
    Published(model="preprocessed", split="validation", low=0.733, high=0.733, source=STUDENT),
    Published(model="transfer", split="validation", low=0.979, high=0.979, source=STUDENT),
    Published(model="transfer", split="test", low=0.984, high=0.984, source=STUDENT),
    Published(model="transfer", split="validation", low=0.94, high=0.96, source=TUTORIAL),
)


def published_results(manifest: Manifest) -> tuple[Published, ...]:
    """The published results, or none where these are other photos than the official ones."""
    return RESULTS if is_official(manifest) else ()


def is_official(manifest: Manifest) -> bool:
    """Whether these are the 2,000 + 1,000 official photos, split as published.

    By their classes and numbers. A few training photos may be missing: copies of held-out ones are
    dropped.
    """
    if tuple(manifest.classes) != OFFICIAL_CLASSES:
        return False
    totals = {split: sum(counts.values()) for split, counts in manifest.counts.items()}
    return (
        1_990 <= totals.get("train", 0) <= 2_000
        and 800 <= totals.get("validation", 0) <= 808
        and totals.get("test") == 192
    )
