"""Stored arrays are read as numbers only, whatever somebody has put in their place."""

import zipfile
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


def header(text: str) -> bytes:
    """A file of an array with this description, and nothing of the array."""
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


ABSURD = {
    "terabytes": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n"),
    "a negative size": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n"),
    "a call": header("__import__('os').abort()\n"),
    "nested": header("(" * 8_000),
    "another type": header("{'descr': [], 'fortran_order': 5, 'shape': 'x'}\n"),
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"),
}


@pytest.mark.parametrize("content", ABSURD.values(), ids=ABSURD.keys())
def test_an_array_with_an_absurd_head_is_named_in_one_short_line(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "test_labels.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "attention.npz", "w") as archive:
        for name in ("paths.npy", "maps.npy"):
            archive.writestr(name, content)
    for read in (
        lambda: Arrays.model_construct(key="k", path=tmp_path).labels("test"),
        Predictions.model_construct(key="k", path=tmp_path).attention,
    ):
        with pytest.raises(StoreError, match="does not hold plain arrays") as raised:
            read()
        assert len(raised.value.problem) < 500
