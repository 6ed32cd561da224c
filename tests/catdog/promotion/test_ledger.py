"""The promises of the two rules over a year, simulated as in `benchmarks/promotions.py`."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.promotions import (
    DAILY,
    HOURLY,
    MARGIN,
    WEEKLY,
    Models,
    Rhythm,
    before,
    bursts,
    fresh,
    now,
    promoted,
    singles,
    usual,
)
from catdog.comparison.over_photos import ALPHA
from catdog.promotion.ledger import MOST, YEAR, levels

YEARS = 200
LUCK = 2 * (0.05 * 0.95 / YEARS) ** 0.5
GAPS = st.lists(st.integers(-3_600, 40 * 86_400), max_size=200)
"""Seconds between decisions; before 0 where the clock was set back."""


@given(gaps=GAPS)
def test_no_year_spends_more_than_its_budget(gaps: list[int]) -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC)]
    for gap in gaps:
        times.append(times[-1] + timedelta(seconds=max(gap, 0)))
    spent = list(levels(times))
    for begin in times:
        year = [a for a, at in zip(spent, times, strict=True) if begin <= at < begin + YEAR]
        assert sum(year) <= ALPHA * (1 + 1e-9)


@given(gaps=GAPS)
def test_whatever_the_clock_does_a_decision_can_promote_and_never_more_easily_than_at_first(
    gaps: list[int],
) -> None:
    times = [datetime(2026, 1, 1, tzinfo=UTC)]
    for gap in gaps:
        times.append(times[-1] + timedelta(seconds=gap))
    assert all(0 < level <= MOST / 2 for level in levels(times))


@pytest.mark.parametrize("correlation", [0.2, 0.9])
@pytest.mark.parametrize("rhythm", [WEEKLY, DAILY._replace(new=1)])
def test_a_useless_promotion_happens_in_at_most_one_of_twenty_years(
    correlation: float, rhythm: Rhythm
) -> None:
    models = Models(correlation, 0.75)
    (found,) = promoted(YEARS, singles(192), models, rhythm, now(rhythm))
    assert found <= 100 * (0.05 + LUCK)


def test_nor_with_a_decision_every_hour_for_a_month() -> None:
    models = Models(0.2, 0.75)
    (found,) = promoted(YEARS, singles(192), models, HOURLY, now(HOURLY), tries=720)
    assert found <= 100 * (0.05 + LUCK)


def test_nor_where_all_photos_are_in_bursts() -> None:
    rules = (before(WEEKLY), now(WEEKLY))
    photos, pictures = promoted(YEARS, bursts(808, 1, 4), Models(0.2, 0.75), WEEKLY, *rules)
    assert pictures <= 100 * (0.05 + LUCK) < photos


def test_without_the_budget_it_happens_in_every_fourth() -> None:
    (found,) = promoted(YEARS, singles(400), Models(0.9, 0.75), WEEKLY, usual(WEEKLY))
    assert found > 12


def test_a_model_that_is_much_better_is_found_within_the_year() -> None:
    (found,) = promoted(YEARS, singles(808), Models(0.9, 0.97, 0.02), WEEKLY, now(WEEKLY))
    assert found > 90


@pytest.mark.parametrize(("pictures", "promotions"), [(192, 10), (808, 40)])
def test_fresh_models_that_are_as_good_follow_one_another(pictures: int, promotions: int) -> None:
    found = fresh(YEARS, singles(pictures), Models(0.9, 0.97), WEEKLY, now(WEEKLY))
    assert found.promotions > promotions


@pytest.mark.parametrize(("photos", "most"), [(808, 100 * (0.05 + LUCK)), (192, 60)])
def test_a_model_that_is_worse_by_the_margin_rarely_ends_a_year_where_the_photos_allow_it(
    photos: int, most: float
) -> None:
    found = fresh(YEARS, singles(photos), Models(0.9, 0.97, -MARGIN), WEEKLY, now(WEEKLY))
    assert found.worse <= most


def test_small_losses_do_not_add_up_since_the_best_champion_is_not_forgotten() -> None:
    drifting = (YEARS, singles(808), Models(0.9, 0.97, -0.01), WEEKLY, before(WEEKLY))
    guarded = fresh(*drifting, adds_up=True)
    unguarded = fresh(*drifting, adds_up=True, against_best=False)
    assert guarded.loss <= 100 * MARGIN
    assert unguarded.loss > 300 * MARGIN
