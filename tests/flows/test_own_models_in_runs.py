"""Models of the user's own in a run: like any other, and failing alone."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catdog.entry import functions as catdog
from catdog.errors import SettingsError
from catdog.export.load import load
from catdog.history.runs import study_of
from catdog.promotion.candidates import choose_entrant
from catdog.settings import Settings
from catdog.store.store import Store

SEED = 6
"""Of this file alone: other tests look at the models of the seed that all have."""
MODELS = """\
import keras
from keras import layers


def shallow(classes, size):
    stack = [layers.Rescaling(1 / 255), layers.Conv2D(4, 5, strides=4, activation="relu")]
    stack += [layers.GlobalMaxPooling2D(), layers.Dense(classes, activation="softmax")]
    return keras.Sequential([keras.Input((size, size, 3)), *stack])


def broken(classes, size):
    return layers.Dense(classes, units=size)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("my models") / "nets.py"
    file.write_text(MODELS, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def outcome(run_tiny: Callable[..., Any], nets: Path) -> Any:
    """A run of a model of ours and two of the user's, named relative to where one is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(nets.parent)
        return run_tiny(models="baseline,nets.py:broken,nets.py:shallow", seed=SEED, promote=False)


def test_a_model_that_fails_does_so_alone(outcome: Any, nets: Path) -> None:
    scores = {score.name: score for score in outcome.run.scores}
    assert list(scores) == ["baseline", "broken", "shallow"]
    (failed,) = outcome.run.failed
    assert failed.name == "broken"
    assert f"{nets}, line 12: the model 'broken' cannot be trained (TypeError: " in failed.error
    assert "broken" in str(outcome.error)
    assert outcome.tasks["train-shallow"] == ["Completed"]
    assert outcome.tasks["train-broken"] == ["Failed"]


def test_it_is_reported_by_its_name_and_repeated_as_it_was_named(outcome: Any) -> None:
    assert outcome.run.settings["models"] == ["baseline", "nets.py:broken", "nets.py:shallow"]
    page = (outcome.run.folder / "report.html").read_text(encoding="utf-8")
    assert "shallow" in page
    assert "nets.py:shallow" in page, "in the command that repeats the run"
    assert (outcome.run.folder / "model-card-shallow.md").is_file()


def test_it_predicts_and_may_be_champion(outcome: Any, flow_home: Path, tiny_source: Path) -> None:
    photo = next(tiny_source.rglob("*.jpg"))
    classifier = load("shallow", home=flow_home)
    assert classifier.name == "shallow"
    (answer,) = classifier.predict(photo)
    assert answer.label in {"cats", "dogs"}
    entrant = choose_entrant(Store(flow_home), outcome.run.id, "shallow")
    assert entrant.model.name == "shallow"


def test_a_folder_of_its_name_does_not_come_before_it(
    outcome: Any, flow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shallow").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("shallow", home=flow_home).name == "shallow"


def test_its_report_can_be_written_again_when_its_file_is_gone(
    outcome: Any, flow_store: Store, nets: Path
) -> None:
    gone = nets.with_name("gone.py")
    shutil.move(nets, gone)
    try:
        study = study_of(outcome.run, flow_store)
    finally:
        shutil.move(gone, nets)
    assert {result.name for result in study.results} == {"baseline", "broken", "shallow"}


def test_what_is_not_there_is_refused_before_anything_starts(
    run_tiny: Callable[..., Any], nets: Path
) -> None:
    outcome = run_tiny(models=f"baseline,{nets}:shalow")
    assert (outcome.run, outcome.printed) == (None, "")
    assert "Did you mean shallow?" in str(outcome.error)


@pytest.mark.slow
def test_it_is_trained_from_python_and_on_dask_to_the_same_model(
    outcome: Any, run_tiny: Callable[..., Any], flow_home: Path, nets: Path
) -> None:
    key = outcome.run.artifacts[f"model shallow {SEED}"]
    again = run_tiny(
        models=f"baseline,{nets}:shallow", seed=SEED, promote=False, runner="dask", force=True
    )
    assert again.error is None
    assert again.run.artifacts[f"model shallow {SEED}"] == key
    keys = [run.artifacts[f"predictions shallow {SEED}"] for run in (outcome.run, again.run)]
    files = [Store(flow_home).folder("predictions", k) / "predictions.csv" for k in keys]
    assert files[0].read_bytes() == files[1].read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATDOG_HOME", str(flow_home))
        settings = Settings.load(**again.run.settings)
        photos = catdog.download(settings.source)
        split = catdog.split(photos, seed=SEED)
        arrays = catdog.prefetch(photos, split, image_size=settings.image_size)
        model = catdog.train(f"{nets}:shallow", arrays, epochs=1, seed=SEED)
    assert model.key == key


def test_from_python_what_is_not_there_is_refused(nets: Path) -> None:
    with pytest.raises(SettingsError, match="Did you mean shallow"):
        catdog.train(f"{nets}:shalow", None)  # type: ignore[arg-type]
