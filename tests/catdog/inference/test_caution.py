"""When a classifier does not answer, and what is promised of the rest."""

import numpy as np
import pytest
from PIL import Image

from catdog.errors import StoreError
from catdog.export.flatbuffer import FILE
from catdog.export.load import facts_of, open_classifier
from catdog.inference.caution import Caution, Held, Knowledge
from catdog.inference.classifier import Classifier
from catdog.inference.features import narrowed, with_features
from catdog.inference.litert import Network
from catdog.promotion.candidates import Chosen
from catdog.store.artifacts import Arrays, Flatbuffer, TrainedModel

PLENTY = 1_000


def held(*errors: int, n: int = PLENTY, distance: float | None = 0.2) -> Held:
    """Photos with doubts from nothing to a half, of which those at these ranks are wrong."""
    wrong = np.zeros(n, bool)
    wrong[list(errors)] = True
    far = None if distance is None else np.linspace(0, distance, n)
    return Held(np.linspace(0, 0.5, n), wrong, far)


def knowledge(
    validation: Held, known: np.ndarray | None = None, test: Held | None = None, choices: int = 1
) -> Knowledge:
    features = np.eye(4, dtype=np.float16) if known is None else known
    return Knowledge("transfer", validation, test or held(150, n=200), features, choices)


def test_what_is_promised_is_told_with_how_it_did_on_test() -> None:
    caution = knowledge(held(*range(900, 1_000, 5))).caution(0.01, 0.01)
    said = caution.sentence
    assert "At most 1 % of its answers are wrong, with 95 % confidence" in said
    assert "for photos like the test photos" in said
    test = caution.promise.test
    assert f"it answers {test.answered}, {test.wrong} of them wrongly" in said
    assert caution.flagged
    assert f"Unlike anything seen: {caution.flagged.flagged} of 200 test photos" in said


def test_what_cannot_be_promised_is_one_line_with_what_can() -> None:
    with pytest.raises(StoreError) as refused:
        knowledge(held(n=150)).caution(0.01, 0.0)
    assert str(refused.value) == (
        "A risk of 1 % cannot be promised of 'transfer' with 150 validation photos: the least is "
        "2 %; about 299 validation photos would be needed. Ask for a larger --risk."
    )
    with pytest.raises(StoreError, match="errs too often even where it is surest"):
        knowledge(held(*range(0, 1_000, 3))).caution(0.01, 0.0)


def test_strangers_are_left_out_before_anything_is_promised() -> None:
    validation = held(*range(990, 1_000))
    plain, wary = (knowledge(validation).caution(0.02, share).promise for share in (0.0, 0.01))
    assert (plain.validation.wrong, wary.validation.wrong) == (10, 0)
    assert (plain.validation.answered, wary.validation.answered) == (1_000, 990)


def test_a_model_without_features_promises_all_the_same() -> None:
    bare = Knowledge("own", held(distance=None), held(n=200, distance=None), None, 1)
    caution = bare.caution(0.01, 0.01)
    assert caution.flagged is None
    assert caution.sentence.endswith("What is unlike anything seen is not looked for.")
    assert caution.promise.test.answered == 200


@pytest.fixture(scope="module")
def image(arrays: Arrays) -> np.ndarray:
    return np.asarray(arrays.images("train")[0])


def classifier(
    trained: TrainedModel, flatbuffer: Flatbuffer, caution: Caution | None
) -> Classifier:
    facts = facts_of(Chosen(trained, None, "a run"))
    return open_classifier(facts, flatbuffer.file(FILE), 0.8, caution=caution)


def seen(flatbuffer: Flatbuffer, image: np.ndarray) -> np.ndarray:
    network = Network(with_features(flatbuffer.file(FILE).read_bytes()))
    network(image[None].astype(np.float32))
    return narrowed(network.output(1)).astype(np.float16)


def test_a_photo_that_is_known_is_answered_and_a_strange_one_is_not(
    trained: TrainedModel, flatbuffer: Flatbuffer, image: np.ndarray
) -> None:
    known = seen(flatbuffer, image)
    caution = knowledge(held(), known, choices=2).caution(0.01, 0.01)
    cautious = classifier(trained, flatbuffer, caution)
    plain = classifier(trained, flatbuffer, None)
    (found,), (expected,) = cautious.predict(image), plain.predict(image)
    assert found.unanswered is None
    assert (found.label, found.probabilities) == (expected.label, expected.probabilities)
    strange = knowledge(held(), -known, choices=2).caution(0.01, 0.01)
    (found,) = classifier(trained, flatbuffer, strange).predict(image)
    assert (found.label, found.probability, found.unanswered) == (None, None, "unlike")
    assert found.uncertain
    assert found.probabilities == expected.probabilities


def test_what_a_model_doubts_is_not_answered(
    trained: TrainedModel, flatbuffer: Flatbuffer, image: np.ndarray
) -> None:
    known = seen(flatbuffer, image)
    caution = knowledge(held(*range(700, 1_000)), known).caution(0.01, 0.01)
    cautious = classifier(trained, flatbuffer, caution)
    (photo,) = cautious.predict(Image.fromarray(image))
    doubt = min(photo.probabilities.values())
    assert (photo.unanswered == "unsure") == (doubt >= caution.promise.limit)
    never = knowledge(held(), known).caution(0.01, 0.01)
    never = Caution(never.promise.model_copy(update={"limit": 0.0}), known, 1.0, None)
    assert classifier(trained, flatbuffer, never).predict(image)[0].unanswered == "unsure"


def test_calibration_changes_no_answer(
    trained: TrainedModel, flatbuffer: Flatbuffer, arrays: Arrays
) -> None:
    images = list(np.asarray(arrays.images("test")))
    known = np.concatenate([seen(flatbuffer, image) for image in images])
    caution = knowledge(held(*range(700, 1_000)), known).caution(0.01, 0.01)
    facts = facts_of(Chosen(trained, None, "a run")).model_copy(update={"temperature": 30.0})
    answers = [
        [
            p.unanswered
            for p in open_classifier(
                facts, flatbuffer.file(FILE), 0.8, calibrated=calibrated, caution=caution
            ).predict(images)
        ]
        for calibrated in (False, True)
    ]
    assert answers[0] == answers[1]
