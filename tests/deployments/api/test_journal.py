"""The prediction log on a disk that is full: an answer never waits for it."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from limits import files_up_to

from catdog.inference.classifier import Prediction
from deployments.api.journal import Journal


def test_a_full_disk_costs_lines_and_photos_and_no_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model: Any = SimpleNamespace(name="baseline", version="1")
    prediction = Prediction(path=None, label="cats", probability=0.9, probabilities={"cats": 0.9})
    journal = Journal(tmp_path / "log.jsonl", most_bytes=10_000, photos=tmp_path / "photos")
    journal.add(b"x", "first", prediction, model, "default")
    with files_up_to(100), caplog.at_level(logging.WARNING):
        journal.add(b"x" * 1_000, "second", prediction, model, "default")
    assert {"A prediction cannot be logged.", "A photo cannot be kept (File too large)."} <= {
        record.message for record in caplog.records
    }
    journal.add(b"x", "third", prediction, model, "default")
    journal.close()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["sha256"] == "first"
    assert json.loads(lines[-1])["sha256"] == "third"
    assert {path.name for path in (tmp_path / "photos").iterdir()} == {"first", "third"}
