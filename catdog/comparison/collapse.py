"""Trainings that predict one class only: how often that happens, few trainings do not show."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from catdog.store.store import Record
from catdog.wording import counted, listing, plural

if TYPE_CHECKING:
    import pandas as pd


class Collapse(Record):
    """A model of whose trainings some predict one class for all photos."""

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
            f"{plural(count, 'predicts', 'predict')} one class only "
            f"({plural(count, self.unit)} {listing(map(str, self.which))})"
        )


def collapsed(
    name: str, tables: "Sequence[pd.DataFrame]", numbers: Sequence[int], unit: str
) -> Collapse | None:
    """The trainings of a model that predict one class only; None without any.

    tables: the predictions of each, for the same classes of photos. numbers: their seeds or folds.
    """
    which = tuple(
        number
        for number, table in zip(numbers, tables, strict=True)
        if table["predicted"].nunique() == 1 < table["label"].nunique()
    )
    return Collapse(name=name, unit=unit, which=which, trainings=len(tables)) if which else None
