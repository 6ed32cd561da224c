"""A whole run that is killed at random moments, or pruned under: nothing is lost."""

import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest

from catdog.history.runs import load_run
from catdog.sample.draw import draw
from catdog.store.housekeeping import prune
from catdog.store.store import Store

pytestmark = pytest.mark.slow

SEED = 1
KILLS = 8
KILLING_SECONDS = 240
"""No other one begins later: on a busy machine there are fewer."""
LONGEST_SECONDS = 300
"""Of a run on a busy machine; a hanging one fails the test instead of stopping it."""
LEAVING_SECONDS = 3
PRUNE_SECONDS = 0.2
OPTIONS = ("--models", "baseline,augmented", "--epochs", "2", "--image-size", "32")
FORGOTTEN = ("store", "work", "runs", "champion")
"""What a new home lacks; making Prefect's database again would take most of the time."""


def start(home: Path, source: Path) -> psutil.Popen:
    with home.with_name("printed").open("wb") as printed:
        return psutil.Popen(
            [sys.executable, "-m", "flows.cli.app", "run", "--source", str(source), *OPTIONS],
            env=os.environ | {"CATDOG_HOME": str(home)},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )


def finish(home: Path, source: Path) -> pd.DataFrame:
    """The predictions of a run that nothing disturbs."""
    code = start(home, source).wait(LONGEST_SECONDS)
    assert code == 0, home.with_name("printed").read_text()
    return pd.read_csv(load_run("latest", Store(home)).folder / "predictions.csv")


def kill_one(home: Path, source: Path, rng: random.Random, seconds: float) -> None:
    """Start a run, and kill it or one of its processes after so many seconds."""
    run = start(home, source)
    time.sleep(seconds)
    family = {run.pid: run} | {child.pid: child for child in run.children(recursive=True)}
    victim = rng.choice(list(family.values()))
    with suppress(psutil.NoSuchProcess):  # it has ended by itself
        victim.kill()
    with suppress(psutil.NoSuchProcess):
        family |= {child.pid: child for child in run.children(recursive=True)}
    run.wait(LONGEST_SECONDS)  # well or not, but it ends
    _, left = psutil.wait_procs(family.values(), timeout=LEAVING_SECONDS)
    assert left == []


def test_a_run_killed_anywhere_leaves_no_process_and_the_next_one_ends_as_if_unbroken(
    tmp_path: Path,
) -> None:
    rng, home, source = random.Random(SEED), tmp_path / "home", tmp_path / "photos"
    draw(source, train=40, validation=40, seed=5)
    started = time.monotonic()
    expected = finish(home, source)
    whole = time.monotonic() - started
    forget(home)
    killing = time.monotonic()
    for part in rng.sample(range(KILLS), KILLS):  # at a random moment of each part of the run
        if time.monotonic() - killing < KILLING_SECONDS:
            kill_one(home, source, rng, whole * (part + rng.random()) / KILLS)
    pd.testing.assert_frame_equal(finish(home, source), expected)


def forget(home: Path) -> None:
    for folder in FORGOTTEN:
        shutil.rmtree(home / folder, ignore_errors=True)


def test_pruning_all_the_time_takes_nothing_from_a_run(tmp_path: Path) -> None:
    home, source = tmp_path / "home", tmp_path / "photos"
    draw(source, train=40, validation=40, seed=5)
    run = start(home, source)
    spared = set()
    while run.poll() is None:
        spared |= {
            item.kind for item, free in prune(Store(home), keep_days=0, dry_run=False) if not free
        }
        time.sleep(PRUNE_SECONDS)
    assert run.wait() == 0, home.with_name("printed").read_text()
    assert spared >= {"photos", "manifest", "arrays", "model", "predictions"}
    assert len(load_run("latest", Store(home)).finished()) == 2
