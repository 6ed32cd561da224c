"""Each photo is held out once, with its copies, and each fold is like the others."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catdog.errors import PhotosError
from catdog.photos.folds import assign_folds
from catdog.settings import Folding
from catdog.store.artifacts import SPLITS, Manifest

FakeRun = Callable[..., Any]


class Listed(Manifest):
    """A manifest without files: photos by class, and pairs of copies."""

    @classmethod
    def of(cls, counts: Mapping[str, int], copies: tuple[tuple[str, str], ...] = ()) -> "Listed":
        rows = [
            {"path": f"{label}/{i}", "label": label, "sha256": f"{label}{i}"}
            for label, count in counts.items()
            for i in range(count)
        ]
        made = cls.model_construct(classes=tuple(counts))
        object.__setattr__(made, "rows", lambda: rows)
        pairs = [type("Pair", (), {"path": a, "other": b})() for a, b in copies]
        object.__setattr__(made, "duplicate_pairs", lambda: pairs)
        return made


@given(
    st.lists(st.integers(20, 60), min_size=2, max_size=4),
    st.integers(3, 20),
    st.integers(0, 2**31 - 1),
)
def test_folds_differ_by_one_photo_at_most_of_each_class_and_in_all(
    counts: list[int], folds: int, seed: int
) -> None:
    manifest = Listed.of({f"class {i}": n for i, n in enumerate(counts)})
    found = assign_folds(manifest, Folding(folds=folds, seed=seed), "photos")
    assert len(found) == sum(counts)
    for chosen in (*({p for p in found if p.startswith(c)} for c in manifest.classes), set(found)):
        sizes = Counter(found[path] for path in chosen)
        assert set(sizes) == set(range(1, folds + 1))
        assert max(sizes.values()) - min(sizes.values()) <= 1


def test_copies_are_held_out_together_and_a_seed_gives_other_folds() -> None:
    copies = (("cats/1", "cats/0"), ("dogs/2", "cats/0"), ("dogs/9", "gone"))
    manifest = Listed.of({"cats": 30, "dogs": 30}, copies)
    found = assign_folds(manifest, Folding(folds=5, seed=1), "photos")
    assert found["cats/0"] == found["cats/1"] == found["dogs/2"]
    assert "gone" not in found
    assert found == assign_folds(manifest, Folding(folds=5, seed=1), "photos")
    assert found != assign_folds(manifest, Folding(folds=5, seed=2), "photos")


def test_too_few_pictures_of_a_class_are_told_with_the_remedy() -> None:
    manifest = Listed.of({"cats": 30, "dogs": 4}, (("dogs/1", "dogs/0"),))
    with pytest.raises(PhotosError, match=r"mine: .*4 folds .*'dogs' \(3\).*fewer folds"):
        assign_folds(manifest, Folding(folds=4), "mine")


def test_holding_out_each_fold_in_turn_tests_and_validates_each_photo_once(
    fake_run: FakeRun,
) -> None:
    arrays = fake_run(folds=4).arrays
    every = [arrays.hold_out(fold) for fold in range(1, 5)]
    whole = sorted(arrays.paths("all"))
    for split in ("test", "validation"):
        assert sorted(path for each in every for path in each.paths(split)) == whole
    for each in every:
        parts = [set(each.paths(split)) for split in SPLITS]
        assert sum(map(len, parts)) == len(set().union(*parts)) == len(whole)
        assert each.counts == {s: len(p) for s, p in zip(SPLITS, parts, strict=True)}
    assert len({each.digest for each in every} | {arrays.digest}) == 5


def test_a_fold_that_is_not_there_or_was_not_chosen_is_one_line(fake_run: FakeRun) -> None:
    folded, whole = fake_run(folds=4).arrays, fake_run().arrays
    for fold in (0, 5):
        with pytest.raises(PhotosError, match=f"no fold {fold}: these photos have 4 folds"):
            folded.hold_out(fold)
    with pytest.raises(PhotosError, match="have no folds"):
        whole.hold_out(1)
    for read in (folded.images, folded.labels, folded.paths):
        with pytest.raises(PhotosError, match="4 folds and no split 'train'"):
            read("train")


def test_a_fold_gives_the_photos_and_labels_of_its_paths(fake_run: FakeRun) -> None:
    arrays = fake_run(folds=4).arrays
    images, labels = arrays.images("all"), arrays.labels("all")
    row = {path: i for i, path in enumerate(arrays.paths("all"))}
    fold = arrays.hold_out(2)
    for split in SPLITS:
        rows = [row[path] for path in fold.paths(split)]
        found = fold.images(split)
        assert found.shape == (len(rows), *images.shape[1:])
        np.testing.assert_array_equal(np.asarray(found), images[rows])
        np.testing.assert_array_equal(found[np.array([3, 0])], images[[rows[3], rows[0]]])
        np.testing.assert_array_equal(np.asarray(found[:2]), images[rows[:2]])
        np.testing.assert_array_equal(fold.labels(split), labels[rows])
