"""A training goes on at another home from what its machine has left in a bucket."""

from pathlib import Path

import numpy as np
import pytest
from buckets import Bucket

from catdog.settings import Training
from catdog.store import remote
from catdog.store.artifacts import Arrays, TrainedModel
from catdog.store.remote import Remote
from catdog.store.store import Store, lock_name
from catdog.training.progress import Progress
from catdog.training.train import recipe

TRAINING = Training(epochs=3, seed=1, batch_size=16)


class LostError(Exception):
    """The machine is gone."""


def train(store: Store, arrays: Arrays, *, lost_after: int = 0) -> tuple[TrainedModel, list[int]]:
    """The model, and the epochs that were trained for it here."""
    seen: list[int] = []

    def watch(progress: Progress) -> None:
        if progress.finished_epochs == progress.epoch:
            seen.append(progress.epoch)
            if progress.epoch == lost_after:
                raise LostError

    how = recipe("baseline", arrays, TRAINING, None, store=store, on_progress=watch)
    return store.obtain(how), seen


def weights(model: TrainedModel) -> list[np.ndarray]:
    from catdog.training.evaluate import load_model

    return load_model(model.file("model.keras")).get_weights()


@pytest.fixture
def name(arrays: Arrays, tmp_path: Path) -> str:
    key = recipe("baseline", arrays, TRAINING, None, store=Store(tmp_path)).key
    return f"work/unfinished/{lock_name('model', key)}"


def epochs_there(bucket: Bucket, name: str) -> int | None:
    found = Remote(bucket.url).entry(name)
    return found[0]["record"]["epochs"] if found else None


def test_another_machine_goes_on_and_ends_with_the_weights_of_an_unbroken_training(
    arrays: Arrays, bucket: Bucket, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LostError):
        train(Store(tmp_path / "lost"), arrays, lost_after=2)
    assert epochs_there(bucket, name) == 2
    assert arrays.key in str(Remote(bucket.url).entry(name)), "so that pruning leaves them there"
    model, seen = train(Store(tmp_path / "next"), arrays)
    assert seen == [3]
    assert epochs_there(bucket, name) is None, "nobody has to go on any more"
    with monkeypatch.context() as alone:
        alone.delenv("CATDOG_REMOTE")
        unbroken, _ = train(Store(tmp_path / "alone"), arrays)
    for mine, theirs in zip(weights(model), weights(unbroken), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_bucket_that_is_away_does_not_end_the_training(
    arrays: Arrays, bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert bucket.line
    bucket.line.down = True
    model, seen = train(Store(tmp_path / "a"), arrays)
    assert seen == [1, 2, 3]
    bucket.line.down = False
    remote._away.clear()
    Store(tmp_path / "a").share("model", model.key)
    assert train(Store(tmp_path / "b"), arrays)[0].content == model.content


def test_a_damaged_epoch_is_not_used(
    arrays: Arrays, bucket: Bucket, name: str, tmp_path: Path
) -> None:
    with pytest.raises(LostError):
        train(Store(tmp_path / "lost"), arrays, lost_after=1)
    there = Remote(bucket.url)
    found = there.entry(name)
    assert found
    part = f"{name}/{found[0]['part']}"
    size = next(each.bytes for each in there.objects(name) if each.path == part)
    there.remove([part])
    there.write(part, bytes(size))
    assert train(Store(tmp_path / "next"), arrays)[1] == [1, 2, 3]
