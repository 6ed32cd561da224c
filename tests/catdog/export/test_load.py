"""Which model is loaded, and how little that takes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catdog.errors import StoreError
from catdog.export.load import load, open_classifier
from catdog.inference.classifier import Facts
from catdog.store.artifacts import Flatbuffer, TrainedModel
from catdog.store.store import Store

HEAVY = {"tensorflow", "keras", "prefect", "pandas", "matplotlib", "scipy", "sklearn"}
USE = """
import sys
from pathlib import Path

from catdog.promotion.candidates import Chosen
from catdog.export.flatbuffer import FILE, flatbuffer_of
from catdog.export.load import facts_of, open_classifier
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store

home, key, photo = sys.argv[1:]
store = Store(Path(home))
model = store.find(TrainedModel, key)
file = flatbuffer_of(model, store).file(FILE)
(answer,) = open_classifier(facts_of(Chosen(model, None, "")), file, 0.8).predict(photo)
assert answer.label
print(*sys.modules)
"""


def test_to_predict_loads_no_training_framework(
    trained: TrainedModel, flatbuffer: Flatbuffer, store_of_tests: Store, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(photo)
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", USE, str(store_of_tests.home), trained.key, str(photo)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not HEAVY & set(done.stdout.split())


def test_a_name_that_nothing_was_trained_under_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no trained 'resnet'.*catdog run"):
        load("resnet", home=tmp_path)


def test_without_a_model_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="catdog run"):
        load(home=tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"words" * 100, b"\x1c\0\0\0TFL3" + bytes(400), b"\x1c\0\0\0TFL3"]
)
def test_a_file_that_is_no_flatbuffer_is_one_short_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(content)
    facts = Facts(name="a", version="1", classes=("b", "c"), image_size=32, temperature=None)
    with pytest.raises(StoreError, match=r"model\.tflite cannot be used") as raised:
        open_classifier(facts, file, 0.5)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500
