"""A run that is trained again in another home, from its capsule alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catdog.errors import SettingsError, StoreError
from catdog.history.capsule import Capsule
from catdog.history.runs import Run, load_runs
from catdog.sample.draw import draw
from catdog.store.store import Store
from flows.cli.reproduce import reproduce


@pytest.fixture(scope="module")
def run(run_tiny: Callable[..., Any]) -> Run:
    run = run_tiny(models=("baseline",), seed=7).run
    assert isinstance(run, Run)
    return run


@pytest.fixture
def capsule(run: Run, flow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's capsule, on a machine that has nothing else of it but the photos."""
    file = tmp_path / "capsule.json"
    monkeypatch.setenv("CATDOG_HOME", str(flow_home))
    assert reproduce(run.id, to=file) == 0
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path / "elsewhere"))
    return file


def test_a_capsule_is_repeated_to_the_byte_and_what_is_different_is_said(
    run: Run, capsule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproduce(str(capsule)) == 0
    assert "Reproduced to the byte" in capsys.readouterr().out
    (again,) = load_runs(Store(tmp_path / "elsewhere" / "reproduced" / run.id))
    assert set(again.reused) <= {"photos", "manifest"}, "these are compared first"
    table = "predictions.csv"
    assert (again.folder / table).read_bytes() == (run.folder / table).read_bytes()

    other = Capsule.model_validate_json(capsule.read_text())
    trained = other.trainings[0]
    turned = trained.pack(trained.probabilities()[:, ::-1])
    update = {"trainings": (trained.model_copy(update={"packed": turned}),)}
    capsule.write_text(
        other.model_copy(update=update | {"predictions": "f" * 64}).model_dump_json()
    )
    assert reproduce(str(capsule)) == 1
    assert "Not reproduced" in capsys.readouterr().out


def test_other_photos_are_refused_before_anything_is_trained(capsule: Path, tmp_path: Path) -> None:
    draw(tmp_path / "photos", train=20, validation=20, seed=6)
    with pytest.raises(StoreError, match="photos and manifest"):
        reproduce(str(capsule), source=str(tmp_path / "photos"))
    assert not list(tmp_path.glob("elsewhere/reproduced/*/store/model"))


def test_a_run_is_not_repeated_in_its_own_home(run: Run, flow_home: Path, capsule: Path) -> None:
    with pytest.raises(SettingsError, match="nothing would be trained again"):
        reproduce(str(capsule), home=flow_home)


def test_a_variable_that_asks_for_something_else_is_named(
    capsule: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_FOLDS", "5")
    with pytest.raises(SettingsError, match="CATDOG_FOLDS"):
        reproduce(str(capsule))


def test_a_capsule_names_no_code_to_be_run(capsule: Path, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')\ndef net(*_): ...\n")
    made = Capsule.model_validate_json(capsule.read_text())
    asked = made.settings | {"models": [f"{tmp_path}/nets.py:net"]}
    capsule.write_text(made.model_copy(update={"settings": asked}).model_dump_json())
    with pytest.raises(SettingsError, match=r"nets\.py is neither installed nor allowed here"):
        reproduce(str(capsule))
    assert not (tmp_path / "trace").exists()
