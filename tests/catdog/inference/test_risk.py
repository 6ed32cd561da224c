"""Which answers can be promised to be right, and when nothing can."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from catdog.inference import risk
from catdog.inference.risk import doubts, fewest, limit, outcome, photos_needed


def ranked(*errors: int, n: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """Photos in order of doubt, of which those at these ranks are wrong."""
    wrong = np.zeros(n, bool)
    wrong[list(errors)] = True
    return np.linspace(0.001, 0.5, n), wrong


@settings(max_examples=30)
@given(st.integers(0, 30), st.integers(1, 2_000), st.floats(0.001, 0.5))
def test_p_values_are_those_of_the_binomial_distribution(wrong: int, n: int, share: float) -> None:
    expected = binom.cdf(wrong, n, share) if wrong < n else 1
    assert risk._p(wrong, n, share) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_so_many_right_answers_are_needed() -> None:
    assert fewest(0.01, 0.05, 0) == 299
    assert fewest(0.01, 0.05 / 20, 0) == 597


def test_answers_go_on_until_one_error_too_many() -> None:
    doubt, wrong = ranked(650, 700, 720, 730, 740)
    below = limit(doubt, wrong, 0.01, choices=1)
    found = outcome(doubt, wrong, below)
    assert binom.cdf(found.wrong, found.answered, 0.01) <= 0.05
    assert binom.cdf(found.wrong + 1, found.answered + 1, 0.01) > 0.05
    assert doubt[found.answered] == below


def test_a_model_without_errors_answers_all() -> None:
    doubt, wrong = ranked()
    assert outcome(doubt, wrong, limit(doubt, wrong, 0.01, choices=4)).answered == 800


def test_photos_that_chose_among_many_models_promise_less() -> None:
    doubt, wrong = ranked(600, 650, 700)
    answered = [
        outcome(doubt, wrong, limit(doubt, wrong, 0.01, choices=choices)).answered
        for choices in (1, 20, 400)
    ]
    assert answered == [700, 600, 0]


@pytest.mark.parametrize(
    ("errors", "n"), [((), 298), (range(40), 800)], ids=["too few photos", "sure and wrong"]
)
def test_what_cannot_be_shown_is_not_promised(errors: tuple[int, ...], n: int) -> None:
    doubt, wrong = ranked(*errors, n=n)
    assert limit(doubt, wrong, 0.01, choices=1) == 0
    assert outcome(doubt, wrong, 0).answered == 0


def test_equal_doubts_are_answered_together_or_not_at_all() -> None:
    doubt, wrong = ranked(700, 701, 702, 703, 704, 705, 706, 707, 708, 709)
    doubt[600:] = 0.4
    assert outcome(doubt, wrong, limit(doubt, wrong, 0.01, choices=1)).answered == 600


def test_fewer_answers_than_were_tested_are_never_promised() -> None:
    doubt, wrong = ranked(0, *range(200, 300))
    doubt[10:] = 0.4
    assert limit(doubt, wrong, 0.05, choices=1) == 0, "one of ten is wrong"


def test_it_is_told_how_many_photos_would_do() -> None:
    assert photos_needed(*ranked(n=100), 0.01, choices=1) == 299
    assert photos_needed(*ranked(*range(0, 800, 20)), 0.01, choices=1) is None
    more = photos_needed(*ranked(400, n=500), 0.01, choices=1)
    assert more is not None
    assert 300 < more < 1_000


def test_doubts_of_a_sure_model_can_be_told_apart() -> None:
    sure = np.array([[1.0, 1e-12], [1e-9, 1.0]], np.float32)
    assert doubts(sure) == pytest.approx([1e-12, 1e-9])
    three = np.array([[0.7, 0.2, 0.1]], np.float32)
    assert doubts(three) == pytest.approx([0.3])
