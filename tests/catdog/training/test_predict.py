"""What a trained model says of new photos; an unreadable one costs only itself."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catdog.errors import PhotosError
from catdog.store.artifacts import TrainedModel
from catdog.training import predict as prediction
from catdog.training.predict import find_photos, predict

TEXT = "not a photo"


def save(path: Path, seed: int = 0, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    """Readable and unreadable files in turn."""
    text = tmp_path / "text.jpg"
    text.write_text(TEXT)
    empty = tmp_path / "empty.png"
    empty.touch()
    cut = save(tmp_path / "cut.jpg", side=200)
    cut.write_bytes(cut.read_bytes()[:5_000])
    good = [save(tmp_path / f"{n} photo ñ 猫.png", n) for n in range(2)]
    return [text, good[0], empty, good[1], cut]


def test_order_is_kept_and_each_has_a_class_or_a_reason(
    trained: TrainedModel, mixed: list[Path]
) -> None:
    found = list(predict(trained, mixed))
    assert [p.path for p in found] == mixed
    assert [p.error is None for p in found] == [False, True, False, True, False]
    for p in found:
        if p.error:
            assert (p.label, p.probability, p.probabilities) == (None, None, {})
        else:
            assert p.label in trained.classes
            assert p.probability == max(p.probabilities.values()) == p.probabilities[p.label]
            assert sum(p.probabilities.values()) == pytest.approx(1, rel=1e-5)


def test_many_photos_are_predicted_as_few_are(
    trained: TrainedModel, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = list(predict(trained, mixed))
    monkeypatch.setattr(prediction, "BATCH_SIZE", 2)
    monkeypatch.setattr(prediction, "WORTH_ACCELERATING", len(mixed))
    for one, other in zip(few, predict(trained, mixed), strict=True):
        assert (one.path, one.label, one.error) == (other.path, other.label, other.error)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_photos_do_not_depend_on_their_neighbours(
    trained: TrainedModel, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = list(predict(trained, mixed))
    monkeypatch.setattr(prediction, "BATCH_SIZE", 2)
    for one, other in zip(together, predict(trained, mixed), strict=True):
        assert (one.path, one.label, one.error) == (other.path, other.label, other.error)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_a_hostile_photo_costs_only_itself(trained: TrainedModel, tmp_path: Path) -> None:
    huge = tmp_path / "huge.webp"
    huge.write_bytes(b"RIFF&\0\0\0WEBPVP8L\x1a\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(21))
    line = tmp_path / "line.png"
    Image.new("1", (1, 3_000_000)).save(line)
    first, second, third = predict(trained, [huge, line, save(tmp_path / "good.jpg")])
    assert first.error == "more than 89,478,485 pixels"
    assert second.error == "a side of more than 65,535 pixels"
    assert third.label


def test_a_missing_file_among_others_is_named(trained: TrainedModel, tmp_path: Path) -> None:
    gone = tmp_path / "gone.jpg"
    good = save(tmp_path / "good.jpg")
    first, second = predict(trained, [gone, good])
    assert first.error
    assert second.label


def test_no_photo_gives_no_prediction(trained: TrainedModel) -> None:
    assert list(predict(trained, [])) == []


def test_a_folder_stands_for_the_photos_in_it_sorted(tmp_path: Path) -> None:
    names = ["b.jpg", "a/2.PNG", "a/1.webp", "c d/ü.jpeg"]
    for name in names:
        save(tmp_path / "folder" / name)
    (tmp_path / "folder" / "notes.txt").write_text(TEXT)
    save(tmp_path / "folder" / "__MACOSX" / "1.jpg")
    save(tmp_path / "folder" / "._b.jpg")
    single = save(tmp_path / "z.jpg")
    found = find_photos([single, tmp_path / "folder"])
    assert found == [single, *sorted(tmp_path / "folder" / name for name in names)]


def test_a_file_is_tried_whatever_it_is_called(tmp_path: Path) -> None:
    odd = tmp_path / "photo.dat"
    odd.touch()
    assert find_photos([odd]) == [odd]


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotosError, match=r"nowhere\.jpg is not a file or folder here"):
        find_photos([save(tmp_path / "a.jpg"), tmp_path / "nowhere.jpg"])


def test_a_folder_without_photos_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(TEXT)
    with pytest.raises(PhotosError, match="holds no photos"):
        find_photos([tmp_path])


def test_a_folder_that_is_called_like_a_photo_is_no_photo(tmp_path: Path) -> None:
    inside = save(tmp_path / "folder.jpg" / "a.jpg")
    assert find_photos([tmp_path]) == [inside]
