"""What the server watches by itself, as `automations.yaml` has it."""

import json
from datetime import timedelta
from importlib.resources import files
from string import Template
from uuid import UUID

import yaml
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from catdog.errors import SettingsError
from deployments.alert_log import alert_log

NOTIFICATION = {
    "type": "send-notification",
    "subject": "{{ automation.name }}",
    "body": "{{ automation.description }} {{ event.payload.sentence or event.event }} "
    "({{ event.resource.name }})",
}
"""A decision about the champion has its sentence with it."""


def create_automations(
    *, silence_days: float, zombie_minutes: float, notify: str | None = None, replace: bool = False
) -> None:
    """Create the automations on the configured server; those that are there stay as they are.

    notify: a notification block as TYPE/NAME, such as "slack-webhook/catdog".
    replace: create those that are there again.
    Raises SettingsError when there is no such block.
    """
    tell = [alert_log(), *([_block(notify)] if notify else [])]
    silence, zombie = timedelta(days=silence_days), timedelta(minutes=zombie_minutes)
    with get_client(sync_client=True) as client:
        for automation in automations(silence=silence, zombie=zombie, tell=tell):
            existing = client.read_automations_by_name(automation.name)
            if existing and not replace:
                continue
            for former in existing:
                client.delete_automation(former.id)
            client.create_automation(automation)


def automations(*, silence: timedelta, zombie: timedelta, tell: list[UUID]) -> list[AutomationCore]:
    """The automations. tell: the notification blocks by which they make themselves known."""
    text = (files("deployments") / "automations.yaml").read_text(encoding="utf-8")
    filled = Template(text).substitute(
        silence_days=f"{silence / timedelta(days=1):g}",
        silence_seconds=silence.total_seconds(),
        zombie_seconds=zombie.total_seconds(),
        tell=json.dumps([NOTIFICATION | {"block_document_id": str(block)} for block in tell]),
    )
    return [AutomationCore.model_validate(given) for given in yaml.safe_load(filled)]


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
