"""What the pages tell a user to type works as it stands, and what they say of the code is so."""

import json
import re
import shutil
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cyclopts import MissingArgumentError
from PIL import Image

from catdog.export import load
from catdog.promotion.candidates import Chosen
from catdog.sources import download as sources
from catdog.store.artifacts import Flatbuffer, TrainedModel
from catdog.store.store import Store
from flows.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md")
    if path.name != "CHANGELOG.md"
}
"""All but the changelog, which tells of what was."""
README = PAGES["README.md"]

FOLDERS = "catdog|tasks|flows|deployments|tests|benchmarks|docs"
DEPLOYMENTS = {"catdog/full", "catdog/smoke"}
"""Prefect's names, which look like folders."""
README_LINES = 170
"""A newcomer reads it to the end. What is longer goes to `docs/`."""
WAY_IN_TOLERANCE = 1.1
"""How much the files of the way in may grow beyond "about so many lines"."""


def section(page: str, heading: str) -> str:
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGES[page], re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no section '{heading}'"
    return found[1]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_notebook_example_runs_and_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = blocks(section("docs/reference.md", "As a library"), "python")
    assert len(example.splitlines()) <= 12
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CATDOG_IMAGE_SIZE", "64")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(sources, "TRAIN", 40)
    monkeypatch.setattr(sources, "VALIDATION", 40)
    exec(compile(example, "reference.md", "exec"), {})  # noqa: S102  our own text
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
    (example,) = blocks(section("README.md", "Use a model"), "python")
    home = tmp_path / "home"
    store = Store(home)
    for artifact in (trained, flatbuffer):
        shutil.copytree(artifact.path, store.folder(artifact.kind, artifact.key))
    monkeypatch.setattr(
        load, "choose_model", lambda store, name, task: Chosen(trained, None, "a run")
    )
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


def shown(program: str) -> list[str]:
    """The commands in the pages' code blocks."""
    lines = "\n".join(block for page in PAGES.values() for block in blocks(page, "sh")).splitlines()
    typed = (re.sub(r"^(export )?([A-Z_]+=\S+ )*", "", line).split("#")[0] for line in lines)
    return sorted({line.strip() for line in typed if line.startswith(f"{program} ")})


def named(program: str) -> list[str]:
    """The commands in the pages' sentences and tables."""
    quoted = re.findall(rf"`({program} [^`]+)`", "\n".join(PAGES.values()))
    return sorted({" ".join(line.split()) for line in quoted})


def parse(command: str) -> None:
    words = re.sub(r"[\[\]]|\.\.\.", "", command).split()[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", shown("catdog"))
def test_every_command_that_they_show_can_be_typed(command: str) -> None:
    parse(command)


@pytest.mark.parametrize("command", named("catdog"))
def test_every_command_and_flag_that_they_name_exists(command: str) -> None:
    with suppress(MissingArgumentError):
        parse(command)


def test_every_target_of_make_that_they_name_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    lines = (*shown("make"), *named("make"))
    wanted = {word for line in lines for word in line.split()[1:] if "=" not in word}
    assert wanted
    assert wanted <= targets


def test_a_newcomer_can_read_the_readme_to_the_end() -> None:
    assert len(README.splitlines()) <= README_LINES


def test_the_way_in_is_as_short_as_it_says() -> None:
    way = section("CONTRIBUTING.md", "A way in")
    (promised,) = re.findall(r"about ([\d,]+) lines", way)
    numbered = "\n".join(re.findall(r"^\d\. .*(?:\n   .*)*", way, re.MULTILINE))
    files = re.findall(r"`([\w/]+\.py)`", numbered)
    assert files
    lines = sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in files)
    assert lines <= WAY_IN_TOLERANCE * int(promised.replace(",", ""))


def test_the_drawn_layers_are_those_that_the_checks_keep() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers, rooms = (c["layers"] for c in contracts[:2])
    text = section("CONTRIBUTING.md", "Layers")
    drawing = [sorted(line.split()) for line in blocks(text, "")[0].splitlines()]
    assert re.findall(r"`(\w+)`", text.split(",")[0]) == layers
    assert drawing == [sorted(line.split(" | ")) for line in rooms]


def test_the_readme_names_every_room() -> None:
    told = set(re.findall(r"`(\w+)/`", section("README.md", "How it is built")))
    rooms = {init.parent.name for init in ROOT.glob("catdog/*/__init__.py")}
    assert rooms <= told


def test_every_file_of_the_code_that_they_name_is_there() -> None:
    everything = "\n".join(PAGES.values())
    paths = set(re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", everything)) - DEPLOYMENTS
    assert paths
    assert not [path for path in paths if not (ROOT / path).exists()]


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    folder = (ROOT / name).parent
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGES[name]):
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link
