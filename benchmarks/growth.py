"""What happens with ten times the photos: seconds of each step, and memory, as their number grows.

Draws samples of so many photos (a third of them held out), and takes each through the pipeline in a
process of its own that trains one model for one epoch with all cores.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.measure import run
from catdog.sample.draw import draw

HELD_OUT = 3
"""One photo of so many."""


def draw_photos(folder: Path, photos: int, workers: int) -> None:
    """Draw the photos in parts, each with a seed of its own, and gather the parts."""
    parts = [folder / str(part) for part in range(workers)]
    held_out = photos // HELD_OUT // workers
    options = {"train": photos // workers - held_out, "validation": held_out}
    with ProcessPoolExecutor(workers) as pool:
        for future in [pool.submit(draw, p, **options, seed=i) for i, p in enumerate(parts)]:
            future.result()
    for part in parts:
        for photo in part.rglob("*.jpg"):
            target = folder / "all" / photo.parent.relative_to(part) / f"{part.name} {photo.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            photo.rename(target)


def pipeline(model: str, folder: Path) -> dict[str, float]:
    """Seconds of each step, in this process."""
    import catdog

    seconds, began = {}, time.perf_counter()

    def lap(step: str) -> None:
        nonlocal began
        seconds[step], began = time.perf_counter() - began, time.perf_counter()

    photos = catdog.download(str(folder))
    lap("list")
    manifest = catdog.split(photos)
    lap("check and split")
    arrays = catdog.prefetch(photos, manifest)
    lap("prefetch")
    trained = catdog.train(
        model, arrays, epochs=1, weights="embedded", on_progress=lambda progress: None
    )
    began = time.perf_counter()
    seconds["epoch"] = trained.seconds
    catdog.evaluate(trained, arrays)
    lap("evaluate")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", default="3000,10000,30000")
    parser.add_argument("--model", default="baseline")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()

    if given.folder:
        print(json.dumps(pipeline(given.model, given.folder)))
        return
    for photos in map(int, given.photos.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            draw_photos(folder, photos, os.cpu_count() or 1)
            command = [sys.executable, "-m", "benchmarks.growth", f"--model={given.model}"]
            home = {"CATDOG_HOME": str(folder / "home"), "TF_CPP_MIN_LOG_LEVEL": "3"}
            cost = run([*command, f"--folder={folder / 'all'}"], home)
        seconds = json.loads(cost.output.splitlines()[-1])
        steps = ", ".join(f"{step} {took:.1f} s" for step, took in seconds.items())
        print(
            f"{photos:,} photos, {given.model}: {steps}; {cost.cpu_seconds:.0f} CPU s in all, "
            f"peak {cost.peak_mib:.0f} MiB, {cost.own_mib:.0f} without pages of files",
            flush=True,
        )


if __name__ == "__main__":
    main()
