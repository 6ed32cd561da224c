"""Server, work pool and worker: runs start, queue, reuse, end when cancelled, survive a crash."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sites import HEARTBEAT_SECONDS, PATIENCE, ROOT, TINY, ZOMBIE_MINUTES, Site, alive, wait_for

pytestmark = pytest.mark.slow

FOR_EVER = 5_000
"""Epochs: more than any test waits for."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Photos of these tests alone, so that no other test has made anything of them before."""
    from catdog.sample.draw import draw

    folder = tmp_path_factory.mktemp("sources") / "my photos"
    draw(folder, train=40, validation=40, seed=7)
    return str(folder)


@pytest.fixture(scope="session")
def first(site: Site, source: str) -> dict[str, Any]:
    """The first run, as an operator starts and watches it; its flow run."""
    site.operate(
        *("deployment", "run", "catdog/full", "--watch", "-p", f"source={source}"),
        *("-p", "epochs=1", "-p", 'models=["baseline","transfer"]'),
        *("-p", "image_size=64", "-p", "weights=embedded"),
    )
    (run,) = site.runs(name={"like_": Path(source).name})
    found: dict[str, Any] = run
    return found


def first_record(site: Site, first: dict[str, Any]) -> Any:
    source = first["parameters"]["source"]
    return next(record for record in site.records() if record["settings"]["source"] == source)


def test_a_run_is_named_and_tagged_for_what_it_does(first: dict[str, Any]) -> None:
    assert first["name"].startswith("my photos-20")
    assert set(first["tags"]) == {"catdog", "retrain"}


def test_its_tasks_are_named_for_what_they_do(site: Site, first: dict[str, Any]) -> None:
    tasks = site.tasks(first["id"])
    (promote,) = [name for name in tasks if name.startswith("promote-")]
    data = {"download", "split", "prefetch", "weights"}
    models = {"train-baseline", "train-transfer", "evaluate-baseline", "evaluate-transfer"}
    assert tasks == dict.fromkeys({*data, *models, "report", promote}, "Completed")


def test_its_pages_show_training_report_comparison_lineage_and_champion(
    site: Site, first: dict[str, Any]
) -> None:
    shown = site.artifacts(first["id"])
    assert set(shown) == {"training", "report", "comparison", "lineage", "champion"}
    assert "1 of 1" in shown["training"]["data"]
    for what, key in first_record(site, first)["artifacts"].items():
        assert what in shown["lineage"]["data"]
        assert key in shown["lineage"]["data"]


def test_a_run_on_unchanged_photos_makes_nothing_unless_forced(
    site: Site, first: dict[str, Any]
) -> None:
    again = dict(first["parameters"])
    assert site.wait(site.run(**again)) == "Completed"
    record = site.records()[-1]
    assert record["unchanged_since"] == first_record(site, first)["id"]
    assert set(record["reused"]) == set(record["artifacts"])
    assert site.wait(site.run(**again, force=True)) == "Completed"
    record = site.records()[-1]
    assert record["unchanged_since"] is None
    assert set(record["reused"]) == {"photos", "manifest", "arrays"}


def test_those_who_have_no_clone_register_the_same_deployments(site: Site, source: str) -> None:
    names = ("full", "smoke")
    kept = ("parameters", "schedules", "tags", "job_variables", "concurrency_limit")
    own = {"id", "created", "updated", "deployment_id"}

    def found() -> list[Any]:
        read = (site.ask("GET", f"/deployments/name/catdog/{name}") for name in names)
        chosen = [{key: deployment[key] for key in kept} for deployment in read]
        for deployment in chosen:
            for schedule in deployment["schedules"]:
                for key in own:
                    schedule.pop(key, None)
        return chosen

    before = found()
    with pytest.raises(AssertionError, match="no work pool 'nowhere'"):
        site.catdog("deploy", "--pool", "nowhere")
    site.catdog("deploy", "--pool", "catdog-pool")
    try:
        assert found() == before
        assert site.wait(site.run("smoke", source=source, **TINY)) == "Completed"
    finally:
        site.operate("deploy", "--all")


def test_a_run_uses_the_code_that_its_worker_allows_and_no_other(
    site: Site, source: str, tmp_path: Path
) -> None:
    planted, trace = tmp_path / "planted.py", tmp_path / "it was run"
    planted.write_text(
        f"open({str(trace)!r}, 'w')\n\n\ndef small_resnet(classes, image_size): ...\n"
    )
    refused = site.run(source=source, **TINY | {"models": [f"{planted}:small_resnet"]})
    assert site.wait(refused) == "Failed"
    assert (
        f"{planted} is neither installed nor allowed here"
        in site.flow_run(refused)["state"]["message"]
    )
    assert not trace.exists()
    example = f"{ROOT / 'examples' / 'my_models.py'}:small_resnet"
    taken = site.run(source=source, **TINY | {"models": [example]})
    assert site.wait(taken) == "Completed"
    assert site.records()[-1]["scores"][0]["name"] == "small_resnet"


def test_a_second_run_waits_for_the_first(site: Site, first: dict[str, Any], source: str) -> None:
    one = site.run(source=source, **TINY | {"epochs": FOR_EVER})
    assert site.worker
    site.training(site.worker)
    other = site.run(source=source, **TINY)
    site.wait(other, "AwaitingConcurrencySlot")
    assert site.state(one) == "Running"
    site.operate("flow-run", "cancel", one)
    assert site.wait(one) == "Cancelled"
    assert site.wait(other) == "Completed"


def test_a_cancelled_run_leaves_no_process(site: Site, first: dict[str, Any], source: str) -> None:
    run = site.run(source=source, **TINY | {"epochs": FOR_EVER, "seed": 2})
    assert site.worker
    below = site.training(site.worker)
    assert len(below) >= 2
    site.operate("flow-run", "cancel", run)
    assert site.wait(run) == "Cancelled"
    wait_for(lambda: not alive(below), "every process of the run ends")


def test_a_killed_workers_run_is_marked_crashed_and_can_be_retried(
    site: Site, first: dict[str, Any], source: str
) -> None:
    parameters = TINY | {"epochs": 150, "seed": 3}
    run = site.run(source=source, **parameters)
    assert site.worker
    below = site.training(site.worker)
    os.kill(site.worker.pid, signal.SIGKILL)
    site.worker.wait()
    try:
        wait_for(lambda: not alive(below), "every process of the run ends")
        silence = HEARTBEAT_SECONDS + 60 * ZOMBIE_MINUTES
        assert site.wait(run, seconds=silence + PATIENCE) == "Crashed"
    finally:
        site.start_worker()
    site.operate("flow-run", "retry", run)
    site.wait(run, "Running", "Completed")
    assert site.wait(run, "Completed", "Failed", "Crashed") == "Completed"
    assert {"photos", "manifest", "arrays"} <= set(site.records()[-1]["reused"])
