from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bursts import BURSTS, DESIGNS, KINDS, simulate
from catdog.comparison.compare import compare
from catdog.comparison.groups import Groups
from catdog.comparison.metrics import measure, share_interval, wilson_interval
from catdog.comparison.over_photos import cross

FakeRun = Callable[..., Any]
NONE, _, FIVES, _, TENS, _ = BURSTS

names = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=40).filter(
    lambda each: len(set(each)) > 1
)


def copied(run: Any, photos: Sequence[str]) -> None:
    """Make these photos of a run copies of the first of them."""
    first, *others = photos
    file = run.manifest.file("duplicates.csv")
    rows = pd.read_csv(file).loc[[0] * len(others)]
    rows.assign(path=others, other=first, action="kept").to_csv(file, index=False)


def on_test(run: Any) -> pd.DataFrame:
    table = run.results[-1].predictions.table()
    return table[table["split"] == "test"]


@given(names)
def test_the_variance_of_a_mean_is_that_of_sums_over_groups(of: list[str]) -> None:
    values = np.random.default_rng(len(of)).random((3, len(of)))
    cases = Groups(of).cases(values)
    n, k = len(of), len(set(of))
    assert cases.mean(axis=1) == pytest.approx(values.mean(axis=1))
    residuals = values - values.mean(axis=1, keepdims=True)
    sums = [residuals[:, [name == each for name in of]].sum(axis=1) for each in set(of)]
    expected = k / (k - 1) * np.square(sums).sum(axis=0) / n**2
    assert cases.var(axis=1, ddof=1) / k == pytest.approx(expected)


@settings(deadline=None, max_examples=10)
@given(names)
def test_copies_count_as_one_photo_whatever_is_measured(of: list[str]) -> None:
    """Every photo twice is as much as every photo once."""
    rng = np.random.default_rng(len(of))
    truth, p = rng.integers(0, 2, len(of)), rng.dirichlet((1, 1), len(of))
    twice = Groups(np.repeat(np.arange(len(of)).astype(str), 2))
    once = measure(truth, p, ("a", "b"))
    found = measure(np.repeat(truth, 2), np.repeat(p, 2, axis=0), ("a", "b"), twice)
    assert found.n == 2 * once.n
    for name in ("accuracy_interval", "log_loss_interval", "brier_interval", "auc_interval"):
        one, two = getattr(once, name), getattr(found, name)
        assert (one is None) == (two is None)
        if one:
            assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=1e-6)


def test_photos_that_are_alone_change_nothing() -> None:
    values = np.random.default_rng(1).random(50) < 0.8
    alone = Groups(map(str, range(50)))
    assert alone.cases(values) is values
    assert share_interval(values, alone) == wilson_interval(int(values.sum()), 50)
    assert alone.summary() is None


def test_a_picture_has_one_vote() -> None:
    groups = Groups("aaabbcd")
    first = np.array([1, 1, 0, 0, 1, 1, 0], dtype=bool)
    second = np.array([1, 0, 0, 1, 0, 0, 0], dtype=bool)
    table = cross(*groups.votes(first, second))
    assert (table.both, table.only_first, table.only_second, table.neither) == (1, 2, 0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_bursts_do_not_make_a_difference_significant(kind: Any) -> None:
    """At most 6 % of 300 comparisons, give or take two standard deviations."""
    found = simulate(kind, DESIGNS[0], FIVES, 192, 300)
    assert found.rejected[1] <= 0.06 + 2 * 0.0126
    assert found.covered[1] >= 0.93 - 2 * 0.0126
    before, after = (of for of in found.rejected)
    assert after <= before


def test_the_interval_over_seeds_holds_though_few_groups_have_errors() -> None:
    five_seeds = KINDS[2]
    _, covered = simulate(five_seeds, DESIGNS[1], TENS, 192, 200).covered
    assert covered > 0.9


def test_without_bursts_they_are_the_usual_tests() -> None:
    for kind in KINDS:
        found = simulate(kind, DESIGNS[1], NONE, 192, 20)
        assert found.rejected[0] == found.rejected[1]
        assert found.covered[0] == found.covered[1]


def test_the_comparison_says_how_many_photos_show_one_picture(fake_run: FakeRun) -> None:
    usual = compare(fake_run().study())
    run = fake_run()
    photos = on_test(run)["path"].tolist()
    copied(run, photos[:40])
    found = compare(run.study())
    assert usual.groups is None
    assert found.groups is not None
    assert (found.groups.photos, found.groups.shared, found.groups.groups) == (192, 40, 153)
    assert found.groups.sentence == (
        "40 of the 192 test photos belong together with others: they show the same picture, or "
        "are of one group. Accuracies are of all photos; in tests and intervals each of the 153 "
        "groups and single photos counts once. An accuracy is as precise as on 21 independent "
        "photos."
    )
    one, other = (c.model("transfer").test for c in (usual, found))
    assert one.accuracy == other.accuracy
    assert other.accuracy_interval.low < one.accuracy_interval.low - 0.02
    (pair,) = found.pairs
    assert pair.table is not None
    assert pair.table.n == 153
    assert found.sensitivity.startswith("With 192 test photos in 153 groups and 1 pair, ")


def test_copies_in_other_splits_are_no_groups_of_the_test_set(fake_run: FakeRun) -> None:
    run = fake_run()
    copied(run, ["train/cats/cats 001.jpg", "train/cats/cats 002.jpg", "test/cats/cats 001.jpg"])
    assert compare(run.study()).groups is None
