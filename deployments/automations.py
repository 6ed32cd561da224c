"""What the server watches by itself: failed runs, a new champion, a long silence, zombie runs.

Each automation writes a line to the server's log when it fires, and Prefect keeps the event.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from catdog.errors import SettingsError
from deployments.alert_log import alert_log

TOLD = (
    "{{ automation.description }} {{ event.payload.sentence or event.event }} "
    "({{ event.resource.name }})"
)
"""A decision about the champion has its sentence with it."""

FLOW_RUNS = ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]})
OF_CATDOG = ResourceSpecification(
    {"prefect.resource.role": "flow", "prefect.resource.name": "catdog"}
)
SUBMITTING = "prefect.flow-run.Submitting"
"""A worker starts the process: from here on something must be heard of the run."""
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


def create_automations(
    *,
    silence_days: float,
    zombie_minutes: float,
    notify: str | None = None,
    replace: bool = False,
) -> None:
    """Create the automations on the configured server; those that are there stay as they are.

    notify: a notification block as TYPE/NAME, such as "slack-webhook/catdog".
    replace: create those that are there anew.
    Raises SettingsError when there is no such block.
    """
    found = automations(
        silence=timedelta(days=silence_days),
        zombie=timedelta(minutes=zombie_minutes),
        tell=_tell(notify),
    )
    for automation in found:
        existing = _existing(automation.name)
        if existing and not replace:
            continue
        if existing:
            existing.delete()
        automation.create()


def automations(
    *, silence: timedelta, zombie: timedelta, tell: Sequence[ActionTypes]
) -> list[Automation]:
    """The automations; tell: how they make themselves known."""
    return [
        _failed(tell),
        _champion_changed(tell),
        _silent(silence, tell),
        _zombie(zombie),
    ]


def _failed(tell: Sequence[ActionTypes]) -> Automation:
    return Automation(
        name="catdog: a run failed",
        description="A run of the flow catdog failed or crashed.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match=FLOW_RUNS,
            match_related=OF_CATDOG,
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[*tell],
    )


def _champion_changed(tell: Sequence[ActionTypes]) -> Automation:
    return Automation(
        name="catdog: champion changed",
        description="Another model is champion: promoted, or rolled back to.",
        trigger=EventTrigger(
            expect={"catdog.champion.promoted", "catdog.champion.rolled-back"},
            match=ResourceSpecification({"prefect.resource.id": "catdog.champion"}),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[*tell],
    )


def _silent(within: timedelta, tell: Sequence[ActionTypes]) -> Automation:
    days = within / timedelta(days=1)
    return Automation(
        name="catdog: no successful run",
        description=f"No run of the flow catdog has completed for {days:g} days.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Completed"},
            match=FLOW_RUNS,
            match_related=OF_CATDOG,
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[*tell],
    )


def _zombie(within: timedelta) -> Automation:
    """It tells nobody, since a crash is told as any other.

    A heartbeat that comes after the end of a run is taken for the last one of a zombie; no state
    is forced, so that this changes nothing, and nobody is alarmed.
    """
    crash = ChangeFlowRunState(
        name=None,
        state=StateType.CRASHED,
        message="No sign of life: its process has died.",
        force=False,
    )
    return Automation(
        name="catdog: zombie run",
        description="A run that sends no heartbeats is marked as crashed.",
        trigger=EventTrigger(
            after={SUBMITTING, HEARTBEAT},
            expect={HEARTBEAT, *ENDED},
            match=FLOW_RUNS,
            match_related=OF_CATDOG,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=within,
        ),
        actions=[crash],
    )


def _tell(notify: str | None) -> list[ActionTypes]:
    blocks = [alert_log()]
    if notify:
        blocks.append(_block(notify))
    return [
        SendNotification(
            block_document_id=block,
            subject="{{ automation.name }}",
            body=TOLD,
        )
        for block in blocks
    ]


def _block(notify: str) -> UUID:
    kind, _, name = notify.partition("/")
    try:
        with get_client(sync_client=True) as client:
            found = client.read_block_document_by_name(name, block_type_slug=kind)
    except ObjectNotFound as error:
        raise SettingsError(
            f"The server has no notification block '{notify}'.",
            "Make it in the UI, and give it as TYPE/NAME, such as slack-webhook/catdog.",
        ) from error
    return found.id


def _existing(name: str) -> Automation | None:
    try:
        return cast("Automation", Automation.read(name=name))
    except ValueError:
        return None
