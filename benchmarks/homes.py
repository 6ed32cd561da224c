"""Several homes that share nothing but a bucket: what they end with, and what passes between them.

A checks and decodes the photos; B trains and is killed; C goes on; A writes the report and decides;
D, empty, predicts. Then one home does all of it, and its predictions must be the same bytes.
Last, what the bucket costs a run: a home that brings there what it makes, and one that fetches it.

    python -m benchmarks.homes cats_and_dogs_filtered.zip

The bucket is a server of moto on loopback.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from catdog.machine import tensorflow_environment
from catdog.store.files import read_entry
from catdog.store.remote import Remote

NAMES = ("baseline", "transfer")
EPOCHS = 2
DECODE = """
import sys, catdog
photos = catdog.download(sys.argv[1])
arrays = catdog.prefetch(photos, catdog.split(photos))
"""
TRAIN = f"""{DECODE}
for name in {NAMES}:
    model = catdog.train(name, arrays, epochs={EPOCHS}, weights="embedded")
    catdog.evaluate(model, arrays)
"""
ASKED = ("--models", ",".join(NAMES), "--epochs", str(EPOCHS), "--weights", "embedded")
RUN = ("-m", "catdog", "run", *ASKED, "--source")
URL = "s3://team/catdog"
OPEN = "work/unfinished"
"""Where the bucket has the epochs of trainings that go on."""


@contextmanager
def bucket() -> Iterator[Remote]:
    """An empty bucket, which this process and those that it starts find in their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", port], **quiet)  # type: ignore[call-overload]
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "a",
        "AWS_REGION": "us-east-1",
    }
    try:
        _create(int(port))
        yield Remote(URL)
    finally:
        server.kill()
        server.wait()


def _create(port: int) -> None:
    import httpx

    for _ in range(600):
        with suppress(httpx.HTTPError):
            httpx.put(f"http://127.0.0.1:{port}/team").raise_for_status()
            return
        time.sleep(0.1)
    raise TimeoutError("moto did not start")


class Home:
    """One machine, as far as files go."""

    def __init__(self, folder: Path, remote: str = URL) -> None:
        self.folder = folder
        # Threads as in a run whose models share two cores.
        self._environment = os.environ | tensorflow_environment(1)
        self._environment |= {"CATDOG_HOME": str(folder), "CATDOG_REMOTE": remote}

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start Python in a group of its own."""
        return subprocess.Popen(
            [sys.executable, *words], env=self._environment, start_new_session=True
        )

    def measured(self, what: str, *words: str) -> None:
        """Wait for Python, and print what that took and what was fetched for it."""
        before, began = self._fetched(), time.monotonic()
        process = self.start(*words)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds, cpu = time.monotonic() - began, used.ru_utime + used.ru_stime
        fetched = (self._fetched() - before) / 1e6
        print(f"| {what} | {fetched:.0f} MB | {seconds:.1f} | {cpu:.1f} |", flush=True)
        if process.returncode:
            sys.exit(f"{what}: exit code {process.returncode}")

    def predictions(self) -> list[bytes]:
        """What the models predict; their keys differ, as a model's facts tell how long it took."""
        files = self.folder.glob("store/predictions/*/predictions.csv")
        return sorted(file.read_bytes() for file in files)

    def _fetched(self) -> int:
        """Bytes of the artifacts that other homes have made."""
        entries = map(read_entry, self.folder.glob("*store/*/[!.]*/"))
        champions = map(read_entry, self.folder.glob("champion/store/*/[!.]*/"))
        found = (entry for entry in (*entries, *champions) if "number" not in entry)
        return sum(facts["bytes"] for entry in found for facts in entry["files"].values())


def kill_in_training(home: Home, remote: Remote, source: str) -> None:
    """Let a home train, and kill it when it has left an epoch in the bucket."""
    began = time.monotonic()
    process = home.start("-c", TRAIN, source)
    while not any(remote.entry(f"{OPEN}/{name}") for name in remote.names(OPEN)):
        if process.poll() is not None:
            sys.exit("B has ended before it could be killed")
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    print(f"| B: trains, and is killed | | {time.monotonic() - began:.1f} | |", flush=True)


def main(source: str) -> None:
    """Print a table of it all."""
    with tempfile.TemporaryDirectory() as folder, bucket() as remote:
        homes = {name: Home(Path(folder, name)) for name in "ABCD"}
        alone = Home(Path(folder, "alone"), remote="")
        print("| | fetched | wall s | CPU s |\n|---|--:|--:|--:|")
        homes["A"].measured("A: checks and decodes", "-c", DECODE, source)
        kill_in_training(homes["B"], remote, source)
        homes["C"].measured("C: trains the rest", "-c", TRAIN, source)
        homes["A"].measured("A: writes the report and decides", *RUN, source)
        photo = next(homes["A"].folder.glob("store/photos/*/**/validation/**/*.jpg"))
        for _ in range(3):
            empty = Home(Path(tempfile.mkdtemp(dir=folder)))
            empty.measured("D: predicts", "-m", "catdog", "predict", str(photo))
        held = sum(each.bytes for each in remote.objects(""))
        print(f"\nThe bucket holds {held / 1e6:.0f} MB.", flush=True)
        alone.measured("one home alone: all of it", *RUN, source)
        same = alone.predictions() == homes["A"].predictions()
        for what in ("the same, brought to a bucket", "an empty home: the same run"):
            Home(Path(tempfile.mkdtemp(dir=folder)), URL + "-too").measured(what, *RUN, source)
    print(f"The predictions are {'' if same else 'NOT '}those of one home, byte for byte.")
    sys.exit(not same)


if __name__ == "__main__":
    main(*sys.argv[1:])
