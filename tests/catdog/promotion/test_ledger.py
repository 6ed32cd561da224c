"""The promises of the two rules over a year, simulated as in `benchmarks/promotions.py`."""

import pytest

from benchmarks.promotions import MARGIN, USUAL, fresh, share_promoted
from catdog.promotion.ledger import LEVEL

YEARS = 150


@pytest.mark.parametrize("correlation", [0.2, 0.9])
@pytest.mark.parametrize("growing", [False, True])
def test_a_useless_promotion_happens_in_at_most_one_of_twenty_years(
    correlation: float, growing: bool
) -> None:
    found = share_promoted(YEARS, 400, correlation, 0.75, 0, level=LEVEL, growing=growing)
    assert found <= 0.05 + 2 * (0.05 * 0.95 / YEARS) ** 0.5


def test_without_the_budget_it_happens_in_every_fourth() -> None:
    assert share_promoted(YEARS, 400, 0.9, 0.75, 0, level=USUAL) > 0.12


def test_a_model_that_is_much_better_is_found_within_the_year() -> None:
    assert share_promoted(YEARS, 808, 0.9, 0.97, 0.02) > 0.9


def test_fresh_models_that_are_as_good_follow_one_another() -> None:
    assert fresh(YEARS, 192, 0.9, 0.97, 0).promotions > 10


def test_small_losses_do_not_add_up_since_the_best_champion_is_not_forgotten() -> None:
    drifting = {"adds_up": True}
    guarded = fresh(YEARS, 808, 0.9, 0.97, -0.01, **drifting)
    unguarded = fresh(YEARS, 808, 0.9, 0.97, -0.01, **drifting, against_best=False)
    assert guarded.bad_loss <= MARGIN + 0.001
    assert unguarded.loss > 3 * MARGIN
