"""What is handed out gives what the run recorded, and works where there is no catdog."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from limits import files_up_to
from PIL import Image

from catdog.errors import CatdogError, StoreError
from catdog.export import export as exporting
from catdog.export.export import KINDS, export
from catdog.export.load import load
from catdog.history.runs import Run, Score, runs_folder, save_run
from catdog.inference.classifier import Facts
from catdog.promotion.decision import Candidate
from catdog.promotion.rules import Entrant
from catdog.promotion.tasks import promote
from catdog.settings import ExportFormat
from catdog.store.artifacts import Arrays, Flatbuffer, Manifest, Predictions, TrainedModel
from catdog.store.store import Recipe, Store

RUN = "20260504-123000-tiny-1"
WITHOUT_CATDOG = """
import runpy, sys
sys.modules["catdog"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def home(
    tmp_path: Path,
    arrays: Arrays,
    trained: TrainedModel,
    flatbuffer: Flatbuffer,
    predictions: Predictions,
) -> Path:
    """A home with one run of `baseline`."""
    store = Store(tmp_path / "home")
    for artifact in (arrays, trained, flatbuffer, predictions):
        shutil.copytree(artifact.path, store.folder(artifact.kind, artifact.key))
    card = store.folder("model", trained.key) / "model-card.md"
    card.write_text("# Model card: baseline\n", encoding="utf-8")
    score = Score(name="baseline", seed=1, validation_accuracy=0.5, test_accuracy=0.5, seconds=1)
    began = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    save_run(
        Run(
            id=RUN,
            began=began,
            ended=datetime.now(UTC),
            settings={"source": "tiny"},
            scores=(score,),
            artifacts={
                "arrays": arrays.key,
                "model baseline 1": trained.key,
                "predictions baseline 1": predictions.key,
            },
            folder=runs_folder(store) / RUN,
        ),
        None,
        store,
    )
    return store.home


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def without_catdog(example: Path, photo: Path) -> dict[str, float]:
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-c", WITHOUT_CATDOG, str(example), str(photo)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1].replace("'", '"'))
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_works_without_catdog_and_gives_the_same(
    kind: ExportFormat, home: Path, photo: Path, tmp_path: Path
) -> None:
    if kind == "onnx" and not find_spec("tf2onnx"):
        pytest.skip("the extra 'onnx' is not installed")
    folder = tmp_path / "new" / "export"
    replay = export("baseline", kind, folder, home)
    assert (replay.photos, replay.flipped) == (12, 0)
    assert replay.largest_difference < 1e-5
    (expected,) = load("baseline", home=home).predict(photo)
    found = without_catdog(folder / "example.py", photo)
    assert found == pytest.approx(expected.probabilities, abs=1e-3)
    assert list(found) == (folder / "labels.txt").read_text(encoding="utf-8").split()
    assert len((folder / "example.py").read_text(encoding="utf-8").splitlines()) <= 20
    assert [path.name for path in tmp_path.joinpath("new").iterdir()] == ["export"]


def test_the_card_has_its_facts_in_front_and_the_replay_at_the_end(
    home: Path, tmp_path: Path
) -> None:
    replay = export(None, "litert", tmp_path / "export", home)
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    _, front, text = card.split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["pipeline_tag"] == "image-classification"
    assert RUN in facts["model-index"][0]["results"][0]["dataset"]["name"]
    assert "# Model card: baseline" in text
    assert replay.sentence in text


def test_the_card_of_a_champion_says_its_task(
    home: Path, trained: TrainedModel, predictions: Predictions, tmp_path: Path
) -> None:
    facts = {"classes": trained.classes, "counts": {}, "rejected": 0, "duplicates": 0}
    manifest = Store(home).obtain(Recipe(Manifest, "manifest", lambda _: facts))
    champion = Candidate(
        run=RUN,
        name=trained.name,
        seed=1,
        model=trained.key,
        predictions=predictions.key,
        manifest=manifest.key,
        origin="tiny",
        classes=trained.classes,
        test_set="0",
        test_photos=12,
        test_accuracy=0.5,
    )
    model = Store(home).find(TrainedModel, trained.key)
    assert model
    promote(home, Entrant(champion, model, predictions, manifest), "pets")
    export(None, "litert", tmp_path / "export", home, "pets")
    card = (tmp_path / "export" / "README.md").read_text(encoding="utf-8")
    assert "It is the champion of the task pets." in card


def test_an_exported_folder_is_loaded_again(home: Path, photo: Path, tmp_path: Path) -> None:
    export(None, "litert", tmp_path / "export", home)
    stored, exported = load(home=home), load(tmp_path / "export", home=tmp_path / "empty")
    assert Facts(**exported.facts.model_dump(include={*Facts.model_fields})) == stored.facts
    assert exported.predict(photo) == stored.predict(photo)


def test_an_export_that_says_something_else_is_not_handed_out(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LIMIT", -1)
    with pytest.raises(StoreError, match=r"Nothing is exported.*12 test photos"):
        export(None, "litert", tmp_path / "export", home)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_folder_that_is_not_empty_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(StoreError, match="not an empty folder"):
        export(None, "litert", tmp_path / "mine", home)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    (tmp_path / "mine" / "notes.txt").unlink()
    export(None, "litert", tmp_path / "mine", home)
    assert (tmp_path / "mine" / "model.tflite").is_file()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_the_folder_stays(home: Path, tmp_path: Path, there: bool) -> None:
    far, link = tmp_path / "far", tmp_path / "link"
    link.symlink_to(far)
    if there:
        far.mkdir()
    export(None, "litert", link, home)
    assert link.is_symlink()
    assert (far / "model.tflite").is_file()


def test_without_the_test_photos_the_remedy_is_said(
    home: Path, tmp_path: Path, arrays: Arrays
) -> None:
    shutil.rmtree(Store(home).folder("arrays", arrays.key))
    with pytest.raises(StoreError, match="no longer stored"):
        export(None, "litert", tmp_path / "export", home)
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("model.tflite", b"damaged", "missing or damaged"),
        ("preprocessing.json", b"{}", "damaged or of another version"),
        ("preprocessing.json", None, "no export"),
        ("preprocessing.json", b"\xff", "damaged or of another version"),
    ],
)
def test_a_damaged_export_is_one_clear_line(
    file: str, content: bytes | None, reason: str, home: Path, tmp_path: Path
) -> None:
    export(None, "litert", tmp_path / "export", home)
    path = tmp_path / "export" / file
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CatdogError, match=reason):
        load(tmp_path / "export", home=home)


def test_an_export_for_others_says_so(home: Path, tmp_path: Path) -> None:
    export(None, "keras", tmp_path / "export", home)
    with pytest.raises(StoreError, match="for others"):
        load(tmp_path / "export", home=home)


@pytest.mark.parametrize("kind", ["litert", "saved-model", "keras"])
def test_a_disk_that_fills_up_while_exporting_is_one_line_and_leaves_nothing(
    kind: ExportFormat, home: Path, tmp_path: Path
) -> None:
    with files_up_to(20_000), pytest.raises(StoreError, match=r"export cannot be written .*--to"):
        export("baseline", kind, tmp_path / "new" / "export", home)
    assert list((tmp_path / "new").iterdir()) == []
    assert export("baseline", "litert", tmp_path / "new" / "export", home).flipped == 0


def test_what_a_killed_export_left_goes_with_the_next_one(home: Path, tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".export.{dead.pid}").mkdir()
    (tmp_path / f".export.{os.getppid()}").mkdir()
    export("baseline", "litert", tmp_path / "export", home)
    assert {path.name for path in tmp_path.glob(".export.*")} == {f".export.{os.getppid()}"}
