"""The metric by which models are chosen and judged: accuracy, or what unequal classes ask for.

Each is a function of three counts of photos a class: `hits`, predicted and truly of it; `actual`,
truly of it; `predicted`. They are arrays whose last axis are the classes; classes without photos do
not count.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from catdog.errors import PhotosError, SettingsError
from catdog.wording import classes_text, listing, quoted

if TYPE_CHECKING:
    import pandas as pd

ACCURACY, BALANCED, MACRO_F1, RECALL = "accuracy", "balanced-accuracy", "macro-f1", "recall:"
AVERAGES = {BALANCED: "balanced accuracy", MACRO_F1: "macro-F1"}
"""Means over the classes, and how they are written."""
FORMS = f"{ACCURACY}, {', '.join(AVERAGES)} or {RECALL}CLASS"
PATTERN = rf"^({ACCURACY}|{'|'.join(AVERAGES)}|{RECALL}.+)$"
RARE, RARE_OF_EQUAL = 0.1, 0.5
"""A class is rare with fewer than a tenth of the photos, and than half of what it had were all as
frequent: of 37 breeds none has a tenth."""

Counts = Any
"""A NumPy array."""


class Metric(NamedTuple):
    """A metric by its name in the settings; a share of 1, where more is better."""

    name: str = ACCURACY

    @property
    def of_class(self) -> str | None:
        """The one class whose recall it is."""
        return self.name.removeprefix(RECALL) if self.name.startswith(RECALL) else None

    @property
    def averages(self) -> bool:
        """Whether it is a mean over the classes; else it is the share of photos that are right."""
        return self.name in AVERAGES

    @property
    def default(self) -> bool:
        """Whether it is the accuracy."""
        return self.name == ACCURACY

    @property
    def label(self) -> str:
        """What it is called within a sentence."""
        return f"recall of {self.of_class}" if self.of_class else AVERAGES.get(self.name, self.name)

    @property
    def title(self) -> str:
        """The same at the beginning of one."""
        return self.label[0].upper() + self.label[1:]

    @property
    def noun(self) -> str:
        """The same for any of them, whatever its class."""
        return "recall" if self.of_class else self.label

    @property
    def plural(self) -> str:
        """Several of them."""
        return "accuracies" if self.default else f"values of {self.label}"

    def rows(self, table: "pd.DataFrame") -> "pd.DataFrame":
        """The rows of a table of predictions that it is of."""
        return table[table["label"] == self.of_class] if self.of_class else table

    def of_table(self, table: "pd.DataFrame") -> float:
        """Its value on a table with the columns label and predicted."""
        if not self.averages:
            rows = self.rows(table)
            return float((rows["predicted"] == rows["label"]).mean())
        classes = sorted(set(table["label"]))
        return self.of_photos(table["label"].to_numpy(), table["predicted"].to_numpy(), classes)

    def of_photos(self, truth: Any, predicted: Any, classes: Iterable[Any]) -> float:
        """Its value on photos with these labels and predictions (n), of these kinds of labels."""
        import numpy as np

        is_of = np.array([truth == each for each in classes])
        given = np.array([predicted == each for each in classes])
        hits, actual = (is_of & given).sum(axis=1), is_of.sum(axis=1)
        return float(self.of_counts(hits, actual, given.sum(axis=1), list(classes)))

    def of_counts(
        self, hits: Counts, actual: Counts, predicted: Counts, classes: Sequence[Any] = ()
    ) -> Any:
        """Its value by the counts (..., classes); classes are needed for the recall of one."""
        if self.of_class:
            k = list(classes).index(self.of_class)
            return hits[..., k] / actual[..., k]
        if not self.averages:
            return hits.sum(axis=-1) / actual.sum(axis=-1)
        there = actual > 0
        if self.name == BALANCED:
            return (hits[..., there] / actual[there]).mean(axis=-1)
        both = actual[there] + predicted[..., there]
        return (2 * hits[..., there] / both).mean(axis=-1)

    def slopes(self, hits: Counts, actual: Counts, predicted: Counts) -> tuple[Counts, Counts]:
        """How a mean over classes rises with each hit, and with each prediction, of a class.

        All classes have photos.
        """
        import numpy as np

        if self.name == BALANCED:
            return 1 / (len(actual) * actual), np.zeros(len(actual))
        both = actual + predicted
        return 2 / (len(actual) * both), -2 * hits / (len(actual) * both**2)

    def baseline(self, truth: Any) -> float:
        """Its value when the most frequent of these labels is always predicted."""
        import numpy as np

        classes, counts = np.unique(truth, return_counts=True)
        constant = np.full(len(truth), classes[counts.argmax()])
        return self.of_photos(truth, constant, classes.tolist())

    def require_class(self, classes: Sequence[str]) -> None:
        """Raise SettingsError where it is of a class that is none of these."""
        if self.of_class and self.of_class not in classes:
            raise SettingsError(
                f"metric: there is no class {quoted(repr(self.of_class))}; the photos are of "
                f"{classes_text(classes)}.",
                f"Name one of them: {RECALL}{classes[0]}.",
            )

    def require_photos(self, counts: Mapping[str, Mapping[str, int]], parts: Iterable[str]) -> None:
        """Raise where some of these parts have no photo of a class that it needs.

        counts: photos by part and class. SettingsError for an unknown class, else PhotosError.
        """
        classes = list(next(iter(counts.values())))
        self.require_class(classes)
        needed = [] if self.default else [self.of_class] if self.of_class else classes
        for part in parts:
            if missing := [str(each) for each in needed if not counts[part].get(str(each))]:
                raise PhotosError(
                    f"The {self.label} cannot be measured: there is no {part} photo of "
                    f"{listing(missing)}.",
                    "Add some, leave the class out, or use --metric accuracy.",
                )


BY_ACCURACY = Metric()


def rare_class(counts: Mapping[str, int]) -> str | None:
    """The class of the fewest photos, if it is rare: the accuracy hardly depends on it."""
    photos, fewest = sum(counts.values()), min(counts, key=lambda label: counts[label])
    limit = min(RARE, RARE_OF_EQUAL / len(counts))
    return fewest if counts[fewest] < limit * photos else None
