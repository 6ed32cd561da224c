"""What a run refuses before it starts, and what it prints at its end."""

import io
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from catdog.errors import SourceError
from catdog.history.runs import Run, Score, runs_folder, save_run
from catdog.settings import Settings
from catdog.store.store import Store
from flows.cli import run as launch
from flows.cli.listing import print_runs
from flows.cli.run import print_run, run_flow


def made(folder: Path, *scores: Score, **settings: int) -> Run:
    now = datetime.now(UTC)
    return Run(
        id="one",
        began=now,
        ended=now,
        settings={"source": "photos"} | settings,
        scores=scores,
        artifacts={},
        folder=folder,
    )


def printed(folder: Path, *scores: Score) -> str:
    console = Console(file=io.StringIO(), width=120, markup=False)
    print_run(made(folder, *scores), console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_each_seed_of_a_model_has_its_row(tmp_path: Path) -> None:
    scores = (
        Score(name="baseline", seed=seed, validation_accuracy=0.5, test_accuracy=0.25, seconds=3)
        for seed in (7, 8)
    )
    rows = [line for line in printed(tmp_path, *scores).splitlines() if "baseline" in line]
    assert ["7" in rows[0], "8" in rows[1], "25.0 %" in rows[0]] == [True] * 3


def test_a_cross_validation_is_listed_with_the_mean_of_its_folds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    scores = [
        Score(name="a", seed=fold, fold=fold, test_accuracy=accuracy)
        for fold, accuracy in enumerate((0.5, 0.6, 0.7), start=1)
    ]
    lost = Score(name="b", seed=1, fold=1, error="killed"), Score(name="b", seed=2, test_accuracy=1)
    run = made(runs_folder(store) / "one", *scores, *lost, folds=3)
    save_run(run, None, store)
    console = Console(file=io.StringIO(), width=120, markup=False)
    print_runs(tmp_path, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "a 60.0 % (3 folds)" in text
    assert "b failed" in text


def test_a_report_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    failed = Score(name="baseline", seed=7, error="killed")
    assert "report.html" not in printed(tmp_path, failed)
    (tmp_path / "report.html").touch()
    assert str(tmp_path / "report.html") in printed(tmp_path, failed).replace("\n", "")


def test_the_pairs_and_what_the_claims_are_about_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = SimpleNamespace(
        verdict=SimpleNamespace(headline="a is the best model", caveat="Seeds are a sample."),
        pairs=(SimpleNamespace(sentence="Over 3 seeds each, a is significantly better than b."),),
    )
    monkeypatch.setattr(launch, "load_comparison", {tmp_path: compared}.__getitem__)
    (tmp_path / "comparison.json").touch()
    text = printed(tmp_path, Score(name="a", seed=7, test_accuracy=0.9))
    for told in ("a is the best model.", "Over 3 seeds each, a is", "Seeds are a sample."):
        assert told in text


@pytest.mark.parametrize("source", ["offical", "ftp://example.org/pets.zip"])
def test_a_mistyped_source_is_refused_before_anything_is_started(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "prefect_server", lambda home: pytest.fail("a server was started"))
    with pytest.raises(SourceError, match=source):
        run_flow(Settings(source=source, home=tmp_path), Console(file=io.StringIO()))
    assert list(tmp_path.iterdir()) == []
