"""What `import catdog` offers, and how light it is."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import catdog


def test_everything_that_it_offers_is_there() -> None:
    assert all(getattr(catdog, name) is not None for name in catdog.__all__)
    assert catdog.__version__.count(".") == 2


def test_a_home_without_runs_has_no_champion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path))
    assert (catdog.runs(), catdog.champion()) == ([], None)


def test_no_room_has_the_name_of_a_function() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(catdog.__path__)}
    assert not rooms & {*catdog.__all__}


def test_to_load_a_model_needs_no_tensorflow_prefect_or_pandas() -> None:
    script = """
import sys
import catdog
catdog.load, catdog.runs, catdog.champion
import numpy
heavy = {"tensorflow", "keras", "prefect", "pandas", "matplotlib", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)  # noqa: S603
