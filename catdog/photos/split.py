"""Decode every photo, exclude the unreadable, find duplicates, and cut the splits."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from catdog.errors import PhotosError
from catdog.photos.duplicates import Fingerprint, distance, fingerprint, same_pictures
from catdog.photos.groups import Group, group_names, joined, require_whole, same_name
from catdog.photos.layout import Layout, read_layout
from catdog.photos.partition import partition
from catdog.photos.places import places_of
from catdog.photos.reading import UnreadablePhotoError, in_threads, read_verified, reading_photo
from catdog.settings import Cut
from catdog.store.artifacts import SPLITS, DuplicatePair, ExcludedFile, Manifest, Photos, write_csv
from catdog.store.digest import make_key, value_digest
from catdog.store.store import Recipe
from catdog.wording import counted

log = logging.getLogger(__name__)

OUTSIDE = "not in a class folder"
RARE = "its class has too few photos"
MAX_EXIF = 1 << 16
"""Bytes of EXIF that are read for the time: a segment of a JPEG has no more."""
EXIF_TIME = re.compile(r"[0-9]{4}(:[0-9]{2}){2} [0-9]{2}(:[0-9]{2}){2}")
NAMED = 50
"""Classes that an error names."""
COLUMNS = (
    "path", "label", "split", "sha256", "width", "height", "bytes", "mode", "brightness", "taken",
    "group",
)  # fmt: skip
"""Of `manifest.csv`."""


@dataclass(frozen=True)
class Photo:
    """A photo that could be decoded, by the columns of the manifest."""

    path: str
    label: str
    sha256: str
    width: int
    """Pixels, when upright."""
    height: int
    bytes: int
    mode: str
    """Pillow's name of the kind of pixels in the file, such as "RGB", "CMYK" or "I;16"."""
    brightness: float
    """Mean luma (ITU-R BT.601) of the decoded photo, 0 to 255, to one decimal."""
    taken: str
    """When, as EXIF has it, such as "2026:11:28 10:00:00"; empty where it has none."""
    fingerprint: Fingerprint


def recipe(photos: Photos, cut: Cut, folds: int | None = None) -> Recipe[Manifest]:
    """How every photo is decoded and given its split.

    Where there is a validation folder, about `test_share` of it becomes the test set; where there
    are class folders only, about `validation_share` of the photos is held out first, and where
    there are a training and a test folder, so much of the training folder is for validation. All is
    decided photo by photo, so that more photos never make a test photo of one that was in another
    split: see `catdog.photos.partition`, also for what is left. A test folder is used as it is.

    duplicates: photos of the same picture are always listed. "drop" keeps the held-out photos
    clean: copies stay on one side of every cut that is made here; a training photo that also is
    a validation or test photo is dropped, and a validation photo that also is a test photo. A
    copy within one split is kept. "keep" only lists them.

    rare_classes: "drop" leaves out the classes that have no photo for each split, or fewer than
    there are folds. "refuse" names them all.

    To make it raises PhotosError when the photos make no data set (too few, one class, ...) or
    change while they are read.
    """
    fewest = (folds or 0) if cut.rare_classes == "drop" else 0
    key = make_key(
        code=(__name__,),
        libraries=("imagehash", "pillow"),
        inventory=photos.inventory,
        fewest=fewest,
        **cut.model_dump(),
    )
    return Recipe(Manifest, key, lambda folder: _write(folder, photos, cut, fewest))


def _write(folder: Path, photos: Photos, cut: Cut, fewest: int) -> Mapping[str, Any]:
    rows = photos.rows()
    places = {row["path"]: row.get("place", row["path"]) for row in rows}
    layout = read_layout(places, photos.origin)
    listed = [row for row in rows if row["path"] in layout.labels]
    looks = in_threads(partial(_look, photos.folder, layout.labels), listed)
    rejected = {look.path: look.reason for look in looks if isinstance(look, ExcludedFile)}
    rare = _too_few(layout, rejected, fewest)
    _check_classes(rare, layout, cut, photos.origin)
    good = [look for look in looks if isinstance(look, Photo) and look.label not in rare]
    groups = same_pictures([photo.sha256 for photo in good], [photo.fingerprint for photo in good])
    pictures = [tuple(good[i] for i in group) for group in groups]
    drop = cut.duplicates == "drop"
    named = _named(listed, good, layout, cut, photos.origin)
    copied = [tuple(photo.path for photo in picture) for picture in pictures]
    splits = _splits(layout, good, [*(copied if drop else []), *same_name(named)], named, cut)
    copies = [copy for group in pictures for copy in _copies(group, splits, drop=drop)]
    for copy in copies:
        if copy.action == "dropped":
            del splits[copy.path]
    rare |= _emptied(splits, layout, rare)
    _check_classes(rare, layout, cut, photos.origin)
    splits = {path: split for path, split in splits.items() if layout.labels[path] not in rare}
    left_out = (p for p, label in layout.labels.items() if label in rare and p not in rejected)
    rejected |= dict.fromkeys(left_out, RARE) | dict.fromkeys(layout.outside, OUTSIDE)
    together = joined([p.path for p in good], [*copied, *same_name(named)])
    group_of = {path: group[0] for group in together for path in group}
    _write_tables(folder, good, splits, group_of, rejected, copies)
    found = {"rejected": len(rejected), "duplicates": len(copies)}
    log.info("%d photos, %d excluded files, %d near-duplicate pairs", len(splits), *found.values())
    classes = tuple(label for label in layout.classes if label not in rare)
    placed = Counter((split, layout.labels[path]) for path, split in splits.items())
    counts = {part: {label: placed[part, label] for label in classes} for part in SPLITS}
    facts = {"classes": classes, "rare": tuple(sorted(rare)), "counts": counts}
    return facts | found | {"named_groups": len({named[path] for path in splits if path in named})}


def _named(
    listed: Iterable[Mapping[str, str]],
    photos: Sequence[Photo],
    layout: Layout,
    cut: Cut,
    origin: str,
) -> dict[str, str]:
    """The name of the group of each readable photo that is said to belong to one."""
    names = group_names({row["path"]: row.get("group", "") for row in listed}, cut.group_by)
    if cut.group_by and not names:
        raise PhotosError(
            f"{origin}: no path of a photo has a match of group_by ({cut.group_by!r}).",
            "Mend the regular expression, or leave it away.",
        )
    named = {photo.path: names[photo.path] for photo in photos if photo.path in names}
    if layout.splits:
        require_whole(named, layout.splits, origin)
    return named


def _look(root: Path, labels: Mapping[str, str], row: Mapping[str, str]) -> Photo | ExcludedFile:
    path, sha256 = row["path"], row["sha256"]
    data = read_verified(root / path, sha256)
    try:
        with reading_photo(data, path) as (picture, mode):
            brightness = round(float(np.asarray(picture.convert("L")).mean()), 1)
            facts = (*picture.size, len(data), mode, brightness, _taken(picture))
            return Photo(path, labels[path], sha256, *facts, fingerprint(picture))
    except UnreadablePhotoError as error:
        return ExcludedFile(path=path, reason=error.reason)


def _taken(picture: Image.Image) -> str:
    if len(picture.info.get("exif", b"")) > MAX_EXIF:
        return ""
    try:
        found = str(
            picture.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        )
    except Exception:  # noqa: BLE001  what a camera has written may be broken in any way
        return ""
    return found if EXIF_TIME.fullmatch(found) else ""


def _too_few(layout: Layout, rejected: Mapping[str, str], fewest: int) -> dict[str, str]:
    """The classes with too few readable photos for the splits, and how many they have.

    Each class needs one for each split that it has, or that is cut from them, and `fewest` in all.
    """
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path, label in layout.labels.items():
        found[label, layout.splits.get(path, "")].append(path)
    needs = dict.fromkeys(set(layout.splits.values()), 1) or {"": max(3, fewest)}
    if undecided := _undecided(layout):
        needs[undecided] = 2
    short = {}
    for label, (part, needed) in product(layout.classes, needs.items()):
        bad = [path for path in found[label, part] if path in rejected]
        readable = len(found[label, part]) - len(bad)
        if readable < needed:
            place = f" in its {part} folder" if part else ""
            why = f"; {bad[0]}: {rejected[bad[0]]}" if bad else ""
            short[label] = f"'{label}'{place} ({readable} of {needed}{why})"
    return short


def _emptied(splits: Mapping[str, str], layout: Layout, rare: Container[str]) -> dict[str, str]:
    """The other classes that have no photo in a split after copies were dropped, and which."""
    found = {(layout.labels[path], split) for path, split in splits.items()}
    return {
        label: f"'{label}' (for its {part} split, only copies of other photos)"
        for label, part in product(layout.classes, SPLITS)
        if label not in rare and (label, part) not in found
    }


def _check_classes(rare: Mapping[str, str], layout: Layout, cut: Cut, origin: str) -> None:
    """Raise PhotosError that names the rare classes unless they may be left out."""
    if not rare:
        return
    which = "; ".join([*list(rare.values())[:NAMED], *["..."] * (len(rare) > NAMED)])
    told = (
        f"{origin}: too few readable photos of {counted(len(rare), 'class', 'classes')}: {which}."
    )
    if cut.rare_classes == "refuse":
        raise PhotosError(told, "Add photos, or leave out such classes with '--rare-classes drop'.")
    if len(layout.classes) - len(rare) < 2:
        raise PhotosError(f"{told} Fewer than two others are left.", "Add photos.")


def _splits(
    layout: Layout,
    photos: Sequence[Photo],
    links: Iterable[Group],
    named: Mapping[str, str],
    cut: Cut,
) -> dict[str, str]:
    """The split of each photo: linked ones have the same.

    The photos of a named group have the place of its name: one that joins it later follows it.
    """
    given = {photo.path: layout.splits.get(photo.path, "") for photo in photos}
    if (undecided := _undecided(layout)) is None:
        return given
    free = {photo.path: photo for photo in photos if given[photo.path] == undecided}
    ours = [tuple(path for path in link if path in free) for link in links]
    groups = joined(list(free), filter(None, ours))
    marks = {p: value_digest(named[p]) if p in named else free[p].sha256 for p in free}
    return given | partition(
        places_of(marks, cut.seed),
        {path: photo.label for path, photo in free.items()},
        groups,
        held_out=1 if undecided == "validation" else cut.validation_share,
        test=0 if undecided == "train" else cut.test_share,
    )


def _undecided(layout: Layout) -> str | None:
    """The split folder whose photos are divided: "" for photos without one, None where none is."""
    given = set(layout.splits.values())
    if not given:
        return ""
    if "validation" not in given:
        return "train"
    return "validation" if "test" not in given else None


def _copies(
    group: Sequence[Photo], splits: Mapping[str, str], *, drop: bool
) -> list[DuplicatePair]:
    """All photos of one picture but the one that is kept for certain: the most held-out."""
    kept = max(group, key=lambda photo: SPLITS.index(splits[photo.path]))
    copies = []
    for photo in (photo for photo in group if photo is not kept):
        own, other = splits[photo.path], splits[kept.path]
        copies.append(
            DuplicatePair(
                path=photo.path,
                split=own,
                other=kept.path,
                other_split=other,
                match="exact" if photo.sha256 == kept.sha256 else "near",
                distance=distance(photo.fingerprint, kept.fingerprint),
                action="dropped" if drop and own != other else "kept",
            )
        )
        if photo.label != kept.label:
            log.warning("%s and %s show the same picture in two classes", photo.path, kept.path)
    return copies


def _write_tables(
    folder: Path,
    photos: Sequence[Photo],
    splits: Mapping[str, str],
    group_of: Mapping[str, str],
    rejected: Mapping[str, str],
    copies: Sequence[DuplicatePair],
) -> None:
    rows = (
        vars(p) | {"split": splits[p.path], "group": group_of.get(p.path, "")}
        for p in photos
        if p.path in splits
    )
    kept = ([row[column] for column in COLUMNS] for row in rows)
    write_csv(folder / "manifest.csv", COLUMNS, kept)
    write_csv(folder / "rejected.csv", ExcludedFile.model_fields, sorted(rejected.items()))
    pairs = sorted(tuple(copy.model_dump().values()) for copy in copies)
    write_csv(folder / "duplicates.csv", DuplicatePair.model_fields, pairs)
