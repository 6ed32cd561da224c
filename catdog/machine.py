"""What a result was made with: versions, processor, threads, memory."""

import os
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def versions() -> dict[str, str]:
    """The versions that decide a training's numbers."""
    names = ("tensorflow", "keras", "numpy", "catdog")
    return {"python": platform.python_version()} | {name: version(name) for name in names}


def machine() -> dict[str, Any]:
    """The machine as far as it decides a training's numbers and time."""
    import tensorflow as tf

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def threads() -> int:
    """The threads that TensorFlow uses within an operation."""
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1


def peak_memory_bytes() -> int:
    """The most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            names = (line.split(":")[1].strip() for line in file if line.startswith("model name"))
            return next(names, platform.processor())
    except OSError:
        return platform.processor()
