"""Where the models of a run are trained, as its settings ask."""

from functools import partial
from pathlib import Path

from catdog.errors import SettingsError
from catdog.machine import available_cores, visible_gpus
from catdog.settings import Settings
from catdog.store.store import Store
from flows.workers.process import ProcessWorkers
from flows.workers.team import Workers, plan


def choose_workers(settings: Settings, store: Store, progress_folder: Path) -> Workers:
    """The workers of this machine or of a Dask cluster.

    Raises SettingsError when Dask is not installed, and DaskError when the cluster cannot be used.
    """
    jobs = len(settings.models) * settings.trainings
    here = plan(jobs, parallel=settings.parallel, cores=available_cores(), gpus=len(visible_gpus()))
    if settings.runner == "process":
        return ProcessWorkers(here, store)
    try:
        from flows.workers.dask import local_workers, workers_at, workers_of
        from flows.workers.dask_plugin import own_models
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"runner: 'dask' needs packages that are not installed ({error.name}).",
            "Install them: pip install prefect-dask",
        ) from error
    if settings.dask_address:
        found = partial(workers_at, settings.dask_address)
    elif settings.dask_cluster:
        found = partial(workers_of, settings.dask_cluster)
    else:
        return local_workers(here, store)
    return found(
        most=min(jobs, settings.parallel or jobs),
        store=store,
        progress_folder=progress_folder,
        own=own_models(settings.models),
    )
