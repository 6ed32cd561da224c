"""Models and runs as lists."""

from pathlib import Path

import pytest
from cli_command import SOURCE, Command, assert_one_clear_line, table

from catdog.store.artifacts import Predictions
from catdog.wording import percent


def test_models_are_listed_with_their_parameters(command: Command) -> None:
    answer = command("models")
    assert answer.code == 0
    for text in ("baseline", "742,194", "augmented", "2,967,650", "102,562", "2,260,546", "2,562"):
        assert text in answer.out


def test_models_are_listed_with_where_they_come_from(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "nets-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nets\nVersion: 1.2\n")
    points = "wide_net = my_nets:net\ntransfer = my_nets:other\n"
    (info / "entry_points.txt").write_text(f"[catdog.models]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = table(command("models").out)
    assert rows["baseline"][1:] == ["catdog", "742,194", "742,194"]
    assert rows["wide_net"] == ["my_nets:net", "nets 1.2", "", ""]
    assert rows["my_nets:other"][1] == "nets 1.2", "its name is taken"


def test_without_runs_it_is_told_how_to_start_one(command: Command) -> None:
    answer = command("runs")
    assert answer.code == 0
    assert "catdog run" in answer.out


def test_runs_are_listed_with_their_best_model(
    used_home: Path, command: Command, predictions: Predictions
) -> None:
    accuracy = percent(predictions.accuracy("test"))
    line = f"20260504-123000-tiny-1  baseline, {accuracy} on test, 1 failed\n"
    assert command("runs") == (0, line, "")


def test_a_run_is_shown_with_all_of_its_models(
    used_home: Path, command: Command, predictions: Predictions
) -> None:
    answer = command("runs", "latest")
    assert answer.code == 0
    rows = table(answer.out)
    scores = [percent(predictions.accuracy(split)) for split in ("validation", "test")]
    assert rows["baseline"] == ["1", *scores, "0:00:01"]
    assert rows["transfer"] == ["1", "failed", "", ""]
    lines = answer.out.splitlines()
    assert lines[0] == f"Run 20260504-123000-tiny-1 on {SOURCE}"
    assert "transfer, seed 1: It was killed." in lines
    assert f"Folder: {used_home / 'runs' / '20260504-123000-tiny-1'}" in lines
    assert not any("--open" in line for line in lines)  # it has no report
    assert_one_clear_line(command("runs", "nonsense"), "nonsense", "catdog runs")
