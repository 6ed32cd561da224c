"""What a model knows is gathered once, of each picture once, and goes where the model goes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from catdog.errors import StoreError
from catdog.export.evidence import recipe
from catdog.export.exported import DESCRIPTION, Description, read_evidence
from catdog.inference.caution import knowledge_of
from catdog.store.artifacts import (
    Arrays,
    Evidence,
    Flatbuffer,
    Manifest,
    Predictions,
    TrainedModel,
    read_arrays,
)
from catdog.store.digest import file_digest
from catdog.store.files import write_json
from catdog.store.store import Store

ManifestOf = Callable[..., Manifest]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, flatbuffer: Flatbuffer) -> Store:
    store = Store(tmp_path_factory.mktemp("home"))
    shutil.copytree(flatbuffer.path, store.folder(flatbuffer.kind, flatbuffer.key))
    return store


@pytest.fixture(scope="module")
def evidence(
    store: Store,
    trained: TrainedModel,
    predictions: Predictions,
    arrays: Arrays,
    manifest_of: ManifestOf,
) -> Evidence:
    made = manifest_of(store, burst=4)
    return store.obtain(recipe(trained, predictions, arrays, made, store))


def test_it_has_what_the_evaluation_has_and_each_picture_once(
    evidence: Evidence, predictions: Predictions
) -> None:
    table = predictions.table()
    rows = table[table["split"] == "validation"].drop(index=[1, 2, 3])
    known = knowledge_of(evidence)
    assert known.validation.wrong.tolist() == (rows["label"] != rows["predicted"]).tolist()
    doubt = rows[["p_cats", "p_dogs"]].min(axis=1)
    np.testing.assert_allclose(known.validation.doubt, doubt, rtol=1e-2, atol=1e-12)
    assert len(known.test.doubt) == 12
    assert known.choices == 2
    assert known.known is not None
    assert len(known.known) == 40


def test_a_photo_that_was_trained_on_is_no_stranger(evidence: Evidence) -> None:
    known = knowledge_of(evidence)
    assert known.validation.distance is not None
    assert (known.validation.distance > 0).all()
    assert known.validation.distance.max() < 1


def test_it_is_found_by_the_predictions_that_it_is_of(
    evidence: Evidence, predictions: Predictions, store: Store, tmp_path: Path
) -> None:
    assert Evidence.of(predictions, store) == evidence
    assert Evidence.of(predictions, Store(tmp_path)) is None


def test_other_groups_give_other_evidence(
    evidence: Evidence,
    store: Store,
    trained: TrainedModel,
    predictions: Predictions,
    arrays: Arrays,
    manifest_of: ManifestOf,
) -> None:
    other = recipe(trained, predictions, arrays, manifest_of(store, burst=1), store)
    assert other.key != evidence.key


def test_an_export_carries_it(evidence: Evidence, trained: TrainedModel, tmp_path: Path) -> None:
    description = Description(
        format="litert",
        model="model.tflite",
        sha256=None,
        name=trained.name,
        version="1",
        classes=trained.classes,
        image_size=trained.image_size,
        temperature=None,
    )
    write_json(tmp_path / DESCRIPTION, description.model_dump(mode="json"))
    with pytest.raises(StoreError, match="does not say what its model knows"):
        read_evidence(tmp_path)
    file = tmp_path / Evidence.NAME
    shutil.copyfile(evidence.file(Evidence.NAME), file)
    told = description.model_copy(update={"evidence": file_digest(file), "choices": 2})
    write_json(tmp_path / DESCRIPTION, told.model_dump(mode="json"))
    assert read_evidence(tmp_path).choices == 2
    file.write_bytes(b"other")
    with pytest.raises(StoreError, match="missing or damaged"):
        read_evidence(tmp_path)


def test_phases_begin_with_what_was_chosen_before(trained: TrainedModel, tmp_path: Path) -> None:
    assert trained.choices() == 2, "an epoch each"
    copy = tmp_path / "model"
    shutil.copytree(trained.path, copy)
    history = pd.read_csv(copy / "history.csv").assign(phase=[1, 2])
    history.to_csv(copy / "history.csv", index=False)
    phased = trained.model_construct(**(dict(trained) | {"path": copy}))
    assert phased.choices() == 1 + 1 * 1
    facts = json.loads((copy / "model.json").read_text(encoding="utf-8")) | {"epochs": 6}
    (copy / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    assert phased.choices() == 1 + 1 * 5, "as many as were asked for"


def test_what_is_no_array_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "evidence.npz").write_bytes(b"words")
    with pytest.raises(StoreError, match="plain arrays"):
        read_arrays(tmp_path / "evidence.npz")
