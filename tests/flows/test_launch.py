"""What a run prints at its end."""

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from catdog.runs import Run, Score
from flows.launch import print_run


def printed(folder: Path, *scores: Score) -> str:
    now = datetime.now(UTC)
    run = Run(
        id="one",
        began=now,
        ended=now,
        settings={"source": "photos"},
        scores=scores,
        artifacts={},
        folder=folder,
    )
    console = Console(file=io.StringIO(), width=120, markup=False)
    print_run(run, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_each_seed_of_a_model_has_its_row(tmp_path: Path) -> None:
    scores = (
        Score(name="baseline", seed=seed, validation_accuracy=0.5, test_accuracy=0.25, seconds=3)
        for seed in (7, 8)
    )
    rows = [line for line in printed(tmp_path, *scores).splitlines() if "baseline" in line]
    assert ["7" in rows[0], "8" in rows[1], "25.0 %" in rows[0]] == [True] * 3


def test_a_report_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    failed = Score(name="baseline", seed=7, error="killed")
    assert "report.html" not in printed(tmp_path, failed)
    (tmp_path / "report.html").touch()
    assert str(tmp_path / "report.html") in printed(tmp_path, failed).replace("\n", "")
