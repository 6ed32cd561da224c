"""The machine: its cores and how TensorFlow uses them, and what a result was made with."""

import gc
import os
import platform
import re
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import IO, Any

DISTRIBUTION = "catdog-pipeline"
"""The name under which this package is installed: `catdog` is another project's."""
GPU_FOLDER = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver on Linux lists the GPUs."""


def versions() -> dict[str, str]:
    """The versions that decide a training's numbers."""
    libraries = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"python": platform.python_version(), **libraries, "catdog": version(DISTRIBUTION)}


def packages() -> dict[str, str]:
    """The versions of Python, of catdog and of each package that it needs."""
    needed = [
        re.match(r"[\w.-]+", line) for line in requires(DISTRIBUTION) or () if ";" not in line
    ]
    names = sorted({found[0] for found in needed if found} | {DISTRIBUTION})
    return {"python": platform.python_version()} | {name: _version(name) for name in names}


def computer() -> dict[str, Any]:
    """What of this machine can change the last bits of a sum; asks no framework."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _told_by_linux("model name") or platform.processor(),
        "vector_units": " ".join(_vector_units()),
        "onednn": tensorflow_environment(1)["TF_ENABLE_ONEDNN_OPTS"],
        "gpus": len(visible_gpus()),
    }


def machine() -> dict[str, Any]:
    """The machine as far as it decides a training's numbers and time."""
    import tensorflow as tf

    return computer() | {
        "cores": os.cpu_count(),
        "threads": threads(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def threads() -> int:
    """The threads that TensorFlow uses within an operation."""
    import tensorflow as tf

    # TensorFlow itself reads the variable late and does not tell what it found there.
    from_environment = int(os.environ.get("TF_NUM_INTRAOP_THREADS") or 0)
    set_in_code = int(tf.config.threading.get_intra_op_parallelism_threads())
    return set_in_code or from_environment or os.cpu_count() or 1


_shares: list[Callable[[], int]] = []


def share_cores(share: Callable[[], int]) -> None:
    """Let the parent of this process say how many cores it may use by now."""
    _shares[:] = [share]


def shared_cores() -> int:
    """So many cores may be used by what can change its threads; 0 where nobody shares them."""
    return max((share() for share in _shares), default=0)


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus() -> tuple[str, ...]:
    """The NVIDIA GPUs that this process may use, as CUDA names them; asks no framework."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip() not in ("", "-1"))
    return tuple(str(number) for number, _ in enumerate(GPU_FOLDER.glob("*")))


def tensorflow_environment(threads: int) -> dict[str, str]:
    """What TensorFlow must find in the environment before it is imported.

    oneDNN is off by default on CPUs without AVX-512 and more than doubles the speed with AVX2;
    what the user has set stays. GPU memory is taken as needed, not all at once.
    """
    one_dnn = "1" if platform.machine() in ("x86_64", "AMD64") else "0"
    return {
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", one_dnn),
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }


def import_tensorflow() -> None:
    """Import TensorFlow and Keras, for a process that ends with its one job.

    The collector of garbage looks through their half a million objects again and again, at the
    import and at the end of the process, and none is ever garbage: 1.7 of 4.4 s without a job.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        import keras  # noqa: F401 - with TensorFlow, its backend here
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def prepare_tensorflow() -> None:
    """Load TensorFlow with our settings, and without its lines that no setting silences."""
    for name, value in tensorflow_environment(available_cores()).items():
        os.environ.setdefault(name, value)
    with Path(os.devnull).open("wb") as nothing, native_stderr_in(nothing):
        import tensorflow as tf  # noqa: F401


@contextmanager
def native_stderr_in(file: IO[bytes]) -> Iterator[None]:
    """Send what native code writes to standard error to a file meanwhile.

    TensorFlow writes some lines before any setting of its own can silence them.
    """
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def divert_native_stderr(path: Path) -> None:
    """As `native_stderr_in`, for good; Python's own `sys.stderr` still reaches the terminal."""
    terminal = os.dup(2)
    with path.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = os.fdopen(terminal, "w", buffering=1)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _vector_units() -> list[str]:
    """The sets of instructions by which a library chooses its kernels; sums differ with them."""
    flags = (_told_by_linux("flags") or _told_by_linux("Features")).split()
    return sorted(flag for flag in flags if re.match(r"avx|amx|fma|sve|asimd|bf16", flag))


def _told_by_linux(what: str) -> str:
    """What Linux says of the first core; empty elsewhere."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next((line.split(":")[1].strip() for line in file if line.startswith(what)), "")
    except OSError:
        return ""
