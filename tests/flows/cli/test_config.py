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


BAD_FILES = {
    "a home of nobody": ("catdog.toml", 'home = "~nosuchuser/x"', "a user whom"),
    "a home with a null": ("catdog.toml", r'home = "a\u0000b"', "null character"),
    "a long home": ("catdog.toml", f'home = "{"a" * 300}"', "too long"),
    "nested brackets": ("catdog.toml", "models = " + "[" * 3_000, "cannot be read as settings"),
    "brackets of others": ("pyproject.toml", "x = " + "[" * 3_000, "cannot be read as settings"),
    "a table that is none": ("pyproject.toml", "[tool]\ncatdog = 5", "is no table"),
    "a name without an end": ("catdog.toml", f"{'a' * 50_000} = 1", "Unknown setting"),
    "a value without an end": ("catdog.toml", f'epochs = "{"a" * 50_000}"', "epochs"),
}


@pytest.mark.parametrize(("name", "text", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_one_line_that_one_can_read(
    name: str,
    text: str,
    words: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CATDOG_HOME")
    (tmp_path / "here" / "below").mkdir(parents=True)
    (tmp_path / "here" / name).write_text(text)
    monkeypatch.chdir(tmp_path / "here" / "below")
    answer = command("runs")
    assert answer.code == 1
    assert_one_clear_line(answer, words, name)
    assert len(answer.err) < 1_500


def test_a_project_whose_tools_are_no_table_is_another_programs(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 5")
    monkeypatch.chdir(tmp_path)
    assert command("runs").code == 0


def test_a_working_folder_that_is_gone_is_one_line(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert_one_clear_line(command("runs"), "working folder")


def test_the_last_resort_needs_no_settings(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RecursionError("deep " * 10_000)

    monkeypatch.setattr("catdog.settings.Settings.load", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = command("runs")
    assert answer.code == 70
    assert_one_clear_line(answer, "RecursionError", str(tmp_path))
    assert len(answer.err) < 1_000
