import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.comparison.significance import (
    Table,
    attainable_difference,
    compare_pairs,
    holm,
    judge,
    mcnemar,
    paired_interval,
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


def test_paired_interval_as_in_fagerland_lydersen_laake() -> None:
    """Statistical Analysis of Contingency Tables (2017), chapter 8, data of Cavo et al. 2012."""
    found = paired_interval(table(59, 6, 16, 80))
    assert (found.low, found.high) == pytest.approx((-0.1186, -0.0046), abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((36, 14, 0, 0), 0.1528, 0.4167),
        ((35, 14, 0, 1), 0.1461, 0.4175),
        ((18, 14, 0, 18), 0.1441, 0.3963),
        ((1, 97, 1, 1), 0.8736, 0.9850),
        ((54, 0, 0, 0), -0.0664, 0.0664),
    ],
)
def test_paired_interval_as_in_newcombe_1998_table_3(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = paired_interval(table(*counts))
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_holm_by_hand() -> None:
    """0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 may not fall below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@pytest.mark.parametrize(
    ("n", "pairs", "photos", "difference"),
    [(192, 1, 6, 6 / 192), (192, 6, 8, 8 / 192), (5, 1, 6, None)],
)
def test_attainable_difference(n: int, pairs: int, photos: int, difference: float | None) -> None:
    found = attainable_difference(n, pairs)
    assert (found.photos, found.difference) == (photos, difference)
    assert mcnemar(table(0, photos, 0, 0)) < 0.05 / pairs
    assert mcnemar(table(0, photos - 1, 0, 0)) >= 0.05 / pairs


def test_a_pair_is_told_in_one_sentence_with_the_better_model_first() -> None:
    right = {
        "weak": np.arange(192) < 115,
        "strong": np.arange(192) < 186,
        "twin": np.arange(192) >= 6,
    }
    tests = {(t.first, t.second): t for t in compare_pairs(right)}
    assert tests["strong", "weak"].sentence == (
        "strong is significantly better than weak: +37.0 percentage points, "
        "95 % CI +30.0 to +43.9 (Holm-adjusted p < 0.001)."
    )
    twins = tests["strong", "twin"]
    assert not twins.significant
    assert "No significant difference between strong and twin on 192 test photos" in twins.sentence
    assert twins.p_value == 1


def test_a_lead_that_only_many_pairs_put_in_doubt_is_not_called_equality() -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    doubtful = judge(pairs, [table(50, 11, 2, 37), table(60, 5, 4, 31), table(50, 9, 8, 33)])[0]
    assert doubtful.p_value < 0.05 < doubtful.p_adjusted
    assert doubtful.sentence.startswith("No significant difference between a and b on 100")
    assert doubtful.sentence.endswith("(Holm-adjusted p = 0.067, unadjusted p = 0.022).")


@settings(deadline=None, max_examples=60)
@given(tables)
def test_interval_holds_the_difference_and_mirrors(t: Table) -> None:
    found, mirrored = paired_interval(t), paired_interval(swapped(t))
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
