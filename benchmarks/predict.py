"""What `catdog predict` costs as a user meets it: a whole process, cold, a photo and many.

    python -m benchmarks.predict PHOTOS CATDOG...

PHOTOS is a folder of photos; each CATDOG a `catdog` command, of this version or another. They run
in turn; the best of several tries is shown, since other work on the machine only ever adds.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from catdog.sources.named_photos import find_photos

TRIES = 5
COUNTS = (1, 1_000)


class Spent(NamedTuple):
    wall: float
    cpu: float
    peak_mib: float


def spent(command: str, photos: list[Path]) -> Spent:
    """Seconds and memory of one run."""
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        process = subprocess.Popen(
            [command, "predict", "--csv", f"{scratch}/out.csv", *map(str, photos)]
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    assert status == 0
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main(folder: str, *commands: str) -> None:
    photos = find_photos([Path(folder)])
    for count in COUNTS:
        tries: dict[str, list[Spent]] = {command: [] for command in commands}
        for _ in range(TRIES):
            for command in commands:
                tries[command].append(spent(command, photos[:count]))
        for command, found in tries.items():
            wall, cpu, peak = (min(values) for values in zip(*found, strict=True))
            print(f"{count:>5} photos  {wall:6.2f} s  {cpu:6.2f} s CPU  {peak:6.0f} MiB  {command}")


if __name__ == "__main__":
    main(*sys.argv[1:])
