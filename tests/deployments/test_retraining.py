"""A folder that changes between two runs: picked up, checked, and told in every place."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sites import TINY, Site

pytestmark = pytest.mark.slow

TOLD = {
    "train/cats/new.jpg": "added",
    "train/dogs/gone.jpg": "removed",
    "train/dogs/was a cat.jpg": "relabelled: cats to dogs",
}


@pytest.fixture(scope="module")
def changed(
    site: Site, tiny_photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The flow run after the change."""
    source = tmp_path_factory.mktemp("sources") / "changing"
    shutil.copytree(tiny_photos, source)
    cats, dogs = source / "train" / "cats", source / "train" / "dogs"
    held_out = sorted((source / "validation" / "cats").iterdir())
    new, doubtful, *_ = sorted(cats.iterdir())
    new = new.rename(source.parent / "new.jpg")
    doubtful = doubtful.rename(cats / "was a cat.jpg")
    gone = min(dogs.iterdir()).rename(dogs / "gone.jpg")
    assert site.wait(site.run(source=str(source), **TINY)) == "Completed"

    new.rename(cats / "new.jpg")
    gone.unlink()
    doubtful.rename(dogs / "was a cat.jpg")
    with Image.open(held_out[0]) as photo:
        photo.save(cats / "leak.jpg", quality=60)
    (cats / "broken.jpg").write_bytes(b"no photo")
    run = site.run(source=str(source), **TINY)
    assert site.wait(run) == "Completed"
    found: dict[str, Any] = site.flow_run(run)
    return found


def comparison(site: Site) -> Any:
    path = Path(site.records()[-1]["folder"]) / "comparison.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_ui_lists_each_photo_that_changed(site: Site, changed: dict[str, Any]) -> None:
    rows = site.artifacts(changed["id"])["photo-changes"]["data"]
    assert {row["photo"]: row["what"] for row in json.loads(rows)} == TOLD


def test_the_report_tells_them_too(site: Site, changed: dict[str, Any]) -> None:
    found = comparison(site)["changes"]
    assert found["since"] == site.records()[-2]["id"]
    assert found["added"] == ["train/cats/new.jpg"]
    assert found["removed"] == ["train/dogs/gone.jpg"]
    assert found["relabelled"] == [["train/dogs/was a cat.jpg", "cats", "dogs"]]
    page = (Path(site.records()[-1]["folder"]) / "report.html").read_text(encoding="utf-8")
    assert all(path in page for path in TOLD)


def test_a_copy_of_a_held_out_photo_is_not_trained_on(site: Site, changed: dict[str, Any]) -> None:
    quality = comparison(site)["quality"]
    leaks = [pair for pair in quality["duplicates"] if pair["path"] == "train/cats/leak.jpg"]
    assert [pair["action"] for pair in leaks] == ["dropped"]
    assert [photo["path"] for photo in quality["excluded"]] == ["train/cats/broken.jpg"]
