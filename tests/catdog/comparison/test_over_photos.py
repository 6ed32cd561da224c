import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.comparison.over_photos import (
    Paired,
    Table,
    holm,
    mcnemar,
    p_equivalent,
)

cells = st.integers(0, 60)
tables = st.builds(Table, both=cells, only_first=cells, only_second=cells, neither=cells).filter(
    lambda table: table.n > 0
)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def table(a: int, b: int, c: int, d: int) -> Table:
    return Table(both=a, only_first=b, only_second=c, neither=d)


def swapped(t: Table) -> Table:
    return table(t.both, t.only_second, t.only_first, t.neither)


def test_mcnemar_as_in_the_vignette_of_r_exact2x2() -> None:
    """Fay, "Exact McNemar's Test and Matching Confidence Intervals": 21, 9, 2, 12."""
    assert mcnemar(table(21, 9, 2, 12)) == pytest.approx(0.06543, abs=5e-6)


def test_mcnemar_of_equal_models_is_no_evidence() -> None:
    assert mcnemar(table(90, 0, 0, 10)) == 1


@pytest.mark.parametrize("counts", [(0, 14, 5, 173), (1, 1, 7, 12), (30, 0, 9, 61), (50, 20, 0, 0)])
def test_paired_interval_is_the_melding_of_fay_and_lumbard(
    counts: tuple[int, int, int, int],
) -> None:
    """Their Monte Carlo algorithm: the share of discordant photos times who wins them."""
    t, rng, draws = table(*counts), np.random.default_rng(5), 400_000

    def beta(a: int, b: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return rng.beta(a, b, draws) if a and b else np.full(draws, float(a > 0))

    m, wins = t.discordant, t.only_first
    low_wins, high_wins = beta(wins, m - wins + 1), beta(wins + 1, m - wins)
    shares = beta(m, t.n - m + 1), beta(m + 1, t.n - m)
    low = min(np.quantile(share * (2 * low_wins - 1), 0.025) for share in shares)
    high = max(np.quantile(share * (2 * high_wins - 1), 0.975) for share in shares)
    found = Paired(t).interval()
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-3)


def test_interval_and_test_agree_where_they_used_not_to() -> None:
    """14 against 5 had an interval of +0.1 to +9.7 points next to p = 0.064."""
    t = table(173, 14, 5, 0)
    assert mcnemar(t) == pytest.approx(0.0636, abs=1e-4)
    assert Paired(t).interval().low < 0


def test_two_models_without_a_difference_may_still_differ_a_little() -> None:
    found = Paired(table(186, 0, 0, 6)).interval()
    assert found.high == -found.low == pytest.approx(1 - 0.025 ** (1 / 192), abs=1e-4)


def test_holm_by_hand() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 may not fall below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@pytest.mark.parametrize(("n", "pairs", "photos"), [(192, 1, 6), (192, 6, 8), (5, 1, None)])
def test_smallest_attainable_difference(n: int, pairs: int, photos: int | None) -> None:
    found = Paired(table(n, 0, 0, 0)).attainable(0.05 / pairs)
    assert found == (photos and photos / n)
    if photos:
        assert mcnemar(table(0, photos, 0, 0)) < 0.05 / pairs <= mcnemar(table(0, photos - 1, 0, 0))


@given(discordant=st.integers(0, 192), pairs=st.integers(1, 6))
def test_the_smallest_attainable_difference_is_significant_and_no_smaller_one(
    discordant: int, pairs: int
) -> None:
    alpha = 0.05 / pairs
    lost = discordant // 2
    found = Paired(table(192 - discordant, discordant - lost, lost, 0)).attainable(alpha)
    assert found is not None
    photos = max(discordant, math.floor(2 - math.log2(alpha)))
    wins = round((found * 192 + photos) / 2)
    assert mcnemar(table(192 - photos, wins, photos - wins, 0)) < alpha
    assert mcnemar(table(192 - photos, wins - 1, photos - wins + 1, 0)) >= alpha


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    n, alpha, rng = 192, 0.05, np.random.default_rng(3)
    share = 40 / n
    found = Paired(table(152, 20, 20, 0)).detectable(alpha)
    assert found is not None
    wins = (share + found) / 2
    cells = rng.multinomial(n, [wins, share - wins, 1 - share], 4_000)
    p = [mcnemar(table(0, int(a), int(b), int(c))) for a, b, c in cells]
    assert np.mean(np.array(p) < alpha) == pytest.approx(0.8, abs=0.02)
    assert found > 2 * 6 / n  # far above the smallest attainable one


def test_few_photos_detect_nothing() -> None:
    assert Paired(table(5, 0, 0, 0)).detectable(0.05) is None


@pytest.mark.parametrize("margin", [0.01, 0.02, 0.05])
def test_equivalence_is_a_90_percent_interval_within_the_margin(margin: float) -> None:
    for t in (table(2990, 4, 5, 0), table(2900, 30, 30, 0), table(180, 1, 1, 10)):
        pair = Paired(t)
        low, high = (pair.p_above(-margin), pair.p_below(margin))
        assert p_equivalent(pair, margin) == max(low, high)
    assert p_equivalent(Paired(table(2990, 4, 5, 0)), 0.01) < 0.05
    assert p_equivalent(Paired(table(180, 1, 1, 10)), 0.01) > 0.05


@settings(deadline=None, max_examples=60)
@given(tables)
def test_interval_excludes_zero_exactly_when_the_test_rejects(t: Table) -> None:
    found = Paired(t).interval()
    assert (found.low > 0 or found.high < 0) == (mcnemar(t) < 0.05)


@settings(deadline=None, max_examples=60)
@given(tables)
def test_interval_holds_the_difference_and_mirrors(t: Table) -> None:
    found, mirrored = Paired(t).interval(), Paired(swapped(t)).interval()
    difference = (t.only_first - t.only_second) / t.n
    assert -1 <= found.low <= difference + 1e-12
    assert difference - 1e-12 <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((-mirrored.high, -mirrored.low))


@settings(deadline=None, max_examples=60)
@given(tables)
def test_mcnemar_is_symmetric_and_ignores_what_both_share(t: Table) -> None:
    assert mcnemar(t) == pytest.approx(mcnemar(swapped(t)))
    assert mcnemar(t) == mcnemar(t.model_copy(update={"both": 0, "neither": 3}))


@settings(deadline=None, max_examples=60)
@given(p_values)
def test_holm_only_raises_keeps_the_order_and_stays_a_probability(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(raw <= new <= 1 for raw, new in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
    assert min(adjusted) == pytest.approx(min(1, min(p) * len(p)))


@pytest.mark.parametrize(("n", "lost"), [(500, 6), (500, 9), (300, 9), (192, 0)])
def test_a_small_p_of_not_being_worse_is_as_exact_as_the_levels_that_ask_for_it(
    n: int, lost: int
) -> None:
    """Without a won photo it is the exact p of so few discordant photos (Clopper and Pearson)."""
    from scipy.stats import binom

    exact = binom.cdf(lost, n, 0.05)
    assert Paired(table(n - lost, 0, lost, 0)).p_above(-0.05) == pytest.approx(
        exact, rel=0.12, abs=2e-6
    )
