"""Prefect's caching for artifacts: the cache key is the artifact's key, the result its record."""

from collections.abc import Callable
from typing import Any, TypedDict

from prefect.cache_policies import CacheKeyFnPolicy, CachePolicy

from catdog.errors import CatdogError
from catdog.settings import Settings
from catdog.store import Store


class Stored(TypedDict):
    """Task options that keep a result across runs."""

    persist_result: bool
    result_storage: Any
    result_serializer: str
    cache_policy: CachePolicy


def stored_by(key: Callable[..., str]) -> Stored:
    """Options of a task that makes an artifact.

    key: takes the task's parameters by name and gives the artifact's key. A record whose files
    are missing or damaged does not validate, which makes it a miss.
    """

    def cache_key(context: Any, parameters: dict[str, Any]) -> str | None:
        try:
            return f"{context.task.name}-{key(**parameters)}"
        except CatdogError:
            return None  # the task itself meets the same problem and reports it

    return Stored(
        persist_result=True,
        result_storage=Settings.load().home / "results",
        result_serializer="json",
        cache_policy=CacheKeyFnPolicy(cache_key_fn=cache_key),
    )


def store() -> Store:
    """The store of this process's `CATDOG_HOME`."""
    return Store(Settings.load().home)
