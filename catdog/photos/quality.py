"""What the photos themselves are like: counts, excluded files, duplicates, sizes and brightness."""

from collections.abc import Mapping

import numpy as np

from catdog.photos.groups import suspicion
from catdog.store.artifacts import DuplicatePair, ExcludedFile, Manifest
from catdog.store.store import Record
from catdog.wording import FEW

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MEASURES = {"width": "px", "height": "px", "bytes": "bytes", "brightness": "0 to 255"}


class Spread(Record):
    """How one measure of the photos of one class spreads."""

    measure: str
    unit: str
    label: str
    n: int
    quantiles: tuple[float, ...]
    """At the shares in `QUANTILES`: lowest, 5 %, 25 %, median, 75 %, 95 %, highest."""


class DataQuality(Record):
    """Everything that is known of the photos before a model sees them."""

    classes: tuple[str, ...]
    counts: dict[str, dict[str, int]]
    """Photos by what they are divided into, such as splits, and class."""
    rare: tuple[str, ...]
    """Classes that were left out, as they have too few photos."""
    named_groups: int
    """That the photos were said to belong to."""
    suspicion: str
    """Why photos of different splits or folds may belong together; empty where nothing says so."""
    excluded: tuple[ExcludedFile, ...]
    duplicates: tuple[DuplicatePair, ...]
    spreads: tuple[Spread, ...]
    """By measure and class; of all photos together where there are many classes."""


def data_quality(
    manifest: Manifest, counts: dict[str, dict[str, int]], fold_of: Mapping[str, int]
) -> DataQuality:
    """Read a manifest's tables.

    counts: photos by part and class. fold_of: the fold of each photo; empty without folds.
    """
    photos = manifest.table()
    parts = dict(zip(photos["path"], photos["split"], strict=True))
    if fold_of:
        parts = {path: f"fold {fold_of[path]}" for path in parts}
    taken = dict(zip(photos["path"], photos["taken"], strict=True)) if "taken" in photos else {}
    by_class = {label: photos[photos["label"] == label] for label in manifest.classes}
    shown = by_class if len(by_class) <= FEW else {"all": photos}
    return DataQuality(
        classes=manifest.classes,
        counts=counts,
        rare=manifest.rare,
        named_groups=manifest.named_groups,
        suspicion="" if manifest.named_groups else suspicion(parts, taken),
        excluded=manifest.excluded_files(),
        duplicates=manifest.duplicate_pairs(),
        spreads=tuple(
            Spread(
                measure=measure,
                unit=unit,
                label=label,
                n=len(values),
                quantiles=tuple(np.quantile(values, QUANTILES).tolist()),
            )
            for measure, unit in MEASURES.items()
            for label, rows in shown.items()
            for values in [rows[measure].to_numpy(float)]
        ),
    )
