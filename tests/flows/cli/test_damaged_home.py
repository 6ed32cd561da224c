"""A home in which one file is damaged: what is whole still serves, and the file is named."""

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cli_command import Answer, Command, assert_one_clear_line
from made_up import COLUMNS, add_run

JSON: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda _: "",
    "no UTF-8": lambda text: text.replace('"', "\xff", 1).encode("latin-1"),
    "cut": lambda text: text[: len(text) // 2],
    "a list": lambda _: "[]",
    "a number": lambda _: "5",
    "null": lambda _: "null",
    "an empty object": lambda _: "{}",
    "nested": lambda _: "[" * 100_000,
    "nested and closed": lambda _: '{"record": ' + "[" * 1_000 + "]" * 1_000 + "}",
    "numbers of 5,000 digits": lambda text: text.replace("1", "1" * 5_000),
}


@pytest.fixture
def two_runs(home: Path) -> Path:
    """A home with the runs "good" and "hurt"."""
    for name, right in (("good", 30), ("hurt", 45)):
        add_run(home, name, {"baseline": right})
        (stored,) = home.glob(f"store/predictions/{name}-baseline/predictions.csv")
        shutil.copyfile(stored, home / "runs" / name / "predictions.csv")
    return home


PLACES = {
    "the newest decision": ("champion/decisions/000002.json", "champion show", "predict {}"),
    "an older decision": (
        "champion/decisions/000001.json",
        "champion history",
        "champion rollback",
    ),
    "a run's record": ("runs/hurt/run.json", "runs", "runs hurt", "champion promote hurt"),
    "a comparison": ("runs/hurt/comparison.json", "champion promote hurt", "report hurt"),
    "a model's entry": ("store/model/*/entry.json", "cache list", "cache verify", "cache size"),
    "a champion's entry": ("champion/store/model/*/entry.json", "predict {}", "champion rollback"),
}
"""A file, and the words of commands that meet it; `{}` is a folder with a photo."""
PLACE = pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())


@pytest.fixture
def sound(two_runs: Path, command: Command) -> Path:
    """The same, with two decisions and without the first run's model."""
    for name in ("good", "hurt"):
        assert command("champion", "promote", name).code == 0
    shutil.rmtree(two_runs / "store" / "model" / "good-baseline")
    shutil.rmtree(two_runs / "champion" / "store" / "manifest")
    return two_runs


def ask(command: Command, words: str, folder: Path) -> Answer:
    """The answer, which is no error of ours: at most one line of it, and one for each warning."""
    answer = command(*words.format(folder).split())
    assert answer.code in (0, 1), answer.err
    assert answer.err.count("Error:") <= 1
    assert all(len(line) < 1_000 for line in answer.err.splitlines())
    return answer


@PLACE
@pytest.mark.parametrize("damage", JSON.values(), ids=JSON.keys())
def test_no_command_stumbles_over_a_damaged_record(
    place: tuple[str, ...],
    damage: Callable[[str], str | bytes],
    sound: Path,
    command: Command,
    tmp_path: Path,
) -> None:
    name, *commands = place
    file = next(iter(sound.glob(name)))
    spoiled = damage(file.read_text())
    file.write_bytes(spoiled if isinstance(spoiled, bytes) else spoiled.encode())
    for words in commands:
        ask(command, words, tmp_path)


def drop_column(text: str, name: str) -> str:
    rows = [line.split(",") for line in text.splitlines()]
    place = rows[0].index(name)
    return "".join(",".join(row[:place] + row[place + 1 :]) + "\n" for row in rows)


TABLES: dict[str, Callable[[str], str | bytes]] = {
    "empty": lambda _: "",
    "no UTF-8": lambda text: text.encode().replace(b"dogs", b"d\xffgs"),
    "binary": lambda _: bytes(range(256)) * 20,
    "cut within a row": lambda text: text[: len(text) // 2],
    "cut after the head": lambda text: text.partition("\n")[0],
    "a row twice": lambda text: text + text.splitlines()[-1] + "\n",
    "a row less": lambda text: "\n".join(text.splitlines()[:-1]) + "\n",
    "a label less": lambda text: text.replace(",dogs,", ",,", 1),
    "an open quote": lambda text: text.replace("dogs", '"dogs', 1),
} | {f"no {name}": partial(drop_column, name=name) for name in COLUMNS}


@pytest.mark.parametrize("damage", TABLES.values(), ids=TABLES.keys())
def test_damaged_predictions_of_a_run_are_one_line(
    damage: Callable[[str], str | bytes], two_runs: Path, command: Command, tmp_path: Path
) -> None:
    assert ask(command, "compare good hurt", tmp_path).code == 0
    file = two_runs / "runs" / "hurt" / "predictions.csv"
    spoiled = damage(file.read_text())
    file.write_bytes(spoiled if isinstance(spoiled, bytes) else spoiled.encode())
    for words in ("compare good hurt", "compare hurt good"):
        assert_one_clear_line(ask(command, words, tmp_path), "hurt")


def variants(record: Any) -> Iterator[Any]:
    """The record with one of its values of another kind or missing."""
    for key in record if isinstance(record, dict) else range(len(record)):
        for other in (None, -1, 1.5, "?", []):
            yield _with(record, key, other)
        if isinstance(record, dict):
            yield {k: v for k, v in record.items() if k != key}
        if isinstance(record[key], dict | list) and len(record[key]) < 20:
            yield from (_with(record, key, inner) for inner in variants(record[key]))


def _with(record: Any, key: Any, value: Any) -> Any:
    if isinstance(record, dict):
        return record | {key: value}
    return [value if place == key else each for place, each in enumerate(record)]


@PLACE
def test_no_command_stumbles_over_a_record_that_lacks_a_value_or_has_another(
    place: tuple[str, ...], sound: Path, command: Command, tmp_path: Path
) -> None:
    name, words, *_ = place
    file = next(iter(sound.glob(name)))
    for spoiled in variants(json.loads(file.read_text())):
        file.write_text(json.dumps(spoiled))
        ask(command, words, tmp_path)
