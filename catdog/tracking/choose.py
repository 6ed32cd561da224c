"""The trackers that the settings of a run ask for."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from catdog.errors import SettingsError
from catdog.machine import DISTRIBUTION
from catdog.settings import Settings
from catdog.store.store import Store
from catdog.tracking.follow import Followed, Tracker, Tracking


def require_trackers(settings: Settings) -> None:
    """Raise SettingsError when a package that a tracker needs is not installed."""
    if settings.mlflow and find_spec("mlflow") is None:
        raise SettingsError(
            "mlflow: needs a package that is not installed (mlflow-skinny).",
            f"Install it: pip install '{DISTRIBUTION}[mlflow]'",
        )


def choose_tracking(
    settings: Settings, run: str, trainings: Sequence[Followed], store: Store
) -> Tracking:
    """What follows a run of this name."""
    return Tracking(list(_trackers(settings, run, trainings, store)), trainings, store)


def _trackers(
    settings: Settings, run: str, trainings: Sequence[Followed], store: Store
) -> Iterator[Tracker]:
    if settings.tensorboard:
        from catdog.tracking.tensorboard import TensorBoard

        yield TensorBoard(store, run, trainings)
    if settings.mlflow:
        from catdog.tracking.mlflow_server import MLflow

        yield MLflow(settings.mlflow, run, settings.asked(), trainings, store)
