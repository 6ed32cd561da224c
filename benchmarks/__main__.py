"""catdog against the notebook's way, in turn (A B A B), on the same photos and machine.

Quote the ratios: seconds change with the machine and its neighbours. CPU seconds are user plus
system of the whole process, its start included; seconds an epoch are those of the training alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from catdog.models import MODELS
from catdog.notebook import download

WAYS = ("notebook", "catdog_way")


@dataclass(frozen=True)
class Measured:
    """One training in a process of its own."""

    epoch_seconds: float
    cpu_seconds: float
    peak_mib: float
    val_accuracy: float


def measure(way: str, model: str, folder: Path, epochs: int) -> Measured:
    """Run one way in a fresh process and read its use of the machine from the kernel."""
    command = [sys.executable, "-m", f"benchmarks.{way}", model, str(folder)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(
        [*command, f"--epochs={epochs}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdout is not None
    line = process.stdout.read().decode().strip().splitlines()[-1]
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed; run it by hand to see why.")
    result = json.loads(line)
    return Measured(
        epoch_seconds=result["seconds"] / epochs,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
        val_accuracy=result["val_accuracy"],
    )


def unpacked(data: str, folder: Path) -> Path:
    """A folder with train/ and validation/ for a source of catdog."""
    if Path(data).is_dir():
        return Path(data)
    if zipfile.is_zipfile(data):
        zipfile.ZipFile(data).extractall(folder)
        return next(path.parent for path in folder.rglob("train") if path.is_dir())
    os.environ["CATDOG_HOME"] = str(folder)
    return download(data).folder


def row(model: str, pairs: list[tuple[Measured, Measured]]) -> str:
    """One line of the table: medians, and the median of the pairs' ratios."""

    def median(name: str, way: int) -> float:
        return statistics.median(getattr(pair[way], name) for pair in pairs)

    def ratio(name: str) -> float:
        return statistics.median(getattr(a, name) / getattr(b, name) for a, b in pairs)

    cells = [
        model,
        f"{median('epoch_seconds', 0):.1f}",
        f"{median('epoch_seconds', 1):.1f}",
        f"{ratio('epoch_seconds'):.2f}",
        f"{ratio('cpu_seconds'):.2f}",
        f"{median('peak_mib', 0):.0f} / {median('peak_mib', 1):.0f}",
        f"{median('val_accuracy', 0):.3f} / {median('val_accuracy', 1):.3f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="sample", help="a folder, an archive, or 'sample'")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()

    print("| model | notebook s/epoch | catdog s/epoch | ratio | CPU ratio | peak MiB | val. |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = unpacked(given.data, Path(scratch))
        for model in given.models.split(","):
            pairs = []
            for _ in range(given.pairs):
                one, other = (measure(way, model, folder, given.epochs) for way in WAYS)
                pairs.append((one, other))
            print(row(model, pairs), flush=True)


if __name__ == "__main__":
    main()
