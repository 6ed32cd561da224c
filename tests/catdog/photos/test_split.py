import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catdog.errors import PhotosError
from catdog.photos.duplicates import fingerprint, same_pictures
from catdog.photos.split import recipe
from catdog.settings import Cut
from catdog.sources.inventory import take_inventory
from catdog.store.artifacts import SPLITS, Manifest, Photos
from catdog.store.store import Recipe, Store

CUT = Cut(seed=1)
HUGE = b"RIFF&\0\0\0WEBPVP8L\x1a\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(21)
"""The header of a WebP of 16,383 x 16,383 pixels."""


def picture(seed: int, side: int = 48) -> Image.Image:
    """Coloured noise in large cells, different for each seed."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def fill(root: Path, counts: Mapping[str, int], start: int = 0) -> None:
    """So many different JPEG files in each of these folders."""
    seed = start
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            seed += 1
            picture(seed).save(root / folder / f"{number:03}.jpg")


def listed(root: Path, store: Store) -> Photos:
    """An inventory of all files below a folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "bytes", "sha256"))
    files = sorted(path for path in root.rglob("*") if path.is_file())
    for path in files:
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        writer.writerow((path.relative_to(root).as_posix(), path.stat().st_size, sha256))
    inventory = hashlib.sha256(text.getvalue().encode()).hexdigest()

    def make(folder: Path) -> dict[str, Any]:
        (folder / "photos.csv").write_text(text.getvalue(), encoding="utf-8")
        return {"origin": "photos", "root": root, "inventory": inventory, "count": len(files)}

    return store.obtain(Recipe(Photos, inventory[:24], make))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "photos"


def made(root: Path, store: Store, **options: Any) -> Manifest:
    return store.obtain(recipe(listed(root, store), CUT.model_copy(update=options)))


def table(manifest: Manifest, name: str) -> list[dict[str, str]]:
    with manifest.file(f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def totals(manifest: Manifest) -> list[int]:
    return [sum(manifest.counts[part].values()) for part in SPLITS]


def test_validation_folder_is_cut_into_validation_and_test(root: Path, store: Store) -> None:
    fill(root, {"train/cats": 4, "train/dogs": 5, "validation/cats": 10, "validation/dogs": 11})
    manifest = made(root, store)
    assert manifest.classes == ("cats", "dogs")
    assert manifest.counts["train"] == {"cats": 4, "dogs": 5}
    held_out = [manifest.counts[part] for part in ("validation", "test")]
    assert all(part["cats"] and part["dogs"] for part in held_out)
    assert sum(map(Counter, held_out), Counter()) == {"cats": 10, "dogs": 11}
    rows = table(manifest, "manifest")
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
    first = rows[0]
    data = (root / first["path"]).read_bytes()
    assert first["sha256"] == hashlib.sha256(data).hexdigest()
    assert (first["width"], first["height"], first["mode"]) == ("48", "48", "RGB")
    assert int(first["bytes"]) == len(data)
    assert 0 < float(first["brightness"]) < 255


def test_the_manifest_says_what_a_photo_is_like_when_upright(root: Path, store: Store) -> None:
    fill(root, {"a": 4, "b": 4})
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("L", (30, 20), 77).save(root / "a" / "grey.png", exif=exif)
    (row,) = [r for r in table(made(root, store), "manifest") if r["path"] == "a/grey.png"]
    facts = tuple(row[name] for name in ("width", "height", "mode", "brightness"))
    assert facts == ("20", "30", "L", "77.0")


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_other_names_of_the_validation_folder(root: Path, store: Store, name: str) -> None:
    fill(root, {"Train/a": 2, "Train/b": 2, f"{name}/a": 3, f"{name}/b": 3})
    assert totals(made(root, store)) == [4, 4, 2]


def test_a_test_folder_is_used_as_it_is(root: Path, store: Store) -> None:
    fill(root, {f"{part}/{label}": 3 for part in SPLITS for label in "ab"})
    manifest = made(root, store)
    assert totals(manifest) == [6, 6, 6]
    assert all(row["path"].startswith(row["split"]) for row in table(manifest, "manifest"))


def test_class_folders_only_with_three_classes_and_odd_names(root: Path, store: Store) -> None:
    fill(root, {"Кошки": 9, "犬 und mehr": 12, "001/inner folder": 3})
    manifest = made(root, store)
    assert manifest.classes == ("001", "Кошки", "犬 und mehr")
    assert all(manifest.counts[part]["001"] == 1 for part in SPLITS)
    total = sum(map(Counter, manifest.counts.values()), Counter())
    assert total == {"001": 3, "Кошки": 9, "犬 und mehr": 12}


def test_bad_files_are_set_aside_with_their_reason(root: Path, store: Store) -> None:
    fill(root, {"cats": 4, "dogs": 4})
    (root / "cats/empty.jpg").write_bytes(b"")
    (root / "cats/text.jpg").write_text("not a photo")
    whole = (root / "dogs/000.jpg").read_bytes()
    (root / "dogs/short.jpg").write_bytes(whole[:-100])
    Image.new("L", (70_000, 1)).save(root / "dogs/line.png")
    (root / "dogs/huge.webp").write_bytes(HUGE)
    (root / "cover.jpg").write_bytes(whole)
    manifest = made(root, store)
    assert {row["path"]: row["reason"] for row in table(manifest, "rejected")} == {
        "cats/empty.jpg": "empty file",
        "cats/text.jpg": "not an image (text?)",
        "dogs/short.jpg": "truncated JPEG",
        "dogs/line.png": "a side of more than 65,535 pixels: make it smaller",
        "dogs/huge.webp": "more than 89,478,485 pixels: make it smaller",
        "cover.jpg": "not in a class folder",
    }
    assert manifest.rejected == 6
    assert sum(totals(manifest)) == 8
    assert (root / "cats/empty.jpg").exists()


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ({".": 3}, "no class folders"),
        ({"cats": 9}, "only one class, 'cats'"),
        ({"train/cats": 9}, "only one class"),
        ({"cats": 9, "dogs": 2}, r"too few .* of 1 class: 'dogs' \(2 of 3\)"),
        ({"a": 9, "b": 1, "c": 9, "d": 2}, r"of 2 classes: 'b' \(1 of 3\); 'd' \(2 of 3\)"),
        (
            {"train/a": 2, "train/b": 2, "val/a": 2, "val/b": 1},
            r"'b' in its validation folder \(1 of 2\)",
        ),
        ({"train/a": 2, "train/b": 2, "val/a": 2}, r"'b' in its validation folder \(0 of 2\)"),
        ({"train/a": 2, "val/a": 2, "val/b": 2}, r"'b' in its train folder \(0 of 1\)"),
        (
            {"train/a": 2, "train/b": 1, "test/a": 2, "test/b": 2},
            r"'b' in its train folder \(1 of 2\)",
        ),
    ],
)
def test_what_is_no_data_set(
    root: Path, store: Store, counts: Mapping[str, int], problem: str
) -> None:
    fill(root, counts)
    with pytest.raises(PhotosError, match=problem) as caught:
        made(root, store)
    assert caught.value.remedy
    assert not (store.home / "store" / "manifest").exists() or not any(
        (store.home / "store" / "manifest").iterdir()
    )


def test_a_class_of_unreadable_photos_only(root: Path, store: Store) -> None:
    fill(root, {"cats": 4, "dogs": 4})
    for path in (root / "dogs").iterdir():
        path.write_bytes(b"")
    with pytest.raises(PhotosError, match=r"'dogs' \(0 of 3; dogs/000.jpg: empty file\)"):
        made(root, store)


def test_a_photo_that_changes_meanwhile_stops_the_work(root: Path, store: Store) -> None:
    fill(root, {"cats": 4, "dogs": 4})
    photos = listed(root, store)
    picture(999).save(root / "cats/000.jpg")
    with pytest.raises(PhotosError, match=r"cats/000.jpg has changed"):
        store.obtain(recipe(photos, CUT))


def test_training_copies_of_held_out_photos_are_dropped(root: Path, store: Store) -> None:
    fill(root, {f"{part}/{label}": 5 for part in SPLITS for label in "ab"})
    picture(700).save(root / "test/a/one.png")
    picture(700, side=96).save(root / "validation/a/larger.png")
    picture(700).save(root / "train/a/again.jpg", quality=60)
    (root / "train/b/copy.jpg").write_bytes((root / "validation/b/000.jpg").read_bytes())
    picture(800).save(root / "train/b/x.png")
    picture(800).save(root / "train/a/x.png")
    manifest = made(root, store)
    shown = [tuple(row.values()) for row in table(manifest, "duplicates")]
    assert [(*row[:5], row[6]) for row in shown] == [
        ("train/a/again.jpg", "train", "test/a/one.png", "test", "near", "dropped"),
        ("train/b/copy.jpg", "train", "validation/b/000.jpg", "validation", "exact", "dropped"),
        ("train/b/x.png", "train", "train/a/x.png", "train", "exact", "kept"),
        ("validation/a/larger.png", "validation", "test/a/one.png", "test", "near", "dropped"),
    ]
    assert manifest.duplicates == 4
    paths = {row["path"] for row in table(manifest, "manifest")}
    assert not paths & {"train/a/again.jpg", "train/b/copy.jpg", "validation/a/larger.png"}
    kept = made(root, store, duplicates="keep")
    assert sum(totals(kept)) == sum(totals(manifest)) + 3
    assert {row["action"] for row in table(kept, "duplicates")} == {"kept"}


def test_beside_a_test_folder_part_of_the_training_folder_is_for_validation(
    root: Path, store: Store
) -> None:
    fill(root, {f"{part}/{label}": n for part, n in (("train", 30), ("test", 8)) for label in "ab"})
    picture(700).save(root / "test/a/one.png")
    picture(700).save(root / "train/a/again.png")
    manifest = made(root, store, validation_share=0.3)
    rows = table(manifest, "manifest")
    assert {row["path"] for row in rows if row["split"] == "test"} == {
        path.relative_to(root).as_posix() for path in (root / "test").rglob("*.*")
    }
    assert "train/a/again.png" not in {row["path"] for row in rows}
    train, validation, test = totals(manifest)
    assert (train + validation, test) == (60, 17)
    assert 8 <= validation <= 28


def test_two_training_photos_a_class_are_enough_beside_a_test_folder(
    root: Path, store: Store
) -> None:
    fill(root, {"train/a": 2, "train/b": 2, "test/a": 1, "test/b": 1})
    assert totals(made(root, store)) == [2, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_on_one_side_of_a_cut(root: Path, store: Store, seed: int) -> None:
    fill(root, {"a": 6, "b": 6})
    for number in range(6):
        picture(500 + number).save(root / f"a/twin {number}.png")
        picture(500 + number, side=64).save(root / f"a/twin {number} larger.png")
    manifest = made(root, store, seed=seed, validation_share=0.5, test_share=0.5)
    copies = table(manifest, "duplicates")
    assert len(copies) == 6
    assert all(row["split"] == row["other_split"] for row in copies)


def test_a_class_of_one_picture_cannot_be_cut(root: Path, store: Store) -> None:
    fill(root, {"a": 6})
    (root / "b").mkdir()
    for number in range(6):
        picture(1).save(root / f"b/{number}.jpg")
    with pytest.raises(PhotosError, match=r"'b' .for its \w+ split, only copies"):
        made(root, store)


def test_rare_classes_are_left_out_where_that_is_asked_for(root: Path, store: Store) -> None:
    fill(root, {"a": 9, "b": 9, "c": 2})
    fill(root, {"d": 1})
    for copy in range(5):
        (root / f"d/{copy}.jpg").write_bytes((root / "d/000.jpg").read_bytes())
    manifest = made(root, store, rare_classes="drop")
    assert (manifest.classes, manifest.rare) == (("a", "b"), ("c", "d"))
    assert sum(totals(manifest)) == len(manifest.rows()) == 18
    left_out = {file.path: file.reason for file in manifest.excluded_files()}
    assert sorted(path[0] for path in left_out) == ["c"] * 2 + ["d"] * 6
    assert set(left_out.values()) == {"its class has too few photos"}
    recipe_of_folds = recipe(
        listed(root, store), CUT.model_copy(update={"rare_classes": "drop"}), 9
    )
    assert store.obtain(recipe_of_folds).classes == ("a", "b")
    (root / "b/000.jpg").unlink()
    with pytest.raises(PhotosError, match="Fewer than two others are left"):
        store.obtain(
            recipe(listed(root, store), CUT.model_copy(update={"rare_classes": "drop"}), 9)
        )


def test_plain_pictures_are_only_copies_when_their_files_are() -> None:
    plain = [Image.new("RGB", (40, 40), (grey, grey, grey)) for grey in (0, 100, 101, 255)]
    rng = np.random.default_rng(0)
    noisy = [
        Image.fromarray((128 + rng.integers(-3, 4, (200, 200, 3))).astype(np.uint8))
        for _ in range(4)
    ]
    prints = [fingerprint(photo) for photo in plain + noisy]
    assert same_pictures([str(i) for i in range(8)], prints) == []
    assert same_pictures(list("aabcdefg"), prints) == [(0, 1)]


def test_recoloured_drawings_are_different_pictures() -> None:
    shape = np.zeros((64, 64, 1), np.uint8)
    shape[20:50, 10:30] = 1
    drawn = [
        Image.fromarray(np.where(shape, np.uint8(c), np.uint8(g)).astype(np.uint8))
        for c, g in [((250, 20, 20), (30, 30, 30)), ((20, 20, 250), (10, 10, 10))]
    ]
    assert same_pictures(["a", "b"], [fingerprint(photo) for photo in drawn]) == []


def test_thousands_of_photos_are_compared_at_once() -> None:
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 256, (3_000, 16, 16, 3), dtype=np.uint8)
    bits = [int(b) for b in rng.integers(0, 2**63, 3_000)]
    base = fingerprint(picture(1))
    prints = [type(base)(b, t) for b, t in zip(bits, thumbnails, strict=True)]
    prints[2_900] = type(base)(prints[5].bits ^ 0b1011, prints[5].thumbnail)
    assert same_pictures([str(i) for i in range(3_000)], prints) == [(5, 2_900)]


def test_equal_photos_elsewhere_reuse_the_manifest(tmp_path: Path, store: Store) -> None:
    for place in ("one", "two"):
        fill(tmp_path / place, {"cats": 4, "dogs": 4})
    first, second = made(tmp_path / "one", store), made(tmp_path / "two", store)
    assert first.path == second.path
    key = recipe(listed(tmp_path / "one", store), CUT).key
    assert first.key == key
    other = recipe(listed(tmp_path / "one", store), Cut(seed=2)).key
    assert other != key


WEEKS = 10


@pytest.mark.parametrize("place", ["{}", "validation/{}"])
def test_no_photo_becomes_a_test_photo_while_a_source_grows(
    root: Path, store: Store, place: str
) -> None:
    """New photos each week, and copies of old ones: equal, smaller, under names before all others.

    All is renamed once, as by someone who tidies up.
    """
    if "validation" in place:
        fill(root, {"train/cats": 3, "train/dogs": 3}, start=50_000)
    folders = [place.format(label) for label in ("cats", "dogs")]
    fill(root, dict.fromkeys(folders, 40))
    trusted, tests = set[str](), set[str]()
    for week in range(WEEKS):
        for number, folder in enumerate(folders):
            old = picture(40 * number + week + 1)
            old.resize((36, 36)).save(root / folder / f"0 copy {week}.png")
            old.save(root / folder / f"same {week}.jpg")  # the very bytes of the first one
            for new in range(8):
                photo = picture(1_000 * (week + 1) + 10 * number + new)
                photo.save(root / folder / f"{week} {new}.jpg")
        if week == WEEKS // 2:
            for path in (p for f in folders for p in sorted((root / f).iterdir())):
                path.rename(path.with_stem(path.stem[::-1] + " of spring"))
        rows = table(made(root, store, test_share=0.4), "manifest")
        tests = {row["sha256"] for row in rows if row["split"] == "test"}
        assert not tests & trusted, f"week {week}"
        trusted |= {row["sha256"] for row in rows} - tests
    assert 15 < len(tests) < 120


@pytest.mark.slow
def test_the_real_photos(tmp_path: Path, store: Store) -> None:
    archive = os.environ.get("REAL_PHOTOS")
    if not archive:
        pytest.skip("REAL_PHOTOS does not name the zip file of the real photos")
    import zipfile

    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "real")
    root = take_inventory(tmp_path / "real").root
    manifest = made(root, store)
    assert manifest.counts["validation"] == {"cats": 404, "dogs": 404}
    assert manifest.counts["test"] == {"cats": 96, "dogs": 96}
    assert manifest.rejected == 0
    assert [(row["path"], row["other"]) for row in table(manifest, "duplicates")] == [
        ("train/dogs/dog.74.jpg", "train/dogs/dog.180.jpg")
    ]
