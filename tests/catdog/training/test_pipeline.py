"""Every photo once an epoch, in an order that the seed and the epoch alone decide."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from catdog.training.pipeline import (
    balanced_weights,
    epoch_order,
    ordered_batches,
    softened,
    steps_per_epoch,
    training_batches,
)

PHOTOS = st.integers(0, 3_000)
SEEDS = st.integers(0, 2**31 - 1)
EPOCHS = st.integers(0, 10_000)
IMAGES = np.arange(10, dtype=np.uint8).repeat(12).reshape(10, 2, 2, 3)
"""Each photo is filled with its own row number."""
LABELS = np.arange(10, dtype=np.int32) * 3


def rows(batches: object) -> list[list[int]]:
    """The row numbers in each batch, read from the pixels; the labels must belong to them."""
    found = []
    for images, labels in batches:  # type: ignore[attr-defined]
        assert images.dtype == "uint8"
        assert labels.dtype == "int32"
        chosen = images.numpy()[:, 0, 0, 0].astype(int)
        np.testing.assert_array_equal(labels.numpy(), LABELS[chosen])
        found.append(chosen.tolist())
    return found


def test_the_notebooks_2000_photos_make_63_steps() -> None:
    assert steps_per_epoch(2_000, 32) == 63


@given(PHOTOS, st.integers(1, 4096))
def test_the_steps_hold_every_photo_and_none_is_empty(photos: int, batch_size: int) -> None:
    steps = steps_per_epoch(photos, batch_size)
    assert (steps - 1) * batch_size < photos <= steps * batch_size or photos == steps == 0


@given(PHOTOS, SEEDS, EPOCHS)
@settings(max_examples=50)
def test_every_photo_comes_once_an_epoch(photos: int, seed: int, epoch: int) -> None:
    order = epoch_order(photos, seed=seed, epoch=epoch)
    np.testing.assert_array_equal(np.sort(order), np.arange(photos))
    np.testing.assert_array_equal(order, epoch_order(photos, seed=seed, epoch=epoch))


@given(st.integers(100, 3_000), SEEDS, EPOCHS)
@settings(max_examples=50)
def test_another_epoch_or_seed_has_another_order(photos: int, seed: int, epoch: int) -> None:
    order = epoch_order(photos, seed=seed, epoch=epoch)
    assert (order != epoch_order(photos, seed=seed, epoch=epoch + 1)).any()
    assert (order != epoch_order(photos, seed=seed + 1, epoch=epoch)).any()


def test_nothing_waits_for_a_tuner_that_sleeps() -> None:
    training = training_batches(IMAGES, LABELS, batch_size=2, seed=1, epochs=range(1))
    for batches in (training, ordered_batches(IMAGES, LABELS, batch_size=2)):
        assert batches.options().autotune.enabled is False


def test_the_order_is_the_same_on_every_machine() -> None:
    assert epoch_order(8, seed=1, epoch=0).tolist() == [5, 0, 1, 4, 2, 6, 3, 7]


def test_batches_follow_the_order_and_the_last_is_kept() -> None:
    batches = training_batches(IMAGES, LABELS, batch_size=4, seed=7, epochs=range(2))
    assert len(batches) == 6
    found = rows(batches)
    assert [len(batch) for batch in found] == [4, 4, 2, 4, 4, 2]
    assert list(chain(*found[:3])) == epoch_order(10, seed=7, epoch=0).tolist()
    assert list(chain(*found[3:])) == epoch_order(10, seed=7, epoch=1).tolist()


def test_a_later_start_sees_what_it_would_have_seen() -> None:
    whole = rows(training_batches(IMAGES, LABELS, batch_size=4, seed=7, epochs=range(3)))
    resumed = rows(training_batches(IMAGES, LABELS, batch_size=4, seed=7, epochs=range(2, 3)))
    assert resumed == whole[6:]


@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (64, [10])])
def test_held_out_photos_come_in_their_stored_order(batch_size: int, sizes: list[int]) -> None:
    batches = ordered_batches(IMAGES, LABELS, batch_size=batch_size)
    found = rows(batches)
    assert [len(batch) for batch in found] == sizes
    assert list(chain(*found)) == list(range(10))


def test_smoothed_labels_keep_their_class_and_sum_to_one() -> None:
    own = np.arange(10, dtype=np.int32) % 4
    batches = softened(ordered_batches(IMAGES, own, batch_size=4), 4, 0.2)
    labels = np.concatenate([labels for _, labels in batches])
    assert len(batches) == 3
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(labels.argmax(axis=1), own)
    np.testing.assert_allclose(np.sort(labels, axis=1)[0], [0.05, 0.05, 0.05, 0.85], rtol=1e-6)


@given(st.lists(st.integers(0, 3), min_size=1))
def test_balanced_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    found = balanced_weights(np.array(labels, np.int32), 4)
    seen = np.unique(labels)
    theirs = compute_class_weight("balanced", classes=seen, y=labels) * len(seen) / 4
    assert found == pytest.approx(dict(zip(seen.tolist(), theirs, strict=True)))
