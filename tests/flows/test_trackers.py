"""Runs that are followed by a real MLflow server, and by TensorBoard."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from catdog.errors import SettingsError
from catdog.export.load import load
from catdog.history.runs import Run
from catdog.settings import Settings
from catdog.store.artifacts import TrainedModel
from catdog.store.store import Store
from catdog.tracking.choose import require_trackers
from flows.server.private import free_port

PLANTED = "planted7secret"
PATIENCE = 300
"""Seconds for MLflow's server to answer first: it makes its database."""

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow warns while it is imported
needs_server = pytest.mark.skipif(
    not (find_spec("mlflow") and find_spec("flask")),
    reason="needs MLflow with its server: make test-mlflow",
)


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with SQLite on loopback."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError("MLflow's server does not answer")


@pytest.fixture
def tracked(
    run_tiny: Callable[..., Any], mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Run, Any, Any, Any]]:
    """Runs the flow for `baseline`, and gives its record, a client, and MLflow's two runs."""
    from mlflow import MlflowClient

    for name in ("CATDOG_MLFLOW", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # as they were, they will be again

    def run(**options: Any) -> tuple[Run, Any, Any, Any]:
        address = mlflow_server.replace("//", f"//me:{PLANTED}@")
        outcome = run_tiny(models=("baseline",), mlflow=address, **options)
        assert isinstance(outcome.run, Run), outcome.error
        client = MlflowClient(mlflow_server)
        experiment = client.get_experiment_by_name("catdog")
        found = client.search_runs(
            [experiment.experiment_id], f"tags.`catdog.run` = '{outcome.run.id}'"
        )
        (parent,) = (each for each in found if "mlflow.parentRunId" not in each.data.tags)
        (child,) = (each for each in found if "mlflow.parentRunId" in each.data.tags)
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        return outcome.run, client, parent, child

    return run


@pytest.mark.slow
@needs_server
@pytest.mark.parametrize("runner", ["process", "dask"])
def test_mlflow_has_parameters_curves_results_and_report_from_either_runner(
    tracked: Callable[..., tuple[Run, Any, Any, Any]], flow_store: Store, runner: str
) -> None:
    seed = {"process": 61, "dask": 62}[runner]
    run, client, parent, child = tracked(runner=runner, seed=seed, epochs=3)
    assert [each.info.status for each in (parent, child)] == ["FINISHED"] * 2
    assert parent.data.params["source"] == run.settings["source"]
    assert (child.data.params["model"], child.data.params["seed"]) == ("baseline", str(seed))
    model = run.stored(TrainedModel, flow_store, run.scores[0])
    history = model.history()
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        points = client.get_metric_history(child.info.run_id, name)
        assert {point.step: point.value for point in points} == dict(
            zip(history["epoch"], history[name], strict=True)
        )
    for data in (parent.data.metrics, child.data.metrics):
        low, high = data["test_accuracy_low"], data["test_accuracy_high"]
        assert low < run.scores[0].test_accuracy < high
        assert data["test_accuracy"] == run.scores[0].test_accuracy
    files = {each.path for each in client.list_artifacts(parent.info.run_id)}
    assert files == {"report.html", "comparison.json", "predictions.csv", "history.csv"}
    assert parent.data.tags["winner"] == "baseline"
    (note,) = run.tracked
    assert note.endswith(f"/runs/{parent.info.run_id}")


@pytest.mark.slow
@needs_server
def test_the_model_there_answers_as_catdog_does_and_a_cached_one_has_its_curves(
    tracked: Callable[..., tuple[Run, Any, Any, Any]],
    tiny_source: Path,
    mlflow_server: str,
    flow_home: Path,
    tmp_path: Path,
) -> None:
    import mlflow
    import pandas as pd
    from PIL import Image

    tracked(seed=61, epochs=3)
    run, client, _, child = tracked(seed=61, epochs=3)
    assert "model baseline 61" in run.reused
    assert len(client.get_metric_history(child.info.run_id, "loss")) == 3
    mlflow.set_tracking_uri(mlflow_server)
    logged = mlflow.pyfunc.load_model(f"runs:/{child.info.run_id}/baseline")
    assert logged.metadata.signature.inputs.input_names() == ["photo"]
    photos = sorted(tiny_source.rglob("*.jpg"))[:20]
    drawn = Image.open(photos[0])
    odd = [tmp_path / name for name in ("clear.png", "grey.png", "turned.jpg")]
    drawn.convert("RGBA").rotate(30).save(odd[0])
    drawn.convert("L").save(odd[1])
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn.crop((0, 0, 90, 60)).save(odd[2], exif=exif)
    photos += odd
    answers = logged.predict(pd.DataFrame({"photo": [path.read_bytes() for path in photos]}))
    model = run.find(TrainedModel, Store(flow_home), run.scores[0])
    expected = load(model, home=flow_home).predict_frame(photos)
    columns = ["probability", "p_cats", "p_dogs"]
    assert answers["label"].tolist() == expected["label"].tolist()
    assert answers[columns].to_numpy() == pytest.approx(expected[columns].to_numpy(), abs=1e-6)


@pytest.mark.slow
@needs_server
def test_a_secret_of_the_servers_address_is_in_no_file_output_or_database(
    tracked: Callable[..., tuple[Run, Any, Any, Any]],
    flow_home: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tracked(seed=61, epochs=3)
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == PLANTED, "it was used"
    assert PLANTED not in str(capfd.readouterr())
    files = [path for path in flow_home.rglob("*") if path.is_file()]
    assert [path for path in files if PLANTED.encode() in path.read_bytes()] == []


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("mlflow"), reason="needs MLflow: make test-mlflow")
def test_a_server_that_is_down_never_ends_a_run(
    run_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    address = f"http://127.0.0.1:{free_port()}"
    outcome = run_tiny(models=("baseline",), mlflow=address)
    assert outcome.error is None
    (note,) = outcome.run.tracked
    assert note.startswith(f"MLflow at {address} did not get everything: ")
    assert note in outcome.printed


def test_event_files_of_a_run_lie_where_it_says(
    run_tiny: Callable[..., Any], flow_home: Path
) -> None:
    run = run_tiny(models=("baseline",), tensorboard=True).run
    folder = flow_home / "tensorboard"
    assert run.tracked == (f"TensorBoard: tensorboard --logdir {folder}",)
    parts = {path.parent.name for path in (folder / run.id / "baseline").rglob("events.*")}
    assert parts == {"train", "validation", "test"}


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("catdog.tracking.choose.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="mlflow") as caught:
        require_trackers(Settings.load(mlflow="http://127.0.0.1:1"))
    assert "[mlflow]" in caught.value.remedy
