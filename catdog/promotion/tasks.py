"""Several questions in one home: each task has a champion, decisions and a budget of its own.

What a model can be asked follows from its classes. So a model whose classes no champion knows gets
a task of its own, named after its source, and no champion in use makes way for it. But where a
source has other classes than before, a person decides: that may be a new question, or the old one
put right.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catdog.errors import StoreError
from catdog.history.runs import named_after
from catdog.promotion.decision import DEFAULT, Candidate, Decision
from catdog.promotion.registry import Registry
from catdog.promotion.rules import Entrant
from catdog.promotion.sharing import bring_tasks
from catdog.settings import Promotion
from catdog.store.store import Store
from catdog.wording import listing

log = logging.getLogger(__name__)


class NoSuchTaskError(StoreError):
    """No champion of this task is there, but of others."""

    def __init__(self, task: str, there: list[str]) -> None:
        super().__init__(
            f"There is no champion of task '{task}', only of {listing(there)}.",
            "Choose a task with --task.",
        )


def tasks(home: Path) -> list[str]:
    """The tasks that have a champion, the default one first."""
    registry, others = Registry(home), home / "champion" / "tasks"
    registry.bring()
    bring_tasks(registry.store)
    names = sorted({path.parent.name for path in others.glob("[!.]*/[!.]*.json")})
    return [DEFAULT, *names] if any(registry.folder.glob("[!.]*.json")) else names


def registry_of(home: Path, task: str | None) -> Registry:
    """The registry of a task, by default of that which is called so; empty in a home without any.

    Raises NoSuchTaskError where there are champions, but none of this task; StoreError where one is
    named and there is no champion at all.
    """
    registry, there = Registry(home, task or DEFAULT), tasks(home)
    if there and registry.task not in there:
        raise NoSuchTaskError(registry.task, there)
    if task and not there:
        raise StoreError(f"There is no champion of task '{task}' in {home}.", "See 'catdog run'.")
    return registry


def decisions_of(home: Path) -> dict[str, list[Decision]]:
    """The decisions of each task; one with a damaged record is passed over, and said so."""
    found = {}
    for task in tasks(home):
        try:
            found[task] = Registry(home, task).decisions()
        except StoreError as error:
            log.warning("%s Task %s is left out.", error, task)
    return found


def challenge(
    home: Path, challenger: Entrant, promotion: Promotion, task: str | None = None
) -> Decision:
    """As `Registry.challenge`, in this task, or in the one that the challenger's classes tell."""
    with _placed(home, challenger.candidate, task) as registry:
        return registry.challenge(challenger, promotion)


def promote(home: Path, challenger: Entrant, task: str | None = None) -> Decision:
    """As `Registry.promote`, in this task, or in the one that the challenger's classes tell."""
    with _placed(home, challenger.candidate, task) as registry:
        return registry.promote(challenger)


@contextmanager
def _placed(home: Path, new: Candidate, task: str | None) -> Iterator[Registry]:
    """The registry for a model; until it is used, no other process finds a place for one."""
    with Store(home / "champion", part=True).lock("tasks"):
        yield Registry(home, task) if task else _place(home, new)


def _place(home: Path, new: Candidate) -> Registry:
    champions = {name: past[-1].champion for name, past in decisions_of(home).items()}
    for name, champion in champions.items():
        if set(champion.classes) == set(new.classes):
            return Registry(home, name)
    if DEFAULT not in champions or champions[DEFAULT].origin == new.origin:
        return Registry(home)
    return Registry(home, named_after(new.origin))
