from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
import pytest

from benchmarks.collapses import Way, simulate
from catdog.comparison.compare import compare
from catdog.comparison.pairing import compare_runs
from catdog.report.render import comparison_table, render_html, render_markdown

FakeRun = Callable[..., Any]
ACCURACIES = {"baseline": 0.6, "middling": 0.8, "transfer": 0.97}


def collapse(run: Any, name: str, numbers: Iterable[int], but: int = 0) -> Any:
    """Let these trainings of a model give every photo the same class, but for so many."""
    for result in run.results:
        if result.name == name and (result.fold or result.seed) in numbers:
            file = result.predictions.file("predictions.csv")
            rows = pd.read_csv(file)
            rows[["p_cats", "p_dogs"]] = 0.6, 0.4
            rows.loc[: but - 1, ["p_cats", "p_dogs"]] = 0.4, 0.6
            rows["predicted"] = rows[["p_cats", "p_dogs"]].idxmax(axis="columns").str[2:]
            rows.to_csv(file, index=False)
    return run


def test_no_claim_is_made_about_a_way_of_training_that_collapses(fake_run: FakeRun) -> None:
    run = collapse(fake_run(repeats=5, accuracies=ACCURACIES), "baseline", [3])
    found = compare(run.study())
    (seen,) = found.collapsed
    assert (
        seen.told
        == "1 of 5 trainings of baseline gives all or nearly all photos one class (seed 3)"
    )
    pairs = {(p.first, p.second): p for p in found.pairs}
    pair = pairs["transfer", "baseline"]
    assert (pair.claim, pair.significant, pair.equivalent, pair.beats) == (
        False,
        False,
        False,
        None,
    )
    assert pair.p_value is pair.p_adjusted is pair.p_equivalent is None
    assert pair.sentence.startswith(
        f"No claim about transfer and baseline as ways of training: {seen.told}."
    )
    assert pairs["transfer", "middling"].significant
    verdict = found.verdict
    assert (verdict.winner, verdict.unclaimed, verdict.significant) == (
        "transfer",
        ("baseline",),
        False,
    )
    assert verdict.headline == (
        "transfer ranks first and is significantly better than middling on the test set, but no "
        "claim is made about baseline"
    )
    assert verdict.doubt == "no claim about baseline"
    assert ">In part<" in render_html(found, charts=[], galleries=defaultdict(list))
    assert verdict.caveat.endswith(
        f"{seen.told}: no claim is made about the training of baseline, and intervals of it are "
        "over photos alone."
    )
    assert found.repeats is not None
    assert found.repeats.models[0].collapsed == (3,)
    assert found.repeats.models[0].mean == pytest.approx((4 * 0.6 + 0.5) / 5, abs=0.01)


@pytest.mark.parametrize(("but", "seen"), [(2, [(3,)]), (40, [])])
def test_a_training_that_hardly_predicts_another_class_collapsed(
    but: int, seen: list[tuple[int, ...]], fake_run: FakeRun
) -> None:
    run = collapse(fake_run(repeats=3), "baseline", [3], but=but)
    assert [each.which for each in compare(run.study()).collapsed] == seen


def test_a_report_with_no_claim_reads_well(fake_run: FakeRun) -> None:
    run = collapse(fake_run(repeats=3), "transfer", [2])
    found = compare(run.study())
    assert found.verdict.headline == (
        "transfer ranks first, but no claim is made: some of its trainings give all or nearly all "
        "photos one class"
    )
    assert "over photos alone" in found.verdict.evidence
    page = render_html(found, charts=[], galleries=defaultdict(list))
    assert "no claim about baseline" in page
    assert ">no claim<" in page
    assert ">No claim<" in page
    assert "| no claim |" in render_markdown(found, pictures=[])
    assert comparison_table(found)


def test_without_a_collapse_the_claims_say_what_they_leave_out(fake_run: FakeRun) -> None:
    found = compare(fake_run(repeats=5).study())
    assert found.collapsed == ()
    assert found.verdict.caveat.endswith(
        "A failure that none of 5 trainings shows may still befall up to 45.1 % of them, and is "
        "left out."
    )


def test_one_trained_model_that_collapsed_is_compared_as_what_it_is(fake_run: FakeRun) -> None:
    found = compare(collapse(fake_run(), "baseline", [1]).study())
    assert found.pairs[0].significant
    assert found.verdict.caveat.endswith(
        "1 of 1 training of baseline gives all or nearly all photos one class (seed 1)."
    )


def test_a_fold_that_collapses_leaves_the_test_of_the_trained_models(fake_run: FakeRun) -> None:
    found = compare(collapse(fake_run(folds=4, accuracies=ACCURACIES), "baseline", [2]).study())
    (seen,) = found.collapsed
    assert seen.told.endswith("(fold 2)")
    claims = {(p.first, p.second): (p.claim, p.p_value is None, p.trained_p) for p in found.pairs}
    assert claims["transfer", "baseline"][:2] == (False, True)
    assert claims["transfer", "middling"][:2] == (True, False)
    assert all(p is not None and p < 0.001 for _, _, p in claims.values())


def test_past_runs_are_compared_in_the_same_way(fake_run: FakeRun, tmp_path: Any) -> None:
    runs = fake_run(repeats=3), collapse(fake_run(repeats=3), "baseline", [1, 2])
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for run, file in zip(runs, files, strict=True):
        tables = [r.predictions.table() for r in run.results]
        pd.concat(tables).to_csv(file, index=False)
    found = compare_runs(*files, names=("one", "two"), margin=0.02)
    assert [pair.claim for pair in found.pairs] == [False, True]
    assert (
        "2 of 3 trainings of two: baseline give all or nearly all photos one class (seeds 1 and 2)"
        in found.caveat
    )


@pytest.mark.parametrize("seeds", [3, 5])
def test_claims_hold_of_the_trainings_that_learn(seeds: int) -> None:
    """Of 1,000 simulated pairs at most 6 % are called different, where they are not."""
    found = simulate(Way(0.75, same="learning"), seeds, 192, 1_000)
    assert found.rejected <= 0.06
    assert found.covered >= 0.93
    assert found.claims == pytest.approx(0.75**seeds, abs=0.05)
