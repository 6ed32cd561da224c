"""What a command costs on Linux, all the processes that it starts included."""

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

from catdog.machine import visible_gpus

POLL_SECONDS = 0.5
"""A process that lives for less may be missed; those that train live for a minute."""


@dataclass(frozen=True)
class Cost:
    """One run of a command."""

    wall_seconds: float
    cpu_seconds: float
    """User and system, of all its processes."""
    peak_mib: float
    """The most memory that all its processes held at one moment; shared pages count once."""
    own_mib: float
    """The same without pages of files, which the kernel may drop when it needs the space."""
    gpu_busy: float | None
    """The share of time that a GPU computes, in percent, from the first to the last time that one
    does; None without a GPU."""
    output: str


def run(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end. Exits with a message when the command fails."""
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
        text=True,
    ) as process:
        cpu: dict[int, float] = {}
        busy: list[float] = []
        peak = own = 0
        while process.poll() is None:
            held = _look(psutil.Process(process.pid), cpu)
            peak, own = max(peak, held[0]), max(own, held[1])
            busy += _gpus_busy()
            time.sleep(POLL_SECONDS)
        wall = time.perf_counter() - began
        assert process.stdout
        output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed; run it by hand to see why.")
    return Cost(wall, sum(cpu.values()), peak / 2**20, own / 2**20, _between_idle(busy), output)


def _look(root: psutil.Process, cpu: dict[int, float]) -> tuple[int, int]:
    """Note the CPU seconds of each process of a tree so far, and give the bytes they hold now."""
    held = own = 0
    with suppress(psutil.NoSuchProcess):
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):  # it has just ended
                memory, times = process.memory_full_info(), process.cpu_times()
                held += memory.pss
                own += memory.rss - memory.shared
                cpu[process.pid] = times.user + times.system
    return held, own


def _gpus_busy() -> list[float]:
    """One value: the mean of the GPUs that may be used, as NVIDIA's driver tells it; else none."""
    if not (gpus := visible_gpus()):
        return []
    query = ["nvidia-smi", f"--id={','.join(gpus)}", "--query-gpu=utilization.gpu"]
    told = subprocess.run(
        [*query, "--format=csv,noheader,nounits"], check=True, capture_output=True, text=True
    )
    return [statistics.mean(map(float, told.stdout.split()))]


def _between_idle(busy: Sequence[float]) -> float | None:
    used = [place for place, share in enumerate(busy) if share]
    return statistics.mean(busy[used[0] : used[-1] + 1]) if used else None
