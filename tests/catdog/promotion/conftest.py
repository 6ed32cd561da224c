"""An empty home, and its registry of champions."""

from pathlib import Path

import pytest

from catdog.promotion.registry import Registry
from catdog.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)
