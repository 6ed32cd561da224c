"""How TensorFlow is imported for a short-lived process."""

import gc
import sys
from collections.abc import Iterator

import pytest

from catdog.machine import import_tensorflow


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as it was."""
    yield
    gc.unfreeze()
    gc.enable()


def test_garbage_is_collected_again_after_the_import_but_not_looked_for_in_tensorflow() -> None:
    import_tensorflow()
    assert "tensorflow" in sys.modules
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    import_tensorflow()
    assert not gc.isenabled()
