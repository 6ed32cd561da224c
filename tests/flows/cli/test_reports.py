"""Two past runs next to each other."""

import shutil
from pathlib import Path

import pytest
from cli_command import Command, table
from made_up import add_run


@pytest.fixture
def add(home: Path) -> None:
    """Runs "first" and "same" of different records, and "other", which had more patience."""
    for name, settings in (("first", {}), ("same", {"patience": 0}), ("other", {"patience": 3})):
        add_run(home, name, {"baseline": 30}, **settings)
        (stored,) = home.glob(f"store/predictions/{name}-baseline/predictions.csv")
        shutil.copyfile(stored, home / "runs" / name / "predictions.csv")


def test_two_runs_are_compared_with_the_settings_in_which_they_differ(
    add: None, command: Command
) -> None:
    answer = command("compare", "first", "other")
    assert answer.code == 0
    rows = table(answer.out[answer.out.index("setting ") :])
    assert rows == {"patience": ["0", "3"]}


def test_a_setting_that_a_run_did_not_know_yet_was_as_by_default(
    add: None, command: Command
) -> None:
    assert "Both runs have the same settings." in command("compare", "first", "same").out
