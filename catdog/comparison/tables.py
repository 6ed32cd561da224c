"""Read the stored tables: names as text, probabilities and labels as arrays."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

TEXT_COLUMNS = (
    "model", "split", "path", "label", "predicted", "mode", "reason", "other", "other_split",
    "match", "action", "sha256",
)  # fmt: skip


def read_table(path: Path) -> "pd.DataFrame":
    """A CSV file as a DataFrame: names stay text (a class may be called "NA" or "001")."""
    import pandas as pd

    return pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False)


def read_facts(path: Path) -> dict[str, Any]:
    """A `model.json` file."""
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def class_names(predictions: "pd.DataFrame") -> tuple[str, ...]:
    """The classes of a table of predictions, in the order of its columns."""
    return tuple(
        str(name).removeprefix("p_") for name in predictions.columns if str(name).startswith("p_")
    )


def probabilities(predictions: "pd.DataFrame", classes: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """The probabilities of a table of predictions, photos x classes, each row summing to 1."""
    raw = predictions[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    normalised: npt.NDArray[np.float64] = raw / raw.sum(axis=1, keepdims=True)
    return normalised


def indices(names: "pd.Series[str]", classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """Class names as indices into `classes`."""
    position = {name: index for index, name in enumerate(classes)}
    return np.array([position[name] for name in names], dtype=np.int64)
