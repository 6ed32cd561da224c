"""The record of past runs: found again, the newest last, whole or not at all."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from catdog.errors import StoreError
from catdog.history.runs import (
    Run,
    Score,
    artifacts_of,
    load_run,
    load_runs,
    make_record,
    run_id,
    runs_folder,
    save_run,
    study_of,
)
from catdog.report import write as report_writing
from catdog.report.write import load_comparison, write_report
from catdog.settings import Settings
from catdog.store.artifacts import Report
from catdog.store.store import Recipe, Store

BEGAN = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def report(store: Store) -> Report:
    def make(folder: Path) -> dict[str, str]:
        (folder / "report.html").write_text("<html>")
        (folder / "pictures").mkdir()
        (folder / "pictures" / "a.png").write_bytes(b"png")
        return {}

    return store.obtain(Recipe(Report, "report", make))


def made(store: Store, *, hours: int = 0, source: str = "sample", failed: bool = False) -> Run:
    began = BEGAN + timedelta(hours=hours)
    name = run_id(source, began)
    good = Score(name="baseline", seed=1, validation_accuracy=0.6, test_accuracy=0.55, seconds=9.5)
    bad = Score(name="transfer", seed=1, error="It was killed.")
    return Run(
        id=name,
        began=began,
        ended=began + timedelta(minutes=1),
        settings={"source": source, "epochs": 2},
        scores=(good, bad) if failed else (good,),
        artifacts={"photos": "1", "model baseline 1": "2"},
        folder=runs_folder(store) / name,
    )


def test_a_record_says_in_which_precision_each_model_was_trained(
    fake_run: Callable[..., Any],
) -> None:
    fake = fake_run()
    file = fake.results[1].model.file("model.json")
    facts = json.loads(file.read_text("utf-8")) | {"precision": "bfloat16"}
    file.write_text(json.dumps(facts), encoding="utf-8")
    settings = Settings.of({"source": "sample", "home": fake.store.home})
    record = make_record(fake.study(), settings, fake.store, began=BEGAN, found=0, changes=None)
    found = {score.name: score.precision for score in record.scores}
    assert found == {"baseline": None, "transfer": "bfloat16"}, "None: not recorded"


def test_a_run_is_read_as_it_was_saved_with_its_report(store: Store, report: Report) -> None:
    run = save_run(made(store), report, store)
    assert load_runs(store) == [run]
    assert (run.folder / "report.html").read_text() == "<html>"
    assert (run.folder / "pictures" / "a.png").read_bytes() == b"png"
    assert not (run.folder / "entry.json").exists()


def test_a_home_that_was_moved_keeps_its_runs(store: Store, report: Report, tmp_path: Path) -> None:
    run = made(store)
    save_run(run, report, store)
    moved = Store(store.home.rename(tmp_path.with_name(f"{tmp_path.name}-moved")))
    (found,) = load_runs(moved)
    assert found.folder == runs_folder(moved) / run.id
    assert (found.folder / "report.html").is_file()


def test_a_run_whose_models_all_failed_has_no_report(store: Store) -> None:
    run = made(store, failed=True)
    save_run(run, None, store)
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]
    assert [score.name for score in load_runs(store)[0].failed] == ["transfer"]


def test_a_run_with_a_setting_that_is_gone_is_told_in_one_line(store: Store) -> None:
    run = made(store)
    older = run.model_copy(update={"settings": run.settings | {"dropout": 0.2}})
    with pytest.raises(StoreError, match="another version of catdog") as caught:
        study_of(older, store)
    assert "dropout" in caught.value.problem
    assert str(run.folder) in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_the_last_run_is_the_latest_whatever_the_clock_says(store: Store) -> None:
    saved = [
        save_run(made(store, hours=h, source=s), None, store)
        for h, s in ((48, "a"), (0, "z"), (1, "sample"))
    ]
    assert load_runs(store) == saved
    save_run(saved[0], None, store)  # its report is written again
    assert load_run("latest", store) == saved[2]
    assert load_run(saved[1].id, store) == saved[1]


def test_a_run_takes_no_other_ones_place_when_the_clock_comes_to_the_same_second_again(
    store: Store, report: Report
) -> None:
    first = save_run(made(store), None, store)
    later = made(store).model_copy(update={"ended": BEGAN + timedelta(hours=2)})
    second = save_run(later, report, store)
    third = save_run(later.model_copy(update={"ended": BEGAN + timedelta(hours=3)}), None, store)
    assert load_runs(store) == [first, second, third]
    assert len({run.folder for run in load_runs(store)}) == 3
    assert save_run(second, None, store) == second, "written again"
    assert load_runs(store) == [first, second, third]


def test_runs_of_an_earlier_version_are_ordered_by_their_clock_before_all_others(
    store: Store,
) -> None:
    old = [save_run(made(store, hours=h), None, store) for h in (2, 1)]
    for run in old:
        facts = json.loads((run.folder / "run.json").read_text())
        del facts["number"], facts["contents"]
        (run.folder / "run.json").write_text(json.dumps(facts))
    new = save_run(made(store), None, store)
    assert [run.id for run in load_runs(store)] == [old[1].id, old[0].id, new.id]


def test_what_was_made_anew_under_the_same_key_is_not_an_older_runs(
    store: Store, report: Report
) -> None:
    again = Recipe(Report, report.key, lambda folder: {})
    ours = {"artifacts": {"report": report.key}, "contents": {"report": report.content}}
    run = made(store).model_copy(update=ours | {"ended": report.created})
    uncounted = run.model_copy(update={"contents": {}})
    assert run.stored(Report, store) == uncounted.stored(Report, store) == report
    store.forget(again, up_to=store.count())
    store.obtain(again)
    with pytest.raises(StoreError, match="no longer stored, or was made again since"):
        run.stored(Report, store)


def test_a_report_of_an_earlier_version_is_read_and_written_again(
    fake_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_writing, "charts", lambda *_: [])
    study, store = (fake := fake_run()).study(), fake.store
    kept = artifacts_of(study)
    run = made(store).model_copy(
        update={
            "scores": tuple(Score(name=result.name, seed=1) for result in fake.results),
            "artifacts": {what: artifact.key for what, artifact in kept.items()},
            "contents": {what: artifact.content for what, artifact in kept.items()},
        }
    )
    run = save_run(run, write_report(study, store), store)
    file = run.folder / "comparison.json"
    old = json.loads(file.read_text(encoding="utf-8"))
    for model in old["models"]:
        for split in ("validation", "test"):
            model[split]["calibration_interval"] = {"low": 0.01, "high": 0.02}
    file.write_text(json.dumps(old), encoding="utf-8")
    (found,) = load_runs(store)
    winner = found.winner()
    assert winner
    assert winner.name == "transfer"
    again = save_run(found, write_report(study_of(found, store), store), store)
    assert "calibration_interval" not in (again.folder / "comparison.json").read_text("utf-8")
    assert load_comparison(again.folder).verdict.winner == "transfer"


def test_an_interrupted_save_leaves_nothing(
    store: Store, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["catdog.history.runs"], "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_run(made(store), report, store)
    assert list(runs_folder(store).iterdir()) == []
    assert load_runs(store) == []


@pytest.mark.parametrize("text", ["", "{}", '{"id": "half', '{"id": 1, "unknown": 2}'])
def test_a_damaged_record_hides_no_other_run(store: Store, text: str) -> None:
    bad = made(store, hours=1)
    good = save_run(made(store), None, store)
    save_run(bad, None, store)
    (bad.folder / "run.json").write_text(text)
    assert load_runs(store) == [good]


def test_an_unknown_run_is_an_error_that_names_the_newest(store: Store) -> None:
    run = made(store)
    save_run(run, None, store)
    with pytest.raises(StoreError, match=f"no run 'yesterday'.*{run.id}"):
        load_run("yesterday", store)


def test_no_run_at_all_is_an_error_that_tells_how_to_start_one(store: Store) -> None:
    assert load_runs(store) == []
    with pytest.raises(StoreError, match=r"no runs in .*catdog run"):
        load_run("latest", store)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("sample", "sample"),
        ("/home/me/My photos/", "my-photos"),
        ("https://example.org/a/cats.zip?key=1#sha256=ab", "cats"),
        ("../..", "photos"),
        ("Katzen & Hünde (neu).zip", "katzen-hünde-neu"),
        ("x" * 300, "x" * 32),
    ],
)
def test_a_runs_name_tells_its_time_and_tells_its_source(source: str, words: str) -> None:
    name = run_id(source, BEGAN)
    assert name.startswith(f"20260504-123015-{words}-")
    assert "/" not in name
