"""Runs on an MLflow server: one for the run, and below it one for each training."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from catdog.addresses import without_secrets
from catdog.comparison.compare import Comparison, Study
from catdog.report.write import load_comparison
from catdog.store.artifacts import ModelResult, Predictions, Report, TrainedModel, Trial
from catdog.store.store import Store
from catdog.tracking.follow import Followed, ends, measures
from catdog.tracking.mlflow_model import log_model
from catdog.tracking.results import final_numbers
from catdog.training.checkpoints import Row

EXPERIMENT = "catdog"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""What MLflow's pages show first; without it, traces of language models."""
REPORT_FILES = ("report.html", "comparison.json", "predictions.csv", "history.csv")
MOST_METRICS = 1_000
"""In one request: MLflow refuses more."""
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""What MLflow finds in the environment. By default it tries for minutes, for which the run would
wait at its end; while it trains, the next try is seconds away."""

Number = tuple[str, float, int, float]
"""Name, value, epoch, and when it was measured."""


class MLflow:
    """What an MLflow server is told of a run."""

    def __init__(
        self,
        address: str,
        run: str,
        parameters: Mapping[str, Any],
        trainings: Sequence[Followed],
        store: Store,
    ) -> None:
        """address: http(s)://[USER:PASSWORD@]HOST[:PORT]; parameters: those of the whole run."""
        self._address = without_secrets(address)
        self._run, self._parameters, self._store = run, parameters, store
        self._trainings = trainings
        self._ids: dict[tuple[str, int] | None, str] = {}
        self.name = f"MLflow at {self._address}"
        self.place = f"{self.name}."
        os.environ.update({n: os.environ.get(n, text) for n, text in PATIENCE.items()})
        _log_in(address)
        import mlflow  # reads the environment

        logging.getLogger("mlflow").setLevel(logging.ERROR)  # it tells of each call
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=self._address)

    def begin(self) -> None:
        """Make the runs that are not there yet, with their parameters."""
        if None not in self._ids:
            made = self._create(None, self._run, self._parameters)
            self.place = (
                f"MLflow: {self._address}/#/experiments/{made.info.experiment_id}"
                f"/runs/{made.info.run_id}"
            )
        for training in self._trainings:
            if _which(training.trial) not in self._ids:
                name = f"{training.trial.name}, {training.trial.which}"
                self._create(_which(training.trial), name, training.parameters)

    def curves(self, training: Followed, rows: Sequence[Row]) -> None:
        """Each measure by epoch, named as Keras does."""
        found = [
            (name, value, int(row["epoch"]), when)
            for row, when in zip(rows, ends(rows, time.time()), strict=True)
            for name, value in measures(row).items()
        ]
        self._log(self._ids[_which(training.trial)], found)

    def results(self, study: Study, report: Report | None) -> None:
        """The numbers and the model of each training; the verdict and the report."""
        for result in study.results:
            if result.model and result.predictions:
                self._result(result, result.model, result.predictions, study)
            else:
                found = self._ids[_which(result)]
                self._client.set_tag(found, "error", _short(result.error))
                self._client.set_terminated(found, "FAILED")
        if report:
            self._report(report)

    def end(self, *, well: bool) -> None:
        """End all runs that have not ended."""
        for found in self._ids.values():
            if self._client.get_run(found).info.status == "RUNNING":
                self._client.set_terminated(found, "FINISHED" if well else "FAILED")

    def _create(
        self, which: tuple[str, int] | None, name: str, parameters: Mapping[str, Any]
    ) -> Any:
        from mlflow.entities import Param

        tags = {"catdog.run": self._run}
        if which:
            tags["mlflow.parentRunId"] = self._ids[None]
        made = self._client.create_run(self._experiment(), run_name=name, tags=tags)
        self._ids[which] = made.info.run_id
        params = [Param(key, _short(value)) for key, value in parameters.items()]
        self._client.log_batch(made.info.run_id, params=params)
        return made

    def _experiment(self) -> str:
        if found := self._client.get_experiment_by_name(EXPERIMENT):
            return str(found.experiment_id)
        return str(self._client.create_experiment(EXPERIMENT, tags=KIND))

    def _log(self, run: str, numbers: Sequence[Number]) -> None:
        from mlflow.entities import Metric

        found = [Metric(name, value, round(1000 * at), step) for name, value, step, at in numbers]
        for begin in range(0, len(found), MOST_METRICS):
            self._client.log_batch(run, metrics=found[begin : begin + MOST_METRICS])

    def _result(
        self, trial: Trial, model: TrainedModel, predictions: Predictions, study: Study
    ) -> None:
        run = self._ids[_which(trial)]
        numbers = final_numbers(model, predictions, study.design)
        self._log(run, [(name, n, model.best_epoch, time.time()) for name, n in numbers.items()])
        self._mlflow.set_tracking_uri(self._address)
        with self._mlflow.start_run(run_id=run):  # which it ends
            if study.design.usable:
                log_model(model, predictions, self._run, self._store)

    def _report(self, report: Report) -> None:
        run, compared = self._ids[None], load_comparison(report)
        self._log(run, [(name, n, 0, time.time()) for name, n in _of_winner(compared).items()])
        self._client.set_tag(run, "winner", compared.winner.name)
        told = f"{compared.verdict.headline}. {compared.verdict.caveat}"
        self._client.set_tag(run, "mlflow.note.content", told)
        for name in REPORT_FILES:
            self._client.log_artifact(run, str(report.file(name)))


def _of_winner(compared: Comparison) -> dict[str, float]:
    accuracy, interval = compared.accuracy(compared.winner)
    name = f"test_{compared.judged_by.replace('-', '_')}"
    return {
        name: accuracy,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


def _which(trial: Trial | ModelResult) -> tuple[str, int]:
    return trial.name, trial.seed


def _short(value: object) -> str:
    """What MLflow takes as a parameter or a tag."""
    return str(value)[:5_000]


def _log_in(address: str) -> None:
    """Tell MLflow the login of an address in the way in which it neither shows nor keeps it."""
    login, at, _ = address.partition("://")[2].rpartition("@")
    if at:
        user, _, password = login.partition(":")
        os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
        os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password)
