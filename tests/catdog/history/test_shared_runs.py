"""Runs of other homes, which share a bucket on a real server."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from buckets import Bucket

from catdog.errors import StoreError
from catdog.history.runs import Run, load_run, load_runs, runs_folder, save_run
from catdog.store import remote
from catdog.store.artifacts import Report
from catdog.store.remote import Remote
from catdog.store.store import Recipe, Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = "20260101-000000-official-1"
Homes = Callable[[str], Store]


@pytest.fixture
def homes(bucket: Bucket, tmp_path: Path) -> Homes:
    return lambda name: Store(tmp_path / name)


def report(folder: Path) -> dict[str, object]:
    (folder / "figures").mkdir()
    (folder / "figures" / "curves.svg").write_text("<svg/>")
    (folder / "report.html").write_text("<h1>Cats & dogs</h1>")
    (folder / "comparison.json").write_text(json.dumps({"verdict": {"winner": "transfer"}}))
    return {}


def add_run(store: Store, name: str = ID, **facts: object) -> Run:
    written = store.obtain(Recipe(Report, "0" * 24, report))
    given = {"began": NOW, "ended": NOW, "settings": {"source": "official"}, "scores": ()}
    made = {"artifacts": {"report": written.key}, "folder": runs_folder(store) / name}
    return save_run(Run.model_validate({"id": name, **given, **made, **facts}), written, store)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_a_home_that_never_trained_has_the_runs_and_reports_of_the_others(homes: Homes) -> None:
    run = add_run(homes("a"))
    b = homes("b")
    assert load_runs(b) == [run.model_copy(update={"folder": runs_folder(b) / run.id})]
    found = load_run("latest", b)
    assert files(found.folder) == files(run.folder)
    assert str(homes("a").home) not in (found.folder / "run.json").read_text()
    assert b.find(Report, "0" * 24)


def test_a_report_is_only_brought_when_asked_for(homes: Homes) -> None:
    add_run(homes("a"))
    b = homes("b")
    load_runs(b)
    assert not (runs_folder(b) / ID / "report.html").exists()
    load_run(ID, b)
    assert (runs_folder(b) / ID / "report.html").exists()


def test_runs_are_numbered_after_those_of_other_homes(homes: Homes) -> None:
    add_run(homes("a"))
    add_run(homes("b"), f"{ID}2")
    add_run(homes("a"), f"{ID}3")
    assert [run.number for run in load_runs(homes("c"))] == [1, 2, 3]


def test_two_containers_with_the_same_clock_and_number_keep_both_runs(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as alone:
        alone.delenv("CATDOG_REMOTE")
        add_run(homes("b"), code="b")
    add_run(homes("a"), code="a")
    saved = load_run(ID, homes("b"))
    again = save_run(saved, None, homes("b"))
    assert (again.id, again.folder.name) == (f"{ID}-2", f"{ID}-2")
    assert {run.id: run.code for run in load_runs(homes("c"))} == {ID: "a", f"{ID}-2": "b"}


def test_a_run_that_could_not_be_shared_is_shared_by_the_next_command(
    homes: Homes, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    assert bucket.line
    bucket.line.down = True
    add_run(homes("a"))
    assert f"Run {ID} is not shared yet" in caplog.text
    bucket.line.down = False
    remote._away.clear()
    load_runs(homes("a"))
    b = homes("b")
    assert load_run(ID, b).id == ID
    assert b.find(Report, "0" * 24), "and all that it names"


def test_writing_a_report_again_leaves_the_run_that_is_shared(homes: Homes) -> None:
    run = add_run(homes("a"))
    assert save_run(run, homes("a").find(Report, "0" * 24), homes("a")) == run
    assert [each.id for each in load_runs(homes("b"))] == [ID]


def test_without_the_bucket_the_runs_of_this_home_are_listed(
    homes: Homes, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    assert bucket.line
    add_run(homes("a"))
    bucket.line.down = True
    assert [run.id for run in load_runs(homes("a"))] == [ID]
    assert "may be missing" in caplog.text


def test_a_damaged_report_is_one_line_whose_remedy_works(homes: Homes, bucket: Bucket) -> None:
    run = add_run(homes("a"))
    there = Remote(bucket.url)
    found = there.entry(f"runs/{ID}")
    assert found
    part = f"runs/{ID}/{found[0]['part']}"
    size = next(each.bytes for each in there.objects(f"runs/{ID}") if each.path == part)
    there.remove([part])
    there.write(part, bytes(size))
    with pytest.raises(StoreError, match=f"runs/{ID} is damaged in s3://.*'catdog report {ID}'"):
        load_run(ID, homes("b"))
    assert [run.id for run in load_runs(homes("b"))] == [ID]
    there.discard(f"runs/{ID}")
    save_run(run, homes("a").find(Report, "0" * 24), homes("a"))
    assert load_run(ID, homes("b"))


@pytest.mark.parametrize("name", ["..", "20260101-000000-../x", "monday"])
def test_what_is_no_run_is_left_alone(homes: Homes, bucket: Bucket, name: str) -> None:
    add_run(homes("a"))
    if ".." not in name:
        Remote(bucket.url).write(f"runs/{name}/entry.json", b"{}")
    Remote(bucket.url).write(f"runs/{ID}9/part", b"on its way")
    assert [run.id for run in load_runs(homes("b"))] == [ID]
