"""Trainings that give all photos one class: how often that happens, few trainings do not show."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from catdog.store.store import Record
from catdog.wording import counted, listing, plural

if TYPE_CHECKING:
    import pandas as pd


ONE_CLASS = "all or nearly all photos one class"
HARDLY = 0.05
"""A training collapsed if it predicts other classes for fewer photos than this share of those that
are of others: `baseline`, which has not left one class, does for 2 of 500 official photos."""


class Collapse(Record):
    """A model of whose trainings some give all or nearly all photos one class."""

    name: str
    unit: str
    """What tells its trainings apart: the unit of the design."""
    which: tuple[int, ...]
    """The seeds or folds of those trainings."""
    trainings: int
    """How many there are in all."""

    @property
    def told(self) -> str:
        """The same in words."""
        count = len(self.which)
        return (
            f"{count} of {counted(self.trainings, 'training')} of {self.name} "
            f"{plural(count, 'gives', 'give')} {ONE_CLASS} "
            f"({plural(count, self.unit)} {listing(map(str, self.which))})"
        )


def collapsed(
    name: str, tables: "Sequence[pd.DataFrame]", numbers: Sequence[int], unit: str
) -> Collapse | None:
    """The trainings of a model that give all or nearly all photos one class; None without any.

    tables: the predictions of each, for the same classes of photos. numbers: their seeds or folds.
    """
    which = tuple(
        number for number, table in zip(numbers, tables, strict=True) if _one_class(table)
    )
    return Collapse(name=name, unit=unit, which=which, trainings=len(tables)) if which else None


def _one_class(table: "pd.DataFrame") -> bool:
    most = table["predicted"].mode()[0]
    predicted, labelled = ((table[column] != most).sum() for column in ("predicted", "label"))
    return bool(predicted < HARDLY * labelled)
