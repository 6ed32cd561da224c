import pytest

from catdog.comparison.repeats import summarise_repeats


def test_one_seed_each_is_no_repeat() -> None:
    assert summarise_repeats([("a", 1, 0.9), ("b", 1, 0.8)]) is None


def test_mean_spread_and_a_ranking_that_depends_on_the_seed() -> None:
    found = summarise_repeats(
        [("a", 1, 0.90), ("a", 2, 0.94), ("b", 1, 0.92), ("b", 2, 0.91), ("c", 1, 0.5)]
    )
    assert found is not None
    first = found.models[0]
    assert (first.mean, first.low, first.high) == (pytest.approx(0.92), 0.90, 0.94)
    assert first.sd == pytest.approx(0.0283, abs=1e-4)
    assert found.models[2].sd is None
    assert not found.stable
    assert found.changed == (("a", "b"),)
    assert "a and b" in found.sentence


def test_a_tie_is_no_change_of_places() -> None:
    found = summarise_repeats([("a", 1, 0.9), ("a", 2, 0.9), ("b", 1, 0.9), ("b", 2, 0.8)])
    assert found is not None
    assert found.stable
