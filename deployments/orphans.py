"""Runs whose process ended with a `catdog serve`, but which seem to live."""

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import State, StateType
from prefect.states import Crashed

ALIVE = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def crash_orphans() -> list[str]:
    """Mark the served runs that seem to be alive as crashed, and give their names.

    For use by the only `catdog serve` of a home, while it serves nothing: then all of them are
    dead, and the next run would wait for their place until the zombie automation comes. Runs of
    `catdog run` have no deployment and are left alone. Their finished work is kept:
    `prefect flow-run retry ID` goes on from it.
    """
    served = FlowRunFilter.model_validate(
        {"deployment_id": {"is_null_": False}, "state": {"type": {"any_": ALIVE}}}
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=served)
        for run in found:
            state: State[None] = Crashed(message="The process that served this run has ended.")
            client.set_flow_run_state(run.id, state)
    return [run.name for run in found]
