"""The flow from end to end on a tiny source: one run, looked at from several sides."""

import csv
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from catdog.errors import CatdogError
from catdog.history.runs import Run, load_run
from catdog.machine import available_cores
from catdog.promotion.registry import Registry
from catdog.store.artifacts import Arrays, Flatbuffer, Predictions, TrainedModel
from catdog.store.store import Store
from catdog.training.progress import progress_folder, read_progress
from catdog.training.weights import find_weights
from catdog.wording import plain
from flows.cli.reports import report, write_again

MADE = ("download", "split", "prefetch", "train-baseline", "train-transfer")
MADE = (*MADE, "evaluate-baseline", "evaluate-transfer", "report")
BY_CHANCE = {("download", "promote-baseline"), ("weights", "report")}
BY_CHANCE |= {("evidence-baseline", "promote-baseline")}
"""Prefect also joins what is given the same text object, such as the name of the source."""


def record(outcome: Any) -> Run:
    assert outcome.run is not None
    run: Run = outcome.run
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_first_run_makes_everything(first: Any) -> None:
    assert first.error is None
    assert first.flow_run.state_name == "Completed"
    assert {name: first.tasks[name] for name in MADE} == {name: ["Completed"] for name in MADE}
    assert record(first).reused == ()


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_task_run_is_joined_to_those_whose_results_it_was_given(
    time: str, request: pytest.FixtureRequest
) -> None:
    outcome = request.getfixturevalue(time)
    given = {
        "split": ["download"],
        "prefetch": ["download", "split"],
        "train-baseline": ["prefetch"],
        "train-transfer": ["prefetch", "weights"],
        "evaluate-baseline": ["prefetch", "train-baseline"],
        "evaluate-transfer": ["prefetch", "train-transfer"],
        "report": [name for name in MADE if name != "report"],
    }
    (promote,) = (name for name in outcome.tasks if name.startswith("promote-"))
    winner = promote.removeprefix("promote-")
    given[promote] = ["split", f"train-{winner}", f"evaluate-{winner}"]
    given[f"evidence-{winner}"] = ["prefetch", *given[promote]]
    given["report"].append(f"evidence-{winner}")
    expected = {(source, name) for name, sources in given.items() for source in sources}
    assert set(outcome.lines) - BY_CHANCE == expected


def test_its_record_tells_what_was_asked_and_what_came_of_it(
    first: Any, tiny_source: Path, flow_store: Store
) -> None:
    run = record(first)
    asked = {"source": str(tiny_source), "epochs": 1, "image_size": 64, "weights": "embedded"}
    assert run.settings.items() >= asked.items()
    assert [score.name for score in run.scores] == ["baseline", "transfer"]
    for score in run.scores:
        assert score.error is None
        assert score.seconds is not None
        for accuracy in (score.validation_accuracy, score.test_accuracy):
            assert accuracy is not None
            assert 0 <= accuracy <= 1
    assert load_run(run.id, flow_store) == run


def test_each_of_its_models_is_ready_to_predict_without_tensorflow(
    first: Any, flow_store: Store
) -> None:
    run = record(first)
    champion = Registry(flow_store.home).store
    for score in run.scores:
        model = run.stored(TrainedModel, flow_store, score)
        assert flow_store.find(Flatbuffer, model.flatbuffer_key)
        predictions = run.stored(Predictions, flow_store, score)
        assert predictions.temperature
    assert champion.folders(Flatbuffer), "the champion has its own"


def test_its_report_is_in_the_runs_folder(first: Any) -> None:
    folder = record(first).folder
    html = (folder / "report.html").read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "http://" not in html.replace("http://www.w3.org", "")
    for name in ("baseline", "transfer"):
        assert name in html
        assert name in markdown


def test_its_numbers_can_be_computed_again_from_the_predictions(first: Any) -> None:
    run = record(first)
    comparison = json.loads((run.folder / "comparison.json").read_text(encoding="utf-8"))
    predictions = rows(run.folder / "predictions.csv")
    scored = {model["name"]: model for model in comparison["models"]}
    for score in run.scores:
        for split, accuracy in (
            ("validation", score.validation_accuracy),
            ("test", score.test_accuracy),
        ):
            chosen = [p for p in predictions if (p["model"], p["split"]) == (score.name, split)]
            right = sum(p["predicted"] == p["label"] for p in chosen) / len(chosen)
            assert right == pytest.approx(accuracy)
            assert right == pytest.approx(scored[score.name][split]["accuracy"])
    assert {row["model"] for row in rows(run.folder / "history.csv")} == {"baseline", "transfer"}


def test_a_cross_validation_tests_each_photo_once_and_gives_no_champion(
    first: Any, run_tiny: Callable[..., Any], flow_store: Store
) -> None:
    decisions = len(Registry(flow_store.home).decisions())
    outcome = run_tiny(models=("baseline",), folds=3)
    run = record(outcome)
    assert outcome.error is None
    assert [(score.name, score.fold) for score in run.scores] == [
        ("baseline", n) for n in (1, 2, 3)
    ]
    tested = [p["path"] for p in rows(run.folder / "predictions.csv") if p["split"] == "test"]
    assert len(tested) == len(set(tested)) == run.stored(Arrays, flow_store).counts["all"]
    assert "Cross-validation: all photos" in (run.folder / "report.html").read_text("utf-8")
    assert len(Registry(flow_store.home).decisions()) == decisions
    assert "fold" in outcome.printed
    assert "predict PHOTO" not in outcome.printed
    page = (run.folder / "report.html").read_text("utf-8")
    write_again(run.id, flow_store.home)
    assert (run.folder / "report.html").read_text("utf-8") == page


def test_a_run_of_another_task_leaves_the_champion_and_says_what_it_was_for(
    second: Any, run_tiny: Callable[..., Any], flow_store: Store
) -> None:
    decisions = Registry(flow_store.home).decisions()
    outcome = run_tiny(task="night-1")
    assert outcome.error is None
    assert Registry(flow_store.home).decisions() == decisions
    (made,) = Registry(flow_store.home, "night-1").decisions()
    run = record(outcome)
    assert (made.reason, made.champion.run) == ("first", run.id)
    assert {outcome.tasks[name][0] for name in MADE if name != "report"} == {"Cached"}
    assert "catdog predict --task night-1 PHOTO" in outcome.printed
    for page in ("report.md", "report.html"):
        assert "--task night-1" in (run.folder / page).read_text(encoding="utf-8")
    write_again(run.id, flow_store.home)
    assert "--task night-1" in (run.folder / "report.md").read_text(encoding="utf-8")
    assert plain(made.sentence) in shown(outcome)["champion-night-1"]


def shown(outcome: Any) -> dict[str, str]:
    """The artifacts of a run in Prefect's UI, by key."""
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[outcome.flow_run.id]))
    with get_client(sync_client=True) as client:
        return {each.key: each.data for each in client.read_artifacts(artifact_filter=of_run)}


def test_prefect_shows_the_training_the_report_and_the_comparison(first: Any) -> None:
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(
                flow_run_id=ArtifactFilterFlowRunId(any_=[first.flow_run.id])
            )
        )
    artifacts = {artifact.key: artifact for artifact in found}
    for name in ("baseline", "transfer"):
        assert (
            f"| {name} | seed {record(first).settings['seed']} | 1 of 1 |"
            in artifacts["training"].data
        )
    assert artifacts["report"].type == "markdown"
    markdown = (record(first).folder / "report.md").read_text(encoding="utf-8")
    assert artifacts["report"].data == markdown
    assert artifacts["comparison"].type == "table"
    table = artifacts["comparison"].data
    assert len(json.loads(table) if isinstance(table, str) else table) == 2


def test_the_terminal_shows_each_model_and_the_way_to_the_report(first: Any) -> None:
    page = str(record(first).folder / "report.html")
    for text in ("baseline", "transfer", "epoch 1/1", page, "catdog predict PHOTO"):
        assert text in first.printed
    assert "Reused" not in first.printed


def test_a_report_that_no_browser_can_open_says_where_it_is(
    first: Any, flow_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    monkeypatch.setenv("CATDOG_HOME", str(flow_store.home))
    with pytest.raises(CatdogError, match=r"Open .*report\.html yourself"):
        report(record(first).id, show=True, home=flow_store.home)


def test_the_second_run_makes_nothing_and_says_so(first: Any, second: Any) -> None:
    assert second.error is None
    assert {name: second.tasks[name] for name in MADE} == {name: ["Cached"] for name in MADE}
    run = record(second)
    assert run.artifacts == record(first).artifacts
    assert set(run.reused) == set(run.artifacts)
    assert [score.test_accuracy for score in run.scores] == [
        score.test_accuracy for score in record(first).scores
    ]
    assert "Reused: photos, manifest, arrays" in second.printed


def test_the_second_run_has_a_folder_and_a_report_of_its_own(first: Any, second: Any) -> None:
    assert record(second).folder != record(first).folder
    one, other = (record(outcome).folder / "comparison.json" for outcome in (first, second))
    assert one.read_bytes() == other.read_bytes()


def test_a_damaged_file_is_made_again_and_nothing_else(
    second: Any, run_tiny: Callable[..., Any], flow_store: Store
) -> None:
    key = record(second).artifacts["arrays"]
    file = flow_store.folder("arrays", key) / "train_images.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    outcome = run_tiny()
    assert outcome.error is None
    assert outcome.tasks["prefetch"] == ["Completed"]
    assert {outcome.tasks[name][0] for name in MADE if name != "prefetch"} == {"Cached"}
    assert file.read_bytes() == whole
    assert set(record(outcome).artifacts) - set(record(outcome).reused) == {"arrays"}


def test_one_failed_model_leaves_the_others_and_their_report(
    second: Any, run_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    weights = tmp_path / "cut.weights.h5"
    whole = find_weights("embedded", home=tmp_path).file
    assert whole is not None
    weights.write_bytes(whole.read_bytes()[:100_000])
    outcome = run_tiny(weights=str(weights))
    assert type(outcome.error).__name__ == "ModelsFailedError"
    assert f"1 of 2 models failed: transfer: {weights} does not fit" in str(outcome.error)
    assert outcome.flow_run.state_name == "Failed"
    assert outcome.tasks["train-transfer"] == ["Failed"]
    run = record(outcome)
    kept, failed = run.scores
    assert kept == record(second).scores[0]
    assert failed.name == "transfer"
    assert failed.test_accuracy is None
    comparison = json.loads((run.folder / "comparison.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in comparison["failed"]] == ["transfer"]
    assert "failed" in outcome.printed
    assert str(run.folder / "report.html") in outcome.printed


def test_bad_photos_are_set_aside_and_the_good_ones_all_kept(
    second: Any, run_tiny: Callable[..., Any], tiny_source: Path, tmp_path: Path
) -> None:
    source = tmp_path / "with bad ones"
    for photo in tiny_source.rglob("*.jpg"):
        copy = source / photo.relative_to(tiny_source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.hardlink_to(photo)
    for number, content in enumerate((b"", b"no photo", photo.read_bytes()[:3_000])):
        (source / "train" / "cats" / f"bad {number}.jpg").write_bytes(content)
    outcome = run_tiny(source=str(source), models=("baseline",))
    assert outcome.error is None
    run = record(outcome)
    comparison = json.loads((run.folder / "comparison.json").read_text(encoding="utf-8"))
    assert sum(map(sum, (c.values() for c in comparison["quality"]["counts"].values()))) == 80
    named = [photo["path"] for photo in comparison["quality"]["excluded"]]
    assert named == [f"train/cats/bad {number}.jpg" for number in range(3)]
    assert "83 photos of cats and dogs: " in outcome.printed
    assert "3 excluded files" in outcome.printed
    label = f"model baseline {run.settings['seed']}"
    assert run.artifacts[label] == record(second).artifacts[label]


@pytest.mark.slow
def test_a_killed_process_is_marked_crashed_and_its_model_tried_again(
    second: Any, run_tiny: Callable[..., Any], flow_store: Store
) -> None:
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        folder = progress_folder(flow_store.home)
        while not over.wait(0.05):
            started = [p for p in read_progress(folder).values() if p.finished_epochs >= 1]
            children = multiprocessing.active_children()
            if started and children:
                killed.extend(child.pid or 0 for child in children)
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
                return

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        outcome = run_tiny(models=("baseline",), epochs=30)
    finally:
        over.set()
        thread.join()
    assert len(killed) == 1
    assert outcome.error is None
    assert outcome.tasks["train-baseline"] == ["Crashed", "Completed"]
    run = record(outcome)
    model = flow_store.find(TrainedModel, run.artifacts[f"model baseline {run.settings['seed']}"])
    assert model is not None
    assert model.epochs == 30


def test_every_training_runs_in_a_process_of_its_own_within_the_cores(
    first: Any, flow_store: Store
) -> None:
    threads = []
    run = record(first)
    for name in ("baseline", "transfer"):
        label = f"model {name} {run.settings['seed']}"
        model = flow_store.find(TrainedModel, run.artifacts[label])
        assert model is not None
        facts = json.loads(model.file("model.json").read_text(encoding="utf-8"))
        threads.append(facts["machine"]["threads"])
    assert sum(threads) <= (os.cpu_count() or 1)


def test_what_the_user_has_exported_does_not_take_more_than_the_cores(
    second: Any,
    run_tiny: Callable[..., Any],
    flow_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "77")
    run = record(run_tiny(models=("baseline",), seed=7))
    model = flow_store.find(TrainedModel, run.artifacts["model baseline 7"])
    assert model is not None
    facts = json.loads(model.file("model.json").read_text(encoding="utf-8"))
    assert facts["machine"]["threads"] == available_cores()


def test_the_arrays_are_those_of_the_settings(first: Any, flow_store: Store) -> None:
    arrays = flow_store.find(Arrays, record(first).artifacts["arrays"])
    assert arrays is not None
    assert arrays.image_size == 64
    assert arrays.counts["train"] == 40
    assert arrays.counts["validation"] + arrays.counts["test"] == 40
