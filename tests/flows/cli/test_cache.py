"""The cache: listed, measured, verified and pruned."""

import re
from pathlib import Path

import pytest
from buckets import Bucket
from cli_command import Command, assert_one_clear_line, table

from catdog.store.artifacts import TrainedModel
from catdog.store.housekeeping import stored_items
from catdog.store.store import Store


def test_the_cache_is_listed_measured_verified_and_pruned(
    used_home: Path, command: Command, trained: TrainedModel
) -> None:
    assert trained.key in command("cache", "list").out
    assert re.search(r"all\s+│\s+3 ", command("cache", "size").out)
    assert command("cache", "verify") == (0, "3 artifacts checked, 0 damaged.\n", "")
    assert "Would remove 3" in command("cache", "prune", "--dry-run").out
    assert "Removed 0" in command("cache", "prune", "--days", "1").out
    assert "Removed 3" in command("cache", "prune").out
    assert stored_items(Store(used_home)) == []
    assert "20260504-123000-tiny-1" in command("runs").out


def test_pruning_a_folder_that_is_no_home_is_one_line_and_removes_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "results" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    for words in ((), ("--dry-run",)):
        answer = command("cache", "prune", "--home", ".", *words)
        assert_one_clear_line(answer, str(tmp_path), "no home of catdog", "--home")
    assert command("cache", "prune", "--home", "nowhere").code == 0
    assert list(tmp_path.rglob("*")) == [mine.parent, mine]


def test_a_damaged_artifact_is_named_by_verify(
    used_home: Path, command: Command, trained: TrainedModel
) -> None:
    file = Store(used_home).folder("model", trained.key) / "model.keras"
    file.write_bytes(file.read_bytes()[:-1])
    answer = command("cache", "verify")
    assert answer.code == 1
    assert str(file) in answer.out
    assert "3 artifacts checked, 1 damaged." in answer.out


def test_the_cache_in_a_bucket_is_listed_measured_verified_and_pruned(
    used_home: Path,
    command: Command,
    trained: TrainedModel,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CATDOG_REMOTE")
    there = ("--remote", bucket.url)
    assert_one_clear_line(command("cache", "list", "--remote"), "No remote", "s3://")
    assert table(command("cache", "size", *there).out)["all"][0] == "0"
    monkeypatch.setenv("CATDOG_REMOTE", bucket.url)
    Store(used_home).share("model", trained.key)
    assert trained.key in command("cache", "list", "--remote").out
    assert bucket.url in command("cache", "size", "--remote").out
    assert command("cache", "verify", "--remote").out == "1 artifacts checked, 0 damaged.\n"
    assert_one_clear_line(command("cache", "prune", "--remote", "--days", "0"), "at least 1")
    assert f"Removed 0 entries of {bucket.url}" in command("cache", "prune", "--remote").out
    assert "Removed 3" in command("cache", "prune").out, "of this home"
    assert Store(used_home).find(TrainedModel, trained.key)
