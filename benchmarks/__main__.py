"""catdog against the notebook's way, in turn (A B A B), on the same photos and machine.

First each model alone, each training in a fresh process with all cores; then the whole job, all
models one after the other the notebook's way against `catdog run`. Quote the ratios: seconds change
with the machine and its neighbours. Wall seconds an epoch are those of the training alone; CPU
seconds are those of all processes, their start, and catdog's check and decoding of all photos,
included. On a machine with NVIDIA GPUs, also how busy they are, the mean of all that may be used.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Cost, run
from catdog.entry.functions import download
from catdog.fast.mixed_precision import slow_in_bfloat16
from catdog.machine import divert_native_stderr, machine, versions, visible_gpus
from catdog.models import DEFAULT
from catdog.settings import Settings

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}
FIRST_SEED = 1
"""Of the pairs, each of which has a seed of its own."""


@dataclass(frozen=True)
class Training:
    """One model as one way trained it."""

    epoch_seconds: float
    cpu_seconds: float
    peak_mib: float
    gpu_busy: float | None
    best: float


Pair = tuple[Training, Training]


def train_alone(way: str, model: str, folder: Path, epochs: int, seed: int) -> Training:
    """Train one model in a fresh process."""
    options = [f"--epochs={epochs}", f"--seed={seed}"]
    cost = run([sys.executable, "-m", f"benchmarks.{way}", model, str(folder), *options], QUIET)
    result = json.loads(cost.output.splitlines()[-1])
    seconds = result["seconds"] / epochs
    return Training(seconds, cost.cpu_seconds, cost.peak_mib, cost.gpu_busy, result["best"])


def model_row(model: str, pairs: Sequence[Pair]) -> list[str]:
    """One line of the table: medians, and the medians of the pairs' ratios."""

    def median(name: str, way: int) -> float:
        return statistics.median(float(getattr(pair[way], name) or 0) for pair in pairs)

    def ratio(name: str) -> float:
        return statistics.median(float(getattr(a, name) / getattr(b, name)) for a, b in pairs)

    return [
        model,
        f"{median('epoch_seconds', 0):.1f}",
        f"{median('epoch_seconds', 1):.1f}",
        f"{ratio('epoch_seconds'):.2f}",
        f"{ratio('cpu_seconds'):.2f}",
        f"{median('peak_mib', 0):.0f} / {median('peak_mib', 1):.0f}",
        *([f"{median('gpu_busy', 0):.0f} / {median('gpu_busy', 1):.0f}"] if visible_gpus() else []),
        *(", ".join(f"{100 * pair[way].best:.1f}" for pair in pairs) for way in (0, 1)),
    ]


def notebook_job(models: Sequence[str], folder: Path, epochs: int, seed: int) -> Cost:
    """All models, one after the other in one process."""
    options = [f"--epochs={epochs}", f"--seed={seed}"]
    command = [sys.executable, "-m", "benchmarks.notebook", ",".join(models), str(folder)]
    return run([*command, *options], QUIET)


@dataclass(frozen=True)
class Job:
    """The whole job as one way did it."""

    cost: Cost
    accuracies: dict[str, float]
    """On the validation photos, of each model's best epoch."""

    def row(self, slowest: Cost) -> list[str]:
        """What it cost, and how many times as much the other way did."""
        cost = self.cost
        return [
            f"{cost.wall_seconds:.0f}",
            f"{slowest.wall_seconds / cost.wall_seconds:.2f}",
            f"{cost.cpu_seconds:.0f}",
            f"{slowest.cpu_seconds / cost.cpu_seconds:.2f}",
            f"{cost.peak_mib:.0f}",
            *([] if cost.gpu_busy is None else [f"{cost.gpu_busy:.0f}"]),
        ]


def catdog_job(models: Sequence[str], folder: Path, epochs: int, seed: int, precision: str) -> Job:
    """The whole of `catdog run`: its server, checks, report and comparison included."""
    options = [f"--models={','.join(models)}", f"--epochs={epochs}", f"--seed={seed}"]
    options += [f"--precision={precision}", "--weights=embedded"]
    with tempfile.TemporaryDirectory() as home:
        run_it = ["run", f"--source={folder}", f"--home={home}", *options]
        cost = run([sys.executable, "-m", "flows.cli.app", *run_it], {"PREFECT_API_URL": ""})
        (record,) = Path(home).glob("runs/*/comparison.json")
        found = json.loads(record.read_text())["models"]
    return Job(cost, {m["name"]: m["validation"]["accuracy"] for m in found})


def compare_jobs(models: Sequence[str], folder: Path, epochs: int, seed: int) -> None:
    """Run the whole job both ways and print what it cost and the accuracies it reached.

    catdog's way also in bfloat16, where this machine is faster in it.
    """
    cost = notebook_job(models, folder, epochs, seed)
    lines = map(json.loads, cost.output.splitlines())
    theirs = Job(cost, {line["model"]: line["best"] for line in lines})
    precisions = ["float32"] + ["bfloat16"] * (not slow_in_bfloat16())
    jobs = {"notebook's way": theirs} | {
        f"catdog run, {precision}": catdog_job(models, folder, epochs, seed, precision)
        for precision in precisions
    }
    headings = ["wall s", "ratio", "CPU s", "ratio", "peak MiB"]
    headings += ["GPU busy %"] * (cost.gpu_busy is not None)
    print_table(
        [f"whole job, {epochs} epochs", *headings],
        [[name, *job.row(cost)] for name, job in jobs.items()],
    )
    print_table(
        ["validation, best epoch, %", *jobs],
        [
            [model, *(f"{100 * job.accuracies[model]:.1f}" for job in jobs.values())]
            for model in models
        ],
    )


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {' | '.join(headings)} |")
    print(f"|---{'|--:' * (len(headings) - 1)}|")
    for cells in rows:
        print(f"| {' | '.join(cells)} |", flush=True)


def unpacked(data: str, folder: Path) -> Path:
    """A folder with train/ and validation/ for a source of catdog."""
    if Path(data).is_dir():
        return Path(data)
    if zipfile.is_zipfile(data):
        zipfile.ZipFile(data).extractall(folder)
        return next(path.parent for path in folder.rglob("train") if path.is_dir())
    os.environ["CATDOG_HOME"] = str(folder)
    return download(data).folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="sample", help="a folder, an archive, or 'sample'")
    parser.add_argument("--models", default=",".join(DEFAULT))
    parser.add_argument("--epochs", type=int, default=2, help="of each training alone")
    parser.add_argument("--pairs", type=int, default=3, help="of trainings alone; 0 for none")
    parser.add_argument("--job-epochs", type=int, default=20, help="of the whole job; 0 for none")
    parser.add_argument("--job-seed", type=int, default=Settings.model_fields["seed"].default)
    given = parser.parse_args()

    models = given.models.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        divert_native_stderr(Path(scratch) / "native.log")
        print(f"{datetime.now(UTC):%Y-%m-%d}, {given.data}; {machine()}; {versions()}")
        folder = unpacked(given.data, Path(scratch))
        rows = []
        for model in models if given.pairs else []:
            pairs = []
            for seed in range(FIRST_SEED, FIRST_SEED + given.pairs):
                theirs, ours = (
                    train_alone(way, model, folder, given.epochs, seed)
                    for way in ("notebook", "catdog_way")
                )
                pairs.append((theirs, ours))
                print(f"{model}, seed {seed}: {theirs}, {ours}", file=sys.stderr, flush=True)
            rows.append(model_row(model, pairs))
        headings = "alone,notebook s/epoch,catdog s/epoch,ratio,CPU ratio,peak MiB"
        headings += ",GPU busy %" if visible_gpus() else ""
        accuracies = [f"{way} val. by seed, %" for way in ("notebook", "catdog")]
        if rows:
            print_table([*headings.split(","), *accuracies], rows)
        if given.job_epochs:
            compare_jobs(models, folder, given.job_epochs, given.job_seed)


if __name__ == "__main__":
    main()
