"""Stored arrays are read as numbers only, whatever somebody has put in their place."""

from pathlib import Path

import numpy as np
import pytest

from catdog.errors import StoreError
from catdog.store.artifacts import Arrays, Predictions

RAN: list[str] = []


class Planted:
    """An object that runs code of its own when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return RAN.append, ("ran",)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder whose arrays are pickled objects."""
    objects = np.array([Planted()], dtype=object)
    for name in ("test_images.npy", "test_labels.npy"):
        np.save(tmp_path / name, objects, allow_pickle=True)
    np.savez(tmp_path / "attention.npz", paths=objects, maps=objects)
    return tmp_path


@pytest.mark.parametrize("read", ["images", "labels"])
def test_pickled_arrays_are_named_and_run_nothing(planted: Path, read: str) -> None:
    arrays = Arrays.model_construct(key="k", path=planted)
    with pytest.raises(StoreError, match=f"test_{read}.npy does not hold plain arrays"):
        getattr(arrays, read)("test")
    assert RAN == []


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off"])
def test_attention_that_is_no_array_is_named_and_runs_nothing(
    planted: Path, content: bytes | None
) -> None:
    if content is not None:
        (planted / "attention.npz").write_bytes(content)
    predictions = Predictions.model_construct(key="k", path=planted)
    with pytest.raises(StoreError, match=r"attention.npz does not hold plain arrays"):
        predictions.attention()
    assert RAN == []
