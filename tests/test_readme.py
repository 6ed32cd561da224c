"""What the README tells a user to type works as it stands."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from catdog.export import load
from catdog.promotion.candidates import Chosen
from catdog.sources import download as sources
from catdog.store.artifacts import Flatbuffer, TrainedModel
from catdog.store.store import Store
from flows.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found, f"the README has no section '{heading}'"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_notebook_example_runs_and_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks(section("As a library"), "python")
    assert len(example.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATDOG_IMAGE_SIZE", "64")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(sources, "SAMPLE_TRAIN", 40)
    monkeypatch.setattr(sources, "SAMPLE_VALIDATION", 40)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102  our own text
    accuracy = float(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= accuracy <= 1
    (picture,) = [path for path in tmp_path.iterdir() if path.is_file()]
    assert picture.stat().st_size > 1_000


def test_the_example_of_use_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trained: TrainedModel,
    flatbuffer: Flatbuffer,
) -> None:
    (example,) = blocks(section("Use a model"), "python")
    home = tmp_path / "home"
    store = Store(home)
    for artifact in (trained, flatbuffer):
        shutil.copytree(artifact.path, store.folder(artifact.kind, artifact.key))
    monkeypatch.setattr(load, "choose_model", lambda store, name: Chosen(trained, None, "a run"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATDOG_HOME", str(home))
    for name in ("cat.jpg", "dog.jpg"):
        Image.new("RGB", (50, 40), "red").save(name)
    exec(compile(example, "README.md", "exec"), {})  # noqa: S102  our own text
    assert capsys.readouterr().out.startswith("cat.jpg ")


@pytest.mark.slow
def test_the_notebook_runs_from_photos_to_a_prediction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path / "home"))
    notebook = json.loads((ROOT / "docs" / "quickstart.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102  our own text
    table = names["model"].predict_frame(names["files"])
    assert table["label"].isin(names["model"].classes).all()


def commands() -> list[str]:
    text = "\n".join(blocks(README, "sh")) + "\n".join(re.findall(r"`(catdog [^`]+)`", README))
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return sorted({line for line in lines if line.startswith("catdog ")})


@pytest.mark.parametrize("command", commands())
def test_every_command_and_flag_that_it_names_exists(command: str) -> None:
    words = re.sub(r"[\[\]]|\.\.\.", "", command).split()[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_tests_that_keep_the_promises_are_there() -> None:
    named = set(re.findall(r"`(tests/\S+\.py)`", (ROOT / "docs/promises.md").read_text("utf-8")))
    assert named
    assert not [path for path in named if not (ROOT / path).is_file()]


def test_every_file_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
