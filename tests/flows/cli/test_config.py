"""Settings that are wrong, and what sets each."""

from pathlib import Path

import pytest
from cli_command import Command, assert_one_clear_line, table

WRONG_VALUES = {
    "unknown model": (["--models", "baseline,resnet"], "unknown model 'resnet'; choose from"),
    "0 epochs": (["--epochs", "0"], "epochs: should be greater than or equal to 1 (got 0)"),
    "-1 epochs": (["--epochs", "-1"], "epochs: should be greater than or equal to 1 (got -1)"),
    "epochs in words": (["--epochs", "many"], 'unable to convert "many" into int'),
    "unknown flag": (["--epoch", "3"], "Did you mean --epochs?"),
    "a choice that is none": (["--duplicates", "sell"], "should be 'drop' or 'keep'"),
    "a tiny size": (["--image-size", "8"], "image_size: should be greater than or equal to 32"),
    "no processes": (["--parallel", "0"], "parallel: should be greater than or equal to 1"),
    "a share of all": (["--test-share", "1"], "test_share: should be less than 1"),
    "no source": (["--source", ""], "source"),
}


@pytest.mark.parametrize(("flags", "words"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_a_wrong_value_is_one_line_that_names_the_choices(
    flags: list[str], words: str, command: Command, home: Path
) -> None:
    answer = command("run", *flags)
    assert answer.code != 0
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("Error: ")
    assert words in line
    assert not home.exists()


def test_an_unknown_variable_is_one_line_that_names_the_right_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_EPOCH", "3")
    assert_one_clear_line(command("run"), "CATDOG_EPOCH", "CATDOG_EPOCHS")


def test_config_show_tells_what_sets_each_value(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('epochs = 7\nsource = "https://me:secret@host/a.zip"\n')
    monkeypatch.setenv("CATDOG_SEED", "6")
    for words in (("--config", file, "config", "show"), ("config", "show", f"--config={file}")):
        shown = command(*words).out
        rows = table(shown)
        assert f"Configuration file: {file}" in shown
        assert rows["epochs"] == ["7", "the file"]
        assert rows["seed"] == ["6", "CATDOG_SEED"]
        assert rows["repeats"] == ["1", "default"]
        assert "secret" not in shown
