"""What a trained model says of new photos; an unreadable one costs only itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catdog.errors import PhotosError
from catdog.export.flatbuffer import FILE
from catdog.export.load import facts_of, open_classifier
from catdog.inference.classifier import Classifier, Facts
from catdog.inference.temperature import soften
from catdog.promotion.candidates import Chosen
from catdog.store.artifacts import Arrays, Flatbuffer, Predictions, TrainedModel

TEXT = "not a photo"


def save(path: Path, seed: int = 0, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def classifier(
    trained: TrainedModel, flatbuffer: Flatbuffer, predictions: Predictions
) -> Classifier:
    facts = facts_of(Chosen(trained, predictions, "a run"))
    return open_classifier(facts, flatbuffer.file(FILE), 0.8)


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
    classifier: Classifier, mixed: list[Path]
) -> None:
    found = classifier.predict(mixed)
    assert [p.path for p in found] == mixed
    assert [p.error is None for p in found] == [False, True, False, True, False]
    for p in found:
        if p.error:
            assert (p.label, p.probability, p.probabilities) == (None, None, {})
        else:
            assert p.label in classifier.classes
            assert p.probability == max(p.probabilities.values()) == p.probabilities[p.label]
            assert sum(p.probabilities.values()) == pytest.approx(1, rel=1e-5)


def test_photos_do_not_depend_on_their_neighbours(
    classifier: Classifier, mixed: list[Path]
) -> None:
    together = classifier.predict(mixed * 20)
    assert together == [classifier.predict(photo)[0] for photo in mixed] * 20


def test_it_gives_what_keras_gives(
    classifier: Classifier, trained: TrainedModel, arrays: Arrays
) -> None:
    from catdog.training.evaluate import load_model

    network = load_model(trained.file("model.keras"))
    images = arrays.images("test")
    expected = np.asarray(network(images.astype(np.float32), training=False))
    found = np.stack([classifier.classify(image) for image in images])
    likely = expected > 1e-30  # the tiny model is sure of most
    np.testing.assert_allclose(np.log(found[likely]), np.log(expected[likely]), rtol=1e-4)
    assert len(np.unique(expected[likely])) > len(images) / 2, "it says the same of all photos"


def test_a_photo_is_the_same_as_file_bytes_picture_and_array(
    classifier: Classifier, tmp_path: Path
) -> None:
    file = save(tmp_path / "photo.png", side=50)
    picture = Image.open(file)
    forms = [file, str(file), file.read_bytes(), picture, np.asarray(picture)]
    found = classifier.predict(forms)
    assert [p.probabilities for p in found] == [found[0].probabilities] * len(forms)
    assert [p.path for p in found] == [file, file, None, None, None]
    for form in forms:
        assert classifier.predict(form)[0].probabilities == found[0].probabilities


def test_a_picture_that_is_given_stays_as_it_is(classifier: Classifier, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (40, 20), "red").save(tmp_path / "turned.jpg", exif=exif)
    picture = Image.open(tmp_path / "turned.jpg")
    classifier.predict(picture)
    assert picture.size == (40, 20)


@pytest.mark.parametrize(
    "wrong", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8), 3]
)
def test_what_can_be_no_photo_is_refused(classifier: Classifier, wrong: Any) -> None:
    with pytest.raises(PhotosError, match="is no photo"):
        classifier.predict([wrong])


def test_memory_and_order_hold_when_photos_come_from_a_generator(
    classifier: Classifier, mixed: list[Path]
) -> None:
    taken = 0

    def photos() -> Iterator[Path]:
        nonlocal taken
        for taken in range(1, 1_000_001):
            yield mixed[taken % len(mixed)]

    first = next(classifier.stream(photos()))
    assert first.path == mixed[1]
    assert taken < 1_000


def test_a_table_has_a_row_a_photo(classifier: Classifier, mixed: list[Path]) -> None:
    table = classifier.predict_frame(mixed)
    assert list(table["path"]) == mixed
    shares = (f"p_{name}" for name in classifier.classes)
    columns = ["path", "label", "probability", "uncertain", *shares, "error"]
    assert list(table.columns) == columns
    assert table["label"].notna().tolist() == [False, True, False, True, False]


def test_a_confidence_below_the_threshold_is_uncertain(
    trained: TrainedModel, flatbuffer: Flatbuffer, mixed: list[Path]
) -> None:
    facts = facts_of(Chosen(trained, None, "a run"))
    for threshold, uncertain in ((0.0, False), (1.1, True)):
        strict = open_classifier(facts, flatbuffer.file(FILE), threshold)
        assert strict.predict(mixed[1])[0].uncertain == uncertain
        assert not strict.predict(mixed[0])[0].uncertain, "it cannot be read"


def test_calibrated_confidences_are_those_at_the_temperature(
    trained: TrainedModel, flatbuffer: Flatbuffer, mixed: list[Path]
) -> None:
    facts = Facts(
        name=trained.name,
        version="1",
        classes=trained.classes,
        image_size=trained.image_size,
        temperature=40.0,
    )
    raw, calibrated = (
        open_classifier(facts, flatbuffer.file(FILE), 0.8, calibrated=calibrated)
        for calibrated in (False, True)
    )
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    expected = soften(raw.classify(image), 40.0)
    np.testing.assert_array_equal(calibrated.classify(image), expected)
    assert expected.max() < raw.classify(image).max()


def test_many_threads_may_ask_at_once(classifier: Classifier, mixed: list[Path]) -> None:
    alone = classifier.predict(mixed)
    with ThreadPoolExecutor(8) as pool:
        assert all(found == alone for found in pool.map(classifier.predict, [mixed] * 32))


def test_a_hostile_photo_costs_only_itself(classifier: Classifier, tmp_path: Path) -> None:
    huge = tmp_path / "huge.webp"
    huge.write_bytes(b"RIFF&\0\0\0WEBPVP8L\x1a\0\0\0\x2f\xfe\xbf\xff\x0f" + bytes(21))
    line = tmp_path / "line.png"
    Image.new("1", (1, 3_000_000)).save(line)
    first, second, third = classifier.predict([huge, line, save(tmp_path / "good.jpg")])
    assert first.error == "more than 89,478,485 pixels: make it smaller"
    assert second.error == "a side of more than 65,535 pixels: make it smaller"
    assert third.label


def test_a_missing_file_among_others_is_named(classifier: Classifier, tmp_path: Path) -> None:
    gone = tmp_path / "gone.jpg"
    good = save(tmp_path / "good.jpg")
    first, second = classifier.predict([gone, good])
    assert first.error
    assert second.label


def test_no_photo_gives_no_prediction(classifier: Classifier) -> None:
    assert classifier.predict([]) == []
