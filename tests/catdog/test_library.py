"""What `import catdog` offers, and how light it is."""

import subprocess
import sys
from pathlib import Path

import pytest

import catdog
from catdog.champion.registry import Registry
from catdog.runs import load_runs  # a module of the same name as a function


def test_everything_that_it_offers_is_there() -> None:
    assert all(getattr(catdog, name) is not None for name in catdog.__all__)
    assert catdog.__version__.count(".") == 2


def test_runs_and_champion_are_functions_beside_a_module_and_a_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_HOME", str(tmp_path))
    assert (catdog.runs(), catdog.champion()) == ([], None)
    assert load_runs.__module__ == "catdog.runs"
    assert Registry.__module__ == "catdog.champion.registry"


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
