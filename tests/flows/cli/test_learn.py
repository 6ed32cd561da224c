"""`catdog learn`: what more photos would bring, or why that cannot be told."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_command import Command, assert_one_clear_line, table

from catdog.history.runs import load_run, save_run
from catdog.store.artifacts import Arrays, Manifest, TrainedModel
from catdog.store.store import Store


@pytest.fixture
def frozen(
    used_home: Path,
    arrays: Arrays,
    manifest_of: Callable[..., Manifest],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The run has its photos, and its model counts as one on a frozen base."""
    store = Store(used_home)
    shutil.copytree(arrays.path, store.folder(arrays.kind, arrays.key))
    run = load_run("latest", store)
    manifest = manifest_of(store, burst=4)
    told = {
        "artifacts": run.artifacts | {"arrays": arrays.key, "manifest": manifest.key},
        "contents": run.contents | {"arrays": arrays.content, "manifest": manifest.content},
    }
    save_run(run.model_copy(update=told), None, store)
    facts = TrainedModel.facts

    def on_a_base(model: TrainedModel) -> dict[str, Any]:
        return facts(model) | {"weights": "made-up"}

    monkeypatch.setattr(TrainedModel, "facts", on_a_base)
    return used_home


def test_it_tells_and_draws_what_twice_the_photos_would_give(
    frozen: Path, command: Command, tmp_path: Path
) -> None:
    figure = tmp_path / "more.svg"
    answer = command("learn", "--figure", figure)
    assert answer.code == 0, answer.err
    rows = table(answer.out)
    assert list(rows)[-4:] == ["4", "10", "20", "40"]
    assert rows["40"][0] == "1", "all photos can be drawn in one way only"
    words = " ".join(answer.out.split())
    assert "With 40 training photos the accuracy is" in words
    assert "the weakest class" in words
    assert "test photos; there are 33." in words, "24 of validation, less 3 of a burst, and 12"
    assert "training photos" in figure.read_text(encoding="utf-8")


def test_a_model_whose_base_learns_is_one_line(used_home: Path, command: Command) -> None:
    assert_one_clear_line(command("learn"), "'baseline' has no frozen base", "'transfer'")


def test_photos_that_are_gone_are_one_line(frozen: Path, command: Command) -> None:
    shutil.rmtree(frozen / "store" / "arrays")
    assert_one_clear_line(command("learn"), "arrays")


def test_a_figure_that_cannot_be_written_is_told_before_the_work(
    used_home: Path, command: Command, tmp_path: Path
) -> None:
    assert_one_clear_line(command("learn", "--figure", tmp_path), "is a folder", "--figure")
