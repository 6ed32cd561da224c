"""What a learning curve tells, and what it leaves open."""

from itertools import pairwise

import numpy as np
import pytest

from catdog.comparison.learning import DRAWS, SHARES, Part, forecast, learning_curve, needed, parts

TRAIN, TEST = 1_600, 1_000
CLASSES = ("cats", "dogs")


def test_parts_are_nested_and_have_their_share_of_each_class() -> None:
    labels = np.array([0] * 80 + [1] * 16, np.int32)
    found = list(parts(labels, draw=3))
    assert [len(rows) for rows in found] == [12, 24, 48, 96]
    for small, large in pairwise(found):
        assert set(small) < set(large)
    assert [int((labels[rows] == 1).sum()) for rows in found] == [2, 4, 8, 16]
    assert set(found[0]) != set(next(parts(labels, draw=4)))


def made_up(power: float, rng: np.random.Generator, scale: float = 0.2) -> list[Part]:
    """Models whose error is `scale` with an eighth of the photos, and falls by a power."""
    found = []
    for share in SHARES:
        error = scale * (share / SHARES[0]) ** -power
        found.append(Part(round(share * TRAIN), rng.random((DRAWS, TEST)) > error))
    return found


@pytest.mark.parametrize("power", [0.0, 0.3, 0.5])
def test_the_interval_holds_what_twice_the_photos_give(power: float) -> None:
    held = 0
    for seed in range(8):
        found = forecast(
            "all", made_up(power, np.random.default_rng(seed)), np.ones(TEST, dtype=bool)
        )
        held += found.interval.low <= 1 - 0.2 * 16**-power <= found.interval.high
        assert found.now - 0.01 <= found.twice <= found.interval.high
    assert held >= 7


def test_the_weakest_class_is_named_with_its_own_forecast() -> None:
    labels = np.arange(TEST, dtype=np.int32) % 2
    found = made_up(0.3, np.random.default_rng(0))
    for part in found:
        part.right[:, labels == 1] &= np.random.default_rng(1).random((DRAWS, TEST // 2)) > 0.2
    told = learning_curve("transfer", found, labels, CLASSES)
    assert told.weakest.of == "dogs"
    assert told.weakest.now < told.forecast.now
    assert "of dogs, the weakest class" in told.sentence


def test_a_perfect_model_has_an_interval_all_the_same() -> None:
    labels = np.arange(TEST, dtype=np.int32) % 2
    found = [Part(round(s * TRAIN), np.ones((DRAWS, TEST), bool)) for s in SHARES]
    reach = learning_curve("transfer", found, labels, CLASSES).forecast.interval
    assert reach.low < 1


def test_the_rarer_the_errors_the_fewer_photos_show_two_points() -> None:
    weak, good = needed(0.3), needed(0.03)
    assert weak is not None
    assert good is not None
    assert 300 < good < 1_000 < weak
