"""Predictions: the bad photo named, the table, the streams."""

import csv
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_command import Answer, Command, assert_one_clear_line, photo

from catdog.store.artifacts import Evidence, Predictions
from catdog.store.store import Recipe, Store


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    text = tmp_path / "text.jpg"
    text.write_text("words")
    return [photo(tmp_path / "a cat [b].png", 1), text, photo(tmp_path / "猫.jpg", 2)]


def assert_names_the_bad_one(answer: Answer, bad: Path) -> None:
    assert answer.code == 1
    (line,) = answer.err.splitlines()
    assert str(bad) in line


def test_photos_are_predicted_and_the_unreadable_named(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", *mixed)
    assert_names_the_bad_one(answer, mixed[1])
    assert "Predicted by baseline" in answer.out
    for name in (mixed[0].name, mixed[2].name):
        assert name in answer.out


def test_good_photos_alone_end_well(used_home: Path, command: Command, mixed: list[Path]) -> None:
    answer = command("predict", mixed[0])
    assert (answer.code, answer.err) == (0, "")


def test_json_is_all_that_is_printed_and_parses(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", "--json", *mixed)
    assert_names_the_bad_one(answer, mixed[1])
    found = json.loads(answer.out)
    assert [prediction["path"] for prediction in found] == [str(path) for path in mixed]
    assert [prediction["error"] is None for prediction in found] == [True, False, True]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, rel=1e-5)
    assert found[0]["label"] in ("cats", "dogs")


def test_a_csv_has_a_row_a_photo(
    used_home: Path, command: Command, mixed: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    assert_names_the_bad_one(command("predict", "--csv", target, *mixed), mixed[1])
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in mixed]
    assert list(rows[0]) == ["path", "label", "p_cats", "p_dogs", "error"]
    assert rows[1]["label"] == rows[1]["p_cats"] == ""
    assert rows[1]["error"]
    assert float(rows[2]["p_cats"]) + float(rows[2]["p_dogs"]) == pytest.approx(1, rel=1e-5)


@pytest.fixture
def odd(tmp_path: Path) -> list[Path]:
    """Photos and an unreadable file whose names end lines, steer a terminal or are no text."""
    source = photo(tmp_path / "a.png", 1)
    broken = tmp_path / "no\n\x1b[2J.jpg"
    broken.write_text("words")
    names = ("a\nb.png", "a\u2028b.png", "a\r\x1b[2J.png", os.fsdecode(b"a\xff.png"))
    return [*(Path(shutil.copy(source, tmp_path / name)) for name in names), broken]


def test_photos_of_odd_names_are_predicted_each_on_its_row(
    used_home: Path, command: Command, odd: list[Path], tmp_path: Path
) -> None:
    answer = command("predict", "--csv", tmp_path / "out.csv", *odd)
    assert (answer.code, answer.out) == (1, "")
    assert_names_the_bad_one(answer, odd[-1].with_name(r"no\n\x1b[2J.jpg"))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [
        str(path).encode(errors="backslashreplace").decode() for path in odd
    ]
    assert len({row["p_cats"] for row in rows[:-1]}) == 1
    found = json.loads(command("predict", "--json", *odd).out)
    assert [entry["path"] for entry in found] == [str(path) for path in odd]
    table = command("predict", *odd).out
    assert r"a\r\x1b[2J.png" in table
    table.encode()
    assert sum("│" in line for line in table.splitlines()) == len(odd) - 1


def test_an_error_is_one_line_whatever_it_names(command: Command) -> None:
    answer = command("predict", "no\nsuch\x1b[2J.jpg")
    assert_one_clear_line(answer, r"no\nsuch\x1b[2J.jpg")
    assert_one_clear_line(command("run", "--source", "no\nsuch"), r"no\nsuch")


@pytest.mark.parametrize("place", ["nowhere/out.csv", ""])
def test_a_csv_that_cannot_be_written_is_one_line(
    place: str, used_home: Path, command: Command, mixed: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / place
    assert_one_clear_line(command("predict", "--csv", target, mixed[0]), str(target), "--csv")


def test_a_csv_can_be_all_that_is_printed(
    used_home: Path,
    command: Command,
    mixed: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out.csv"
    with mixed[0].open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        assert command("predict", "--csv", target, "-").out == ""
    with mixed[0].open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        printed = command("predict", "-", "--csv", "-")
    assert printed == (0, target.read_bytes().decode(), "")
    answer = command("predict", "--json", "--csv", "-", mixed[0])
    assert answer.out == ""
    assert_one_clear_line(answer, "--json", "--csv")


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--to", "-"),
        ("runs", "--home", "-"),
        ("serve", "--client-config", "-"),
        ("run", "--source", "-"),
        ("--config", "-", "runs"),
    ],
)
def test_only_photos_and_their_table_can_be_a_stream(
    words: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command(*words)
    assert answer.code != 0
    assert len(answer.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_predicted(used_home: Path, command: Command, mixed: list[Path]) -> None:
    answer = command("predict", "--json", mixed[0].parent)
    assert {Path(p["path"]).name for p in json.loads(answer.out)} >= {path.name for path in mixed}


def test_a_photo_is_read_from_standard_input(
    used_home: Path, command: Command, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with mixed[0].open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        (given, other) = json.loads(command("predict", "--json", "-", mixed[2]).out)
    (expected,) = json.loads(command("predict", "--json", mixed[0]).out)
    assert given["probabilities"] == expected["probabilities"]
    assert (given["path"], other["path"]) == ("/dev/stdin", str(mixed[2]))


def test_what_is_below_the_threshold_is_flagged(
    used_home: Path, command: Command, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "look yourself" not in command("predict", "--threshold", "0", mixed[0]).out
    # Uncalibrated, the tiny model is sure of all.
    strict = command("predict", "--calibrated", "--threshold", "1", mixed[0])
    assert "1 below 100 %: look yourself" in strict.out
    monkeypatch.setenv("CATDOG_THRESHOLD", "1.5")
    assert_one_clear_line(command("predict", mixed[0]), "threshold")


def test_a_model_without_a_temperature_cannot_be_calibrated(
    used_home: Path, command: Command, mixed: list[Path], predictions: Predictions
) -> None:
    assert command("predict", "--calibrated", mixed[0]).code == 0
    shutil.rmtree(Store(used_home).folder(predictions.kind, predictions.key))
    assert_one_clear_line(command("predict", "--calibrated", mixed[0]), "--calibrated")


@pytest.fixture
def knowing_home(used_home: Path, predictions: Predictions) -> Path:
    """A home whose model has been asked what it knows; it has seen nothing like the photos."""

    def make(folder: Path) -> dict[str, Any]:
        found: dict[str, Any] = {"known": np.zeros((1, 32), np.float16)}
        for split in ("validation", "test"):
            found[f"{split}_doubt"] = np.linspace(0, 0.5, 400)
            found[f"{split}_wrong"] = np.zeros(400, bool)
            found[f"{split}_distance"] = np.linspace(0, 0.5, 400)
        np.savez(folder / Evidence.NAME, **found)
        return {"name": "baseline", "predictions": predictions.key, "choices": 1}

    Store(used_home).obtain(Recipe(Evidence, "made-up", make))
    return used_home


def test_what_is_unlike_anything_seen_is_not_answered(
    knowing_home: Path, command: Command, mixed: list[Path], tmp_path: Path
) -> None:
    told = command("predict", "--risk", "1%", mixed[0]).out
    assert "At most 1 % of its answers are wrong, with 95 % confidence" in told
    assert "unlike anything seen" in told
    assert "0 of 1 answered" in told
    (found,) = json.loads(command("predict", "--json", "--risk", "0.01", mixed[0]).out)
    assert (found["label"], found["unanswered"], found["uncertain"]) == (None, "unlike", True)
    answer = command("predict", "--risk", "1%", "--false-flags", "0", "--csv", "-", mixed[0])
    (row,) = csv.DictReader(io.StringIO(answer.out))
    assert row["label"] in ("cats", "dogs")
    assert row["unanswered"] == ""


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--risk", "0.01%"), ("0.01 %", "cannot be promised", "validation photos", "--risk")),
        (("--risk", "a lot"), ("risk",)),
        (("--risk", "100%"), ("risk",)),
        (("--risk", "1%", "--false-flags", "120%"), ("false_flags",)),
        (("--risk", "1%", "--threshold", "0.5"), ("threshold", "risk")),
    ],
)
def test_a_risk_that_cannot_be_kept_is_one_line(
    words: tuple[str, ...],
    names: tuple[str, ...],
    knowing_home: Path,
    command: Command,
    mixed: list[Path],
) -> None:
    assert_one_clear_line(command("predict", *words, mixed[0]), *names)


def test_a_model_of_which_nothing_was_gathered_is_one_line(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", "--risk", "1%", mixed[0])
    assert_one_clear_line(answer, "baseline", "never gathered", "--risk")


def test_an_export_into_a_folder_that_is_not_empty_is_one_line(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("export", "--to", mixed[0].parent)
    assert_one_clear_line(answer, "not an empty folder", "--to")


def test_damaged_files_are_told_from_a_folder_without_photos(
    used_home: Path, command: Command, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_one_clear_line(command("predict", empty), "holds no photos")


@pytest.mark.parametrize("name", ["transfer", "resnet"])
def test_a_model_that_was_not_trained_is_one_line(
    name: str, used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", "--model", name, mixed[0])
    assert_one_clear_line(answer, f"'{name}'", "catdog run")


def test_without_a_model_it_is_told_how_to_train_one(command: Command, mixed: list[Path]) -> None:
    assert_one_clear_line(command("predict", mixed[0]), "no trained model", "catdog run")


def test_a_path_that_does_not_exist_is_one_line(
    used_home: Path, command: Command, tmp_path: Path
) -> None:
    answer: Any = command("predict", tmp_path / "nowhere.jpg")
    assert_one_clear_line(answer, "nowhere.jpg", "Check the path")
