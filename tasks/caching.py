"""What a task run made and what it found: the artifact store alone is the cache.

Prefect's own cache is off, for its files are obeyed: they name the code that reads them.
"""

from collections.abc import Callable
from typing import TypeVar

from prefect.transactions import TransactionState, get_transaction

from catdog.settings import Settings
from catdog.store.store import ELSEWHERE, Artifact, Store

A = TypeVar("A", bound=Artifact)


def obtained(obtain: Callable[[Store], A], *, given: Artifact | None = None) -> A:
    """The artifact that a function obtains from the store; `Cached` when the task did not make it.

    To be called by a task, whose state is meant.

    given: what it is made of. Another home that has sent it finds the artifact in the remote; if
    it cannot be brought there, RemoteError is raised.
    """
    own = store()
    artifact = obtain(own)
    if given and given.path == ELSEWHERE:
        own.share(artifact.kind, artifact.key)
    if artifact.path not in own.made and (transaction := get_transaction()):
        # A task that returned a State named `Cached` would hand it to a direct caller.
        transaction.state = TransactionState.COMMITTED
    return artifact


def store() -> Store:
    """The store of this process's `CATDOG_HOME`."""
    return Store(Settings.load().home)
