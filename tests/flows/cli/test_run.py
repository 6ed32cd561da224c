"""What a run refuses before it starts, and what it prints at its end."""

import io
from collections.abc import Callable
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
from flows.cli import terminal
from flows.cli.listing import runs
from flows.cli.run import print_run, run_flow

Listed = Callable[..., str]


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


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listed:
    """What `catdog runs` prints in a terminal of 80 columns."""
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path))
    console = Console(file=io.StringIO(), width=80, force_terminal=True, highlight=False)
    monkeypatch.setattr(terminal, "out", console)

    def of(*scores: Score, **settings: int) -> str:
        store = Store(tmp_path)
        save_run(made(runs_folder(store) / "one", *scores, **settings), None, store)
        runs()
        return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]

    return of


def test_a_cross_validation_is_listed_with_the_mean_of_its_folds(listed: Listed) -> None:
    scores = [
        Score(name="a", seed=fold, fold=fold, validation_accuracy=0.9, test_accuracy=accuracy)
        for fold, accuracy in enumerate((0.5, 0.6, 0.7), start=1)
    ]
    lost = Score(name="b", seed=1, fold=1, error="killed"), Score(name="b", seed=2, test_accuracy=1)
    assert listed(*scores, *lost, folds=3) == "one  a, 60.0 % over 3 folds, 1 failed\n"


def test_the_best_model_is_the_best_on_validation_and_scored_by_its_first_seed(
    listed: Listed,
) -> None:
    def score(name: str, seed: int, validation: float, test: float) -> Score:
        return Score(name=name, seed=seed, validation_accuracy=validation, test_accuracy=test)

    lucky = [score("lucky", seed, *found) for seed, found in enumerate([(1.0, 0.9), (0.2, 0.9)])]
    steady = [score("steady", seed, *found) for seed, found in enumerate([(0.8, 0.7), (0.8, 0.8)])]
    assert listed(*lucky, *steady, repeats=2) == "one  steady, 70.0 % on test\n"


def test_a_run_without_a_model_is_listed_as_such(listed: Listed) -> None:
    assert "failed" in listed(Score(name="a", seed=1, error="killed"))


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
        changed="patience 3 (0)",
        notes=("a: bfloat16 is slow here",),
    )
    monkeypatch.setattr(launch, "load_comparison", {tmp_path: compared}.__getitem__)
    (tmp_path / "comparison.json").touch()
    text = printed(tmp_path, Score(name="a", seed=7, test_accuracy=0.9))
    for told in (
        "a is the best model.",
        "Over 3 seeds each, a is",
        "Seeds are a sample.",
        "Changed from the protocol: patience 3 (0).",
        "Warning: a: bfloat16 is slow here.",
    ):
        assert told in text


@pytest.mark.parametrize("source", ["offical", "ftp://example.org/pets.zip"])
def test_a_mistyped_source_is_refused_before_anything_is_started(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "prefect_server", lambda home: pytest.fail("a server was started"))
    with pytest.raises(SourceError, match=source):
        run_flow(Settings(source=source, home=tmp_path), Console(file=io.StringIO()))
    assert list(tmp_path.iterdir()) == []
