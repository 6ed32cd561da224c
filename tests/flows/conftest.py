"""One Prefect server, one tiny source, and the runs of the flow that several tests look at."""

import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from catdog.errors import CatdogError
from catdog.history.runs import Run, load_runs
from catdog.store.store import Store


@dataclass(frozen=True)
class Outcome:
    """What a user and Prefect see of one run of the flow."""

    printed: str
    error: CatdogError | None
    run: Run | None
    flow_run: Any
    tasks: dict[str, list[str]]
    """The names of the states that ended each task run, by the task run's name."""
    lines: list[tuple[str, str]]
    """The lines of the graph in Prefect's UI, from a task run to one that was given its result."""


HOME = Path(os.environ["CATDOG_HOME"])
"""The home folder of this test session, whatever one the first test that asks has made its own."""


@pytest.fixture(scope="session")
def flow_home() -> Path:
    return HOME


@pytest.fixture(scope="session")
def flow_store(flow_home: Path) -> Store:
    return Store(flow_home)


@pytest.fixture(scope="session")
def server(flow_home: Path) -> Iterator[str]:
    """A private Prefect server for all tests that need one; `catdog run` finds it too."""
    from flows.server import choose, private

    private.START_SECONDS = 600  # a busy machine is no failed test
    with choose.prefect_server(flow_home) as url:
        yield url
    os.environ["PREFECT_API_URL"] = ""


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 training and 40 held-out drawings of cats and dogs."""
    from catdog.sample.draw import draw

    folder = tmp_path_factory.mktemp("photos")
    draw(folder, train=40, validation=40, seed=5)
    return folder


@pytest.fixture(scope="session")
def run_tiny(server: str, tiny_source: Path, flow_store: Store) -> Callable[..., Outcome]:
    """Runs the flow as `catdog run` does, on the tiny source with two models and one epoch."""

    def run(**changes: Any) -> Outcome:
        from catdog.settings import Settings
        from flows.cli.run import run_flow

        options: dict[str, Any] = {
            "source": str(tiny_source),
            "models": ("baseline", "transfer"),
            "epochs": 1,
            "image_size": 64,
            "weights": "embedded",
            "parallel": 2,
        }
        before = {past.id for past in load_runs(flow_store)}
        console = Console(file=io.StringIO(), width=120)
        error = None
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CATDOG_HOME", str(HOME))
            try:
                run_flow(Settings.load(**options | changes), console)
            except CatdogError as raised:
                error = raised
        new = [past for past in load_runs(flow_store) if past.id not in before]
        flow_run, tasks, lines = newest_flow_run()
        printed = console.file.getvalue()  # type: ignore[attr-defined]
        return Outcome(printed, error, new[0] if new else None, flow_run, tasks, lines)

    return run


def newest_flow_run() -> tuple[Any, dict[str, list[str]], list[tuple[str, str]]]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        FlowRunFilterStartTime,
    )
    from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort

    with get_client(sync_client=True) as client:
        begun = FlowRunFilter(start_time=FlowRunFilterStartTime(is_null_=False))
        (flow_run,) = client.read_flow_runs(
            flow_run_filter=begun, sort=FlowRunSort.START_TIME_DESC, limit=1
        )
        found = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])),
            sort=TaskRunSort.EXPECTED_START_TIME_DESC,
        )
    tasks: dict[str, list[str]] = {}
    for task_run in reversed(found):
        name = re.sub(r"-[0-9a-f]{3}$", "", task_run.name)  # Prefect's mark of unnamed task runs
        tasks.setdefault(name, []).append(task_run.state_name or "")
    names = {task_run.id: task_run.name for task_run in found}
    lines = [
        (names[source.id], task_run.name)
        for task_run in found
        for source in set().union(*task_run.task_inputs.values())
    ]
    return flow_run, tasks, lines


@pytest.fixture(scope="session")
def first(run_tiny: Callable[..., Outcome]) -> Outcome:
    """The first run: everything is made."""
    return run_tiny()


@pytest.fixture(scope="session")
def second(first: Outcome, run_tiny: Callable[..., Outcome]) -> Outcome:
    """The same run again."""
    return run_tiny()
