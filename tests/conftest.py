# ruff: noqa: E402  the environment must be set before what reads it is imported
"""What every test finds: an environment of its own, a tiny data set, and one trained model."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Read at import time by TensorFlow and Prefect, so it must stand above all.
HOME = Path(tempfile.mkdtemp(prefix="catdog-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in [name for name in os.environ if name.startswith(("CATDOG_", "PREFECT_"))]:
    del os.environ[name]
os.environ |= {
    "CATDOG_HOME": str(HOME / "home"),
    "PREFECT_HOME": str(HOME / "prefect"),
    "PREFECT_API_URL": "",  # hides a prefect.toml here, which names a server that is not ours
    "PREFECT_API_AUTH_STRING": "",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

import csv
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from buckets import Bucket, s3_bucket, s3_server
from hypothesis import settings

from catdog.promotion import sharing
from catdog.settings import Training
from catdog.store import holds, remote
from catdog.store.artifacts import (
    Arrays,
    DuplicatePair,
    Flatbuffer,
    Manifest,
    Predictions,
    TrainedModel,
    write_csv,
)
from catdog.store.store import Recipe, Store

# The same examples in each run, so that a change is to blame for a failure, and no deadline, since
# a busy machine is none. `make test-slow` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
settings.register_profile("searching", max_examples=500, deadline=None)
settings.load_profile("fixed")

TINY_SIZE = 32
TINY_COUNTS = {"train": 40, "validation": 24, "test": 12}
TINY_CLASSES = ("cats", "dogs")
TINY_BATCH = 16
"""Two whole batches and half of one make an epoch."""
TINY_TRAINING = Training(epochs=2, seed=1, batch_size=TINY_BATCH)


def tiny_arrays(store: Store, *, image_size: int = TINY_SIZE, seed: int = 0) -> Arrays:
    """Noise in which cats are a little brighter above and dogs below: learnable, not trivial."""
    rng = np.random.default_rng(seed)

    def make(folder: Path) -> dict[str, Any]:
        for split, count in TINY_COUNTS.items():
            labels = np.arange(count, dtype=np.int32) % len(TINY_CLASSES)
            images = rng.integers(0, 200, (count, image_size, image_size, 3), dtype=np.uint8)
            images[labels == 0, : image_size // 2] += 30
            images[labels == 1, image_size // 2 :] += 30
            np.save(folder / f"{split}_images.npy", images)
            np.save(folder / f"{split}_labels.npy", labels)
            with (folder / f"{split}_photos.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(("path", "label"))
                for number, label in enumerate(labels):
                    writer.writerow((f"{split}/{number:03}.jpg", TINY_CLASSES[label]))
        return {"classes": TINY_CLASSES, "image_size": image_size, "counts": TINY_COUNTS}

    return store.obtain(Recipe(Arrays, f"tiny-{image_size}-{seed}", make))


@pytest.fixture(autouse=True)
def _nothing_stays_held() -> Iterator[None]:
    """Each home that a test uses would cost an open file until the session ends."""
    yield
    while holds._files:
        os.close(holds._files.popitem()[1])


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """The port of an S3 server on this machine."""
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(s3_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, which all homes of this process share."""
    remote._away.clear()
    sharing._agreed.clear()
    with s3_bucket(s3_port, f"team-{uuid.uuid4().hex}") as bucket:
        bucket.use(monkeypatch)
        yield bucket
    remote._away.clear()


@pytest.fixture(scope="session")
def store_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for what is made once; leave what is in it as it is."""
    return Store(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def make_tiny_arrays() -> Callable[..., Arrays]:
    """A maker of tiny arrays in a store of the test's own."""
    return tiny_arrays


@pytest.fixture(scope="session")
def arrays(store_of_tests: Store) -> Arrays:
    """40 + 24 + 12 photos of two classes, 32 x 32."""
    return tiny_arrays(store_of_tests)


@pytest.fixture(scope="session")
def manifest_of(arrays: Arrays) -> Callable[..., Manifest]:
    """Make a manifest of the tiny arrays: the first photos of validation show one picture."""

    def make(store: Store, *, burst: int) -> Manifest:
        def write(folder: Path) -> dict[str, Any]:
            first, header = (
                arrays.paths("validation")[0],
                ("path", "label", "split", "sha256", "group"),
            )
            rows = (
                (
                    path,
                    "",
                    split,
                    f"{i:064}",
                    first if split == "validation" and i < burst else path,
                )
                for split in arrays.counts
                for i, path in enumerate(arrays.paths(split))
            )
            write_csv(folder / "manifest.csv", header, rows)
            write_csv(folder / "duplicates.csv", DuplicatePair.model_fields, ())
            return {"classes": arrays.classes, "counts": {}, "rejected": 0, "duplicates": 0}

        return store.obtain(Recipe(Manifest, f"burst-{burst}", write))

    return make


@pytest.fixture(scope="session")
def training() -> Training:
    """The training that made `trained`."""
    return TINY_TRAINING


@pytest.fixture(scope="session")
def trained(arrays: Arrays, training: Training, store_of_tests: Store) -> TrainedModel:
    """`baseline` after two epochs on the tiny arrays."""
    from catdog.training.train import recipe

    return store_of_tests.obtain(recipe("baseline", arrays, training, None, store=store_of_tests))


@pytest.fixture(scope="session")
def flatbuffer(trained: TrainedModel, store_of_tests: Store) -> Flatbuffer:
    """`trained` as LiteRT runs it."""
    from catdog.export.flatbuffer import recipe

    return store_of_tests.obtain(recipe(trained))


@pytest.fixture(scope="session")
def predictions(trained: TrainedModel, arrays: Arrays, store_of_tests: Store) -> Predictions:
    """What `trained` says of the tiny validation and test photos."""
    from catdog.training.evaluate import recipe

    return store_of_tests.obtain(recipe(trained, arrays))
