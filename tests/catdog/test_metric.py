"""A metric gives the numbers that scikit-learn gives, and needs the photos that it is of."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, recall_score

from catdog.errors import CatdogError, SettingsError
from catdog.metric import Metric, rare_class
from catdog.settings import Comparing, Promotion, Settings, Training

CLASSES = ["bird", "cat", "dog"]
REFERENCES = {
    "accuracy": accuracy_score,
    "balanced-accuracy": balanced_accuracy_score,
    "macro-f1": lambda t, p: f1_score(t, p, average="macro", labels=CLASSES),
    "recall:dog": lambda t, p: recall_score(t, p, labels=["dog"], average=None)[0],
}


@pytest.mark.parametrize("name", REFERENCES)
@given(pairs=st.lists(st.tuples(*[st.sampled_from(CLASSES)] * 2)))
def test_a_metric_is_that_of_scikit_learn(name: str, pairs: list[tuple[str, str]]) -> None:
    table = pd.DataFrame(
        [*pairs, *[(label, "cat") for label in CLASSES]], columns=["label", "predicted"]
    )
    expected = REFERENCES[name](table["label"], table["predicted"])
    assert Metric(name).of_table(table) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["balanced-accuracy", "macro-f1"])
def test_its_slopes_are_its_derivatives(name: str) -> None:
    actual, hits = np.array([90.0, 10.0, 40.0]), np.array([80.0, 4.0, 30.0])
    predicted, step = np.array([95.0, 12.0, 33.0]), 1e-6
    slopes = Metric(name).slopes(hits, actual, predicted)

    def value(more_hits: np.ndarray, more_predicted: np.ndarray) -> float:
        found = Metric(name).of_counts(hits + more_hits, actual, predicted + more_predicted)
        return float(found)

    for k, one in enumerate(step * np.eye(3)):
        zero = np.zeros(3)
        for slope, up, down in (
            (slopes[0][k], (one, zero), (-one, zero)),
            (slopes[1][k], (zero, one), (zero, -one)),
        ):
            assert (value(*up) - value(*down)) / (2 * step) == pytest.approx(slope, abs=1e-6)


def test_the_baseline_always_predicts_the_most_frequent_class() -> None:
    truth = np.array(["cat"] * 95 + ["dog"] * 5)
    found = {name: Metric(name).baseline(truth) for name in REFERENCES}
    assert found == pytest.approx(
        {
            "accuracy": 0.95,
            "balanced-accuracy": 0.5,
            "macro-f1": (2 * 95 / 195) / 2,
            "recall:dog": 0,
        }
    )


def test_a_metric_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match=r"'f1'.*accuracy, balanced-accuracy, macro-f1 or"):
        Settings.load(metric="f1")


def test_every_group_that_it_decides_has_it() -> None:
    settings = Settings.load(metric="recall:dog")
    for group in (Training, Comparing, Promotion):
        assert settings.group(group).model_dump()["metric"] == "recall:dog"


@pytest.mark.parametrize(
    ("name", "counts", "problem"),
    [
        ("recall:cow", {"cat": 3, "dog": 1}, "no class 'cow'; the photos are of cat"),
        ("recall:dog", {"cat": 3, "dog": 0}, "no test photo of dog"),
        ("macro-f1", {"cat": 3, "dog": 0}, "no test photo of dog"),
    ],
)
def test_a_class_without_photos_is_told(name: str, counts: dict[str, int], problem: str) -> None:
    with pytest.raises(CatdogError, match=problem):
        Metric(name).require_photos({"test": counts}, ["test"])


def test_accuracy_needs_no_photo_of_any_class() -> None:
    Metric().require_photos({"test": {"cat": 3, "dog": 0}}, ["test"])
    Metric("recall:cat").require_photos({"test": {"cat": 3, "dog": 0}}, ["test"])


@pytest.mark.parametrize(
    ("counts", "rare"),
    [
        ({"cat": 91, "dog": 9}, "dog"),
        ({"cat": 90, "dog": 10}, None),
        ({str(k): 100 for k in range(37)}, None),
        ({str(k): 100 for k in range(37)} | {"few": 30}, "few"),
    ],
)
def test_a_class_is_rare_next_to_the_others(counts: dict[str, int], rare: str | None) -> None:
    assert rare_class(counts) == rare
