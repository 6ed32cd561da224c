"""A site with an archive of photos, and a way to fetch from it without waiting."""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tenacity
from pets import BODY, Fetcher
from website import Site, running

from catdog.store.store import Store


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running(Site(body=BODY), "/pets.zip") as site:
        yield site


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def while_waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float], None]], None]:
    """Lets something happen in place of each wait between two tries."""

    def do(what: Callable[[float], None]) -> None:
        monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=what))

    return do


@pytest.fixture
def waits(while_waiting: Callable[[Callable[[float], None]], None]) -> list[float]:
    """The seconds that would have been waited."""
    asked: list[float] = []
    while_waiting(asked.append)
    return asked


@pytest.fixture
def get(store: Store, waits: list[float]) -> Fetcher:
    return Fetcher(store)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be written into a part download."""

    class FullDisk:
        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *args: object) -> None: ...

        def write(self, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    real = Path.open

    def opened(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        return FullDisk() if path.suffix == ".part" else real(path, mode, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
