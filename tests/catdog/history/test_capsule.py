"""A capsule holds all that is needed to repeat a run, nothing secret, and is never trusted."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.errors import StoreError
from catdog.history.capsule import MOST_BYTES, Capsule, capsule_of, read_capsule
from catdog.history.reproduction import differences, reproduction
from catdog.history.runs import Run, make_record, save_run
from catdog.report.write import write_report
from catdog.settings import Settings

PLANTED = "planted7secret"
BEGAN = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def run(make_fake_run: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of two models, whose source lets its owner in."""
    made = make_fake_run(tmp_path_factory.mktemp("capsule"))
    source = f"https://me:{PLANTED}@host/photos.zip?token={PLANTED}"
    settings = Settings.load(source=source, models=("baseline", "transfer"), home=made.store.home)
    study = made.study()
    report = write_report(study, made.store)
    record = make_record(study, settings, made.store, began=BEGAN, found=0, changes=None)
    return save_run(record, report, made.store)


@pytest.fixture(scope="module")
def capsule(run: Run) -> Capsule:
    return capsule_of(run)


@pytest.fixture
def file(capsule: Capsule, tmp_path: Path) -> Path:
    path = tmp_path / "capsule.json"
    path.write_text(capsule.model_dump_json())
    return path


def test_a_capsule_tells_how_the_run_was_made_and_what_it_predicted(
    run: Run, capsule: Capsule, file: Path
) -> None:
    assert read_capsule(file) == capsule
    assert capsule.asked().asked() == run.settings
    assert set(capsule.digests) == {"photos", "manifest", "arrays"}
    assert capsule.weights == {"source": "embedded", "sha256": "3" * 64}
    assert {"code", "python", "tensorflow", "processor"} <= set(capsule.facts)
    assert all(capsule.facts[name] for name in ("code", "python", "tensorflow"))
    rows = (run.folder / "predictions.csv").read_text().splitlines()[1:]
    found = np.concatenate([each.probabilities() for each in capsule.trainings])
    assert [[np.float32(p) for p in row.split(",")[6:]] for row in rows] == found.tolist()


def test_a_capsule_holds_no_names_of_photos_and_no_secret(run: Run, file: Path) -> None:
    text = file.read_text()
    assert PLANTED not in text
    assert ".jpg" in (run.folder / "predictions.csv").read_text()
    assert ".jpg" not in text


def test_the_same_run_is_reproduced_to_the_byte(capsule: Capsule) -> None:
    found = reproduction(capsule, capsule)
    assert (found.good, found.same_bytes) == (True, True)
    assert capsule.predictions in found.sentence


def changed(capsule: Capsule, photos: int, **facts: str) -> Capsule:
    """The capsule of a run in which so many photos of the first model get another class."""
    first, *others = capsule.trainings
    probabilities = first.probabilities().copy()
    probabilities[:photos] = probabilities[:photos, ::-1]
    packed = type(first).pack(probabilities)
    trainings = (first.model_copy(update={"packed": packed}), *others)
    update = {"trainings": trainings, "predictions": "f" * 64, "machine": capsule.machine | facts}
    return capsule.model_copy(update=update)


def test_another_processor_explains_as_many_other_classes_as_were_wrong_and_no_more(
    capsule: Capsule,
) -> None:
    first = capsule.trainings[0]
    assert 0 < first.wrong < first.photos
    few, many = (changed(capsule, first.wrong + n, processor="another") for n in (0, 1))
    assert reproduction(capsule, few).good
    assert reproduction(capsule, few).trainings[0].other_class == first.wrong
    assert not reproduction(capsule, many).good
    assert not reproduction(capsule, changed(capsule, 1)).good, "nothing explains it"


def test_other_photos_are_not_compared(capsule: Capsule) -> None:
    other = capsule.model_copy(update={"digests": capsule.digests | {"photos": "9" * 64}})
    with pytest.raises(StoreError, match="not the same photos"):
        reproduction(capsule, other)


def test_what_is_different_is_named_also_where_it_was_not_recorded() -> None:
    then, now = {"keras": "3.14", "numpy": "2.4"}, {"keras": "3.15", "numpy": "2.4", "code": "a"}
    found = [tuple(each) for each in differences(then, now)]
    assert found == [("keras", "3.14", "3.15"), ("code", "not recorded", "a")]


def broken(text: str, **changes: Any) -> str:
    return json.dumps(json.loads(text) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "../../etc"},
        {"format": "catdog capsule 2"},
        {"trainings": []},
        {"unknown": 1},
        {"code": "x" * 2_000},
        {"began": "yesterday"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_capsule_that_is_wrong_is_refused_in_one_line(
    file: Path, changes: dict[str, Any]
) -> None:
    file.write_text(broken(file.read_text(), **changes))
    with pytest.raises(StoreError) as caught:
        read_capsule(file)
    assert "\n" not in str(caught.value)
    assert next(iter(changes)) in caught.value.problem


@pytest.mark.parametrize("settings", [{"dropout": 0.2}, {"home": "/"}, {"force": True}])
def test_a_capsule_sets_only_what_decides_results(file: Path, settings: dict[str, Any]) -> None:
    known = json.loads(file.read_text())["settings"]
    file.write_text(broken(file.read_text(), settings=known | settings))
    with pytest.raises(StoreError) as caught:
        read_capsule(file).asked()
    assert next(iter(settings)) in caught.value.problem


@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_content_of_a_file_is_more_than_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        read_capsule(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"settings":' * 50_000])
def test_no_depth_of_a_file_overflows(tmp_path: Path, content: str) -> None:
    path = tmp_path / "deep.json"
    path.write_text(content)
    with pytest.raises(StoreError):
        read_capsule(path)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(100 * MOST_BYTES)
    with pytest.raises(StoreError, match="larger than"):
        read_capsule(path)


def test_packed_probabilities_that_unpack_to_more_or_to_nonsense_are_refused(
    capsule: Capsule,
) -> None:
    first = capsule.trainings[0]
    bomb = first.pack(np.zeros((2**20, first.classes), np.float32))
    for packed in (bomb, first.pack(np.full((first.photos, first.classes), 2.0)), "?", "AAAA"):
        with pytest.raises(StoreError, match="damaged"):
            first.model_copy(update={"packed": packed}).probabilities()


def test_a_run_without_predictions_has_no_capsule(run: Run, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no predictions"):
        capsule_of(run.model_copy(update={"folder": tmp_path}))
