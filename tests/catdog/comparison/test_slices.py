"""Where an accuracy hides errors, and where a bad part of many is only bad luck."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from catdog.comparison.slices import FEWEST, Slices, slices
from catdog.store.artifacts import DuplicatePair, Manifest, Photos, write_csv
from catdog.store.store import Recipe, Store

PHOTOS = 200
PATHS = [f"test/cats/{i:03}.jpg" for i in range(PHOTOS)]


def sliced(
    folder: Path, right: np.ndarray, facts: list[dict[str, str]] | None = None, burst: int = 1
) -> Slices | None:
    """The slices of a model with these right answers; of bursts of photos of one picture."""
    store = Store(folder)

    def photos(folder: Path) -> dict[str, Any]:
        said = [json.dumps(each) for each in facts or [{}] * PHOTOS]
        write_csv(folder / "photos.csv", ("path", "facts"), zip(PATHS, said, strict=True))
        return {"origin": "sample", "root": Path(), "inventory": "1", "count": PHOTOS}

    def manifest(folder: Path) -> dict[str, Any]:
        rows = {
            "path": PATHS,
            "label": "cats",
            "split": "test",
            "sha256": [f"{i:064}" for i in range(PHOTOS)],
            "width": [400 if i % 2 else 300 for i in range(PHOTOS)],
            "height": 300,
            "bytes": 1,
            "mode": ["L" if i % 10 == 0 else "RGB" for i in range(PHOTOS)],
            "brightness": np.arange(PHOTOS),
            "group": [PATHS[i - i % burst] for i in range(PHOTOS)],
        }
        pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
        write_csv(folder / "duplicates.csv", DuplicatePair.model_fields, ())
        return {"classes": ("cats", "dogs"), "counts": {}, "rejected": 0, "duplicates": 0}

    tested = pd.DataFrame(
        {"path": PATHS, "label": "cats", "predicted": np.where(right, "cats", "dogs")}
    )
    made = store.obtain(Recipe(Photos, "p", photos)), store.obtain(Recipe(Manifest, "m", manifest))
    return slices("transfer", tested, *made)


def test_a_dark_corner_is_found_and_comes_first(tmp_path: Path) -> None:
    right = np.arange(PHOTOS) >= 25  # the darkest eighth
    found = sliced(tmp_path, right)
    assert found
    first = found.slices[0]
    assert (first.of, first.n, first.accuracy, first.rest) == ("brightness", 50, 0.5, 1.0)
    assert first.p_adjusted < 0.001
    assert found.worse[0] == first
    assert "less accurate for transfer than the rest: brightness below" in found.sentence
    accuracies = [each.accuracy for each in found.slices]
    assert accuracies == sorted(accuracies)


def test_what_the_metadata_says_is_a_slice_and_rare_values_are_none(tmp_path: Path) -> None:
    facts = [
        {"camera": "old" if i % 4 == 0 else "new", "id": str(i), "by": "me" if i < 5 else "you"}
        for i in range(PHOTOS)
    ]
    right = np.arange(PHOTOS) % 8 != 0  # half of those of the old camera
    found = sliced(tmp_path, right, facts)
    assert found
    assert found.slices[0].of == "camera"
    assert found.slices[0].value == "old"
    assert found.slices[0] in found.worse
    told = {(each.of, each.value) for each in found.slices}
    assert ("camera", "new") in told
    assert not {("by", "me"), ("by", "you")} & told, f"fewer than {FEWEST} photos"
    numbers = [value for of, value in told if of == "id"]
    assert len(numbers) == 4, "numbers are in quarters"


def test_luck_is_not_told_as_a_finding(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    facts = [{f"coin {k}": str(rng.integers(2)) for k in range(30)} for _ in range(PHOTOS)]
    found = sliced(tmp_path, rng.random(PHOTOS) < 0.9, facts)
    assert found
    assert len(found.slices) > 60
    assert found.worse == ()
    assert "none is shown to be less accurate" in found.sentence
    assert all(s.interval.low <= s.accuracy <= s.interval.high for s in found.slices)


def test_photos_of_one_picture_count_once(tmp_path: Path) -> None:
    found = sliced(tmp_path, np.arange(PHOTOS) >= 25, burst=4)
    assert found
    assert {each.n for each in found.slices if each.of == "brightness"} == {12, 13}
    assert all(each.n <= PHOTOS / 4 for each in found.slices)


def test_few_photos_have_no_slices(tmp_path: Path) -> None:
    assert sliced(tmp_path, np.ones(PHOTOS, bool), burst=20) is None
