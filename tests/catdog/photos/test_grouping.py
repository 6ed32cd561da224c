"""Photos that belong together: in one split, in one fold, and told where nobody says so."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catdog.errors import PhotosError, SettingsError
from catdog.photos.folds import assign_folds
from catdog.photos.groups import group_names, joined, suspicion
from catdog.photos.split import recipe
from catdog.settings import Cut, Folding
from catdog.sources.download import recipe as download
from catdog.store.artifacts import Manifest, Photos
from catdog.store.store import Store

PATIENTS, SHOTS = 24, 4


def picture(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((32, 32))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def fill(root: Path, shots: Sequence[int] = range(SHOTS), patients: int = PATIENTS) -> Path:
    for label in ("ill", "well"):
        for patient in range(patients):
            for shot in shots:
                path = root / f"{label}/{label}-{patient:02d}-{shot}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(hash((label == "ill", patient, shot)) % 2**32).save(path)
    return root


def made(photos: Photos, store: Store, **cut: object) -> Manifest:
    return store.obtain(recipe(photos, Cut.of({"seed": 1, **cut})))


def listed(root: Path, store: Store) -> Photos:
    return store.obtain(download(str(root), store=store))


def parts(manifest: Manifest) -> dict[str, set[str]]:
    """The splits that the photos of each patient are in."""
    found: dict[str, set[str]] = {}
    for row in manifest.rows():
        found.setdefault(Path(row["path"]).stem.rpartition("-")[0], set()).add(row["split"])
    return found


def test_all_photos_of_a_group_are_in_one_split_and_in_one_fold(
    tmp_path: Path, store: Store
) -> None:
    photos = listed(fill(tmp_path / "ward"), store)
    assert any(len(splits) > 1 for splits in parts(made(photos, store)).values())
    manifest = made(photos, store, group_by=r"\w+-\d+(?=-)")
    assert all(len(splits) == 1 for splits in parts(manifest).values())
    assert set.union(*parts(manifest).values()) == {"train", "validation", "test"}
    assert manifest.named_groups == 2 * PATIENTS
    groups = manifest.groups()
    assert len(set(groups.values())) == 2 * PATIENTS
    folds = assign_folds(manifest, Folding(folds=3, seed=1), "ward")
    assert all(folds[path] == folds[group] for path, group in groups.items())


def test_a_photo_that_joins_a_group_later_follows_it(tmp_path: Path, store: Store) -> None:
    how = r"/(\w+-\d+)-"
    before = parts(made(listed(fill(tmp_path / "ward"), store), store, group_by=how))
    grown = fill(tmp_path / "ward", range(SHOTS, 3 * SHOTS))
    after = parts(made(listed(grown, store), store, group_by=how))
    assert after == before


def test_groups_of_a_metadata_file_and_of_folders(tmp_path: Path, store: Store) -> None:
    root = fill(tmp_path / "ward")
    names = sorted(path.name for path in root.rglob("*.png"))
    for label in ("ill", "well"):
        rows = [f"{name},{name.rpartition('-')[0]}" for name in names if name.startswith(label)]
        (root / label / "metadata.csv").write_text("\n".join(["file_name,group", *rows]))
    manifest = made(listed(root, store), store)
    assert manifest.named_groups == 2 * PATIENTS
    assert all(len(splits) == 1 for splits in parts(manifest).values())
    assert group_names({"a/b/1.jpg": "", "a/c/2.jpg": "x"}, "folder") == {
        "a/b/1.jpg": "a/b",
        "a/c/2.jpg": "x",
    }


def test_copies_and_groups_join(tmp_path: Path, store: Store) -> None:
    root = fill(tmp_path / "ward")
    one, other = root / "ill/ill-00-0.png", root / "ill/ill-01-0.png"
    other.write_bytes(one.read_bytes())
    groups = made(listed(root, store), store, group_by=r"\w+-\d+(?=-)").groups()
    assert len(set(groups.values())) == 2 * PATIENTS - 1
    assert groups["ill/ill-00-3.png"] == groups["ill/ill-01-2.png"]


def test_a_group_in_two_given_splits_is_named(tmp_path: Path, store: Store) -> None:
    fill(tmp_path / "ward/train", range(2))
    fill(tmp_path / "ward/validation", range(2, 4))
    with pytest.raises(PhotosError, match=r"group 'ill-00' is in two splits, with .*ill-00-") as e:
        made(listed(tmp_path / "ward", store), store, group_by=r"\w+-\d+(?=-)")
    assert "Move all its photos" in (e.value.remedy or "")


@pytest.mark.parametrize(("how", "problem"), [("(", "nor a regular expression"), ("zzz", "match")])
def test_a_wrong_or_idle_expression_is_told(
    tmp_path: Path, store: Store, how: str, problem: str
) -> None:
    with pytest.raises((SettingsError, PhotosError), match=problem):
        made(listed(fill(tmp_path / "ward"), store), store, group_by=how)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_what_is_linked_by_others_is_joined(links: list[tuple[int, int]]) -> None:
    groups = joined(range(21), links)
    of = {item: group for group in groups for item in group}
    assert sum(map(len, groups)) == len(of)
    assert all(len(group) > 1 and list(group) == sorted(group) for group in groups)
    for a, b in links:
        assert a == b or of[a] == of[b]


SCATTERED: Mapping[str, str] = {
    f"ward/p{patient}_{shot}.jpg": ("train", "test")[shot % 2]
    for patient in range(20)
    for shot in range(4)
}


def test_a_suspicion_is_told_where_names_or_times_are_alike_across_splits() -> None:
    assert "80 photos in different parts" in suspicion(SCATTERED, {})
    assert "--group-by" in suspicion(SCATTERED, {})
    numbered = {f"cats/cat.{n}.jpg": ("train", "test")[n % 2] for n in range(200)}
    assert suspicion(numbered, {}) == ""
    times = {path: f"2026:11:28 10:{n // 20:02d}:{n % 2:02d}" for n, path in enumerate(numbered)}
    assert "taken within seconds" in suspicion(numbered, times)
    calm = {path: f"2026:11:28 {n // 60:02d}:{n % 60:02d}:00" for n, path in enumerate(numbered)}
    assert suspicion(numbered, calm | {"cats/cat.1.jpg": "0000:99:99 10:00:00"}) == ""
    whole = {path: "train" if "p1" in path else "test" for path in SCATTERED}
    assert suspicion(whole, {}) == ""
