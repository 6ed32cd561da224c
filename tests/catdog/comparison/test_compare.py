import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from catdog.comparison import published
from catdog.comparison.compare import Comparison, compare
from catdog.errors import PhotosError, TrainingError
from catdog.report.render import comparison_table
from catdog.settings import Comparing
from catdog.sources import official
from catdog.store.artifacts import ModelResult
from catdog.wording import percent

FakeRun = Callable[..., Any]


def compared(run: Any, **settings: Any) -> Comparison:
    return compare(run.study(settings=settings))


def test_every_number_comes_from_the_predictions(fake_run: FakeRun) -> None:
    run = fake_run()
    found = compared(run)
    table = pd.read_csv(run.results[1].predictions.file("predictions.csv"))
    for split in ("validation", "test"):
        rows = table[table["split"] == split]
        metrics = getattr(found.model("transfer"), split)
        assert metrics.accuracy == (rows["label"] == rows["predicted"]).mean()
        p = rows["p_dogs"] / (rows["p_cats"] + rows["p_dogs"])
        assert metrics.brier == pytest.approx(((p - (rows["label"] == "dogs")) ** 2).mean())


def test_a_clear_winner_is_significantly_better(fake_run: FakeRun) -> None:
    verdict = compared(fake_run()).verdict
    assert (verdict.winner, verdict.rival, verdict.significant) == ("transfer", "baseline", True)
    assert verdict.headline == (
        "transfer is the best of these trained models: significantly better than baseline on the "
        "test set"
    )
    assert verdict.pair is not None
    assert verdict.pair.difference == pytest.approx(0.37, abs=0.005)
    assert (
        "transfer classifies 186 of 192 test photos correctly: accuracy 96.9 % (95 % CI 93.4 "
        in verdict.evidence
    )
    assert "The fastest to train, baseline, took 15.0 s." in verdict.cost


def test_a_winner_among_three_is_compared_with_each_other(fake_run: FakeRun) -> None:
    verdict = compared(fake_run(accuracies={"one": 0.9, "two": 0.7, "three": 0.65})).verdict
    assert verdict.significant
    assert verdict.headline == (
        "one is the best of these trained models: significantly better than every other model on "
        "the test set"
    )


def test_models_without_a_significant_difference_are_not_ranked_for_sure(
    fake_run: FakeRun,
) -> None:
    verdict = compared(fake_run(accuracies={"one": 0.93, "two": 0.92, "three": 0.91})).verdict
    assert not verdict.significant
    assert verdict.undecided == ("two", "three")
    assert verdict.headline == (
        "one ranks first of these trained models, but is not significantly better than two "
        "and three on the test set"
    )


def test_the_winner_is_chosen_on_validation_even_when_test_disagrees(fake_run: FakeRun) -> None:
    run = fake_run(accuracies={"steady": 0.7, "lucky": 0.95})
    lucky = run.results[1]
    file = lucky.predictions.file("predictions.csv")
    rows = pd.read_csv(file)
    validation = rows["split"] == "validation"
    rows.loc[validation, ["p_cats", "p_dogs"]] = rows.loc[
        validation, ["p_dogs", "p_cats"]
    ].to_numpy()
    rows["predicted"] = np.where(rows["p_cats"] > rows["p_dogs"], "cats", "dogs")
    rows.to_csv(file, index=False)
    verdict = compared(run).verdict
    assert verdict.winner == "steady"
    assert verdict.better == ("lucky",)
    assert verdict.headline == (
        "steady was best of these trained models on validation, but lucky is significantly "
        "better on the test set"
    )


def test_a_model_no_better_than_the_majority_class_is_not_praised(fake_run: FakeRun) -> None:
    verdict = compared(fake_run(accuracies={"coin": 0.52})).verdict
    assert not verdict.beats_majority
    assert verdict.headline == (
        "coin is not shown to be better than always predicting the most frequent class"
    )


def test_a_failed_model_is_reported_and_the_others_compared(fake_run: FakeRun) -> None:
    found = compared(fake_run(failed={"broken": "out of memory"}))
    assert [(f.name, f.error) for f in found.failed] == [("broken", "out of memory")]
    assert [m.name for m in found.models] == ["baseline", "transfer"]
    assert comparison_table(found)[-1] == {
        "model": "broken",
        **dict.fromkeys(list(comparison_table(found)[0])[1:], ""),
        "validation accuracy": "failed",
    }


def test_nothing_to_compare_names_each_reason(fake_run: FakeRun) -> None:
    run = fake_run(accuracies={}, failed={"a": "no weights", "b": "killed"})
    with pytest.raises(TrainingError, match="a: no weights; b: killed"):
        compared(run)


def test_predictions_of_other_photos_are_refused(fake_run: FakeRun) -> None:
    one, two = fake_run(), fake_run(counts={"train": 4, "validation": 12, "test": 10})
    one.results[1] = two.results[1]
    with pytest.raises(PhotosError, match="not evaluated on the same photos"):
        compared(one)


def test_three_seeds_make_claims_about_the_ways_of_training(fake_run: FakeRun) -> None:
    found = compared(fake_run(repeats=3, accuracies={"a": 0.9, "b": 0.7}))
    assert found.repeats is not None
    assert found.repeats.stable
    assert [m.seeds for m in found.repeats.models] == [(1, 2, 3)] * 2
    assert [m.seed for m in found.models] == [1, 1]
    assert [p.seeds for p in found.pairs] == [(3, 3)]
    verdict = found.verdict
    assert verdict.headline == "a is the best model: significantly better than b on the test set"
    assert verdict.standing.interval == found.repeats.models[0].interval
    assert "The mean accuracy of a over 3 seeds on 192 test photos is 90.1 %" in verdict.evidence
    assert "5 seeds of each model are better" in verdict.caveat
    assert comparison_table(found)[0]["mean over seeds"].startswith("90.1 % (95 % CI ")
    assert compared(fake_run()).repeats is None


def test_the_winner_has_the_best_mean_on_validation_not_the_luckiest_first_seed(
    fake_run: FakeRun,
) -> None:
    run = fake_run(repeats=3, accuracies={"lucky": 0.8, "steady": 0.75})
    collapsed = [r for r in run.results if r.name == "lucky" and r.seed > 1]
    for result in collapsed:
        file = result.predictions.file("predictions.csv")
        rows = pd.read_csv(file)
        rows["predicted"] = "cats"
        rows.to_csv(file, index=False)
    found = compared(run)
    assert found.verdict.winner == "steady"
    assert not found.verdict.significant
    run.results[:] = [r for r in run.results if r.seed == 1]
    assert compared(run).verdict.winner == "lucky"


def test_failed_seeds_are_counted_and_too_few_are_left_for_a_claim_about_training(
    fake_run: FakeRun,
) -> None:
    run = fake_run(repeats=3)
    run.results[-1] = ModelResult(name="transfer", seed=3, error="killed")
    found = compared(run)
    assert found.repeats is not None
    assert [m.failed for m in found.repeats.models] == [(), (3,)]
    assert found.pairs[0].seeds is None
    assert "another seed may give another result" in found.verdict.caveat


def test_the_margin_of_equivalence_is_a_setting(fake_run: FakeRun) -> None:
    run = fake_run(accuracies={"a": 0.9, "b": 0.9})
    wide = Comparing(equivalence_margin=0.2)
    assert compare(replace(run.study(), comparing=wide)).pairs[0].equivalent
    assert not compare(run.study()).pairs[0].equivalent


def test_published_results_stand_only_beside_the_official_photos(fake_run: FakeRun) -> None:
    counts = {"train": 1000, "validation": 404, "test": 96}
    assert compared(fake_run(counts=counts)).published == ()


def test_a_source_is_official_by_the_bytes_of_its_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    names = official.NAMES
    rows = [{"path": f"photos/{name}", "sha256": f"{n:064}"} for n, name in enumerate(names)]
    known = {r["sha256"] for r in rows if not r["path"].endswith(official.UNVERIFIED)}
    monkeypatch.setattr(official, "DIGEST", official._digest(known))
    one_less = [r for r in rows if not r["path"].endswith(official.UNVERIFIED)]
    for source, missing in ((rows, ()), (one_less, (official.UNVERIFIED,))):
        assert len(published.published_results(source)) == len(official.PUBLISHED)
        assert official.missing_official(source) == missing
    assert not published.published_results([rows[0] | {"sha256": "f" * 64}, *rows[1:]])
    assert not published.published_results(rows[1:])


def test_the_published_accuracies_are_those_that_were_printed() -> None:
    results = [published.Published(**r._asdict()) for r in official.PUBLISHED]
    draft, final = (
        [percent(r.accuracy) for r in results if (r.split, r.revision) == ("validation", of)]
        for of in ("draft", "post")
    )
    assert final == ["60.6 %", "68.2 %", "77.2 %", "98.4 %"]
    assert draft == ["57.9 %", "57.6 %", "73.3 %", "97.9 %"]
    (tested,) = [r for r in results if (r.split, r.revision) == ("test", "post")]
    assert round(tested.interval.low, 3) == 0.963
    assert round(tested.interval.high, 3) == 0.997


def test_the_selected_seed_is_told_where_its_model_is(fake_run: FakeRun) -> None:
    found = compared(fake_run())
    assert found.seed_remark("baseline") == ""  # the fake seeds are others
    lucky = found.models[0].model_copy(update={"seed": 42})
    found = found.model_copy(update={"models": (lucky, *found.models[1:])})
    assert found.seed_remark("baseline") == ""  # it was selected on the official photos
    results = tuple(published.Published(**r._asdict()) for r in official.PUBLISHED)
    found = found.model_copy(update={"published": results})
    assert "may stay at 50 %" in found.seed_remark("baseline", "transfer")
    assert found.seed_remark("transfer") == ""


def test_data_quality_is_carried_over(fake_run: FakeRun) -> None:
    quality = compared(fake_run()).quality
    assert quality.counts["test"] == {"cats": 96, "dogs": 96}
    assert quality.excluded[0].reason == "cannot be decoded"
    assert quality.duplicates[0].action == "dropped"
    assert {s.measure for s in quality.spreads} == {"width", "height", "bytes", "brightness"}
    assert all(list(s.quantiles) == sorted(s.quantiles) for s in quality.spreads)


def test_it_survives_json(fake_run: FakeRun) -> None:
    found = compared(fake_run(classes=("NA", "001", "naïve"), repeats=2), command="catdog run")
    text = json.dumps(found.model_dump(mode="json"), allow_nan=False)
    assert Comparison.model_validate_json(text) == found
    assert found.classes == ("NA", "001", "naïve")
    assert [s.label for s in found.models[0].test.classes] == ["NA", "001", "naïve"]


def test_a_result_without_a_reason_still_counts_as_failed(fake_run: FakeRun) -> None:
    run = fake_run()
    run.results.append(ModelResult(name="lost", seed=1))
    assert compared(run).failed[0].error == "no reason was recorded"


def test_a_cross_validation_is_scored_on_all_photos_together(fake_run: FakeRun) -> None:
    run = fake_run(folds=4)
    found = compare(run.study())
    photos = len(run.arrays.paths("all"))
    transfer = found.model("transfer")
    assert (found.folds, transfer.test.n, transfer.validation.n) == (4, photos, photos)
    tables = [r.predictions.table() for r in run.results if r.name == "transfer"]
    right = sum((t["predicted"] == t["label"])[t["split"] == "test"].sum() for t in tables)
    assert transfer.test.correct == right
    assert found.verdict.winner == "transfer"
    (pair,) = found.pairs
    assert (pair.folds, pair.seeds, pair.table) == (4, None, None)
    assert pair.trained_p is not None
    assert pair.trained_detectable is not None
    assert "Over 4 folds" in pair.sentence
    assert "4-fold cross-validation" in found.verdict.headline
    assert found.verdict.standing.interval == transfer.test.accuracy_interval
    assert found.repeats is not None
    assert (found.repeats.unit, found.repeats.models[0].seeds) == ("fold", (1, 2, 3, 4))
    assert found.repeats.models[1].mean == pytest.approx(transfer.test.accuracy, abs=0.002)
    assert sum(sum(counts.values()) for counts in found.quality.counts.values()) == photos
    assert list(found.quality.counts) == [f"fold {n}" for n in range(1, 5)]


def test_a_model_that_lacks_a_fold_is_not_compared(fake_run: FakeRun) -> None:
    found = compare(fake_run(folds=4, failed={"baseline": "out of memory"}).study())
    assert [model.name for model in found.models] == ["transfer"]
    assert found.failures == "baseline (fold 1)"
    alone = fake_run(folds=4, accuracies={"a": 0.9}, failed={"a": "out of memory"}).study()
    assert not alone.compared
    with pytest.raises(TrainingError, match=r"for every fold \(a: out of memory\)"):
        compare(alone)


def test_labels_are_checked_where_a_model_is_accurate_enough(fake_run: FakeRun) -> None:
    run = fake_run(folds=4)
    found = compare(run.study()).labels
    assert found is not None
    assert (found.model, found.photos) == ("transfer", len(run.arrays.paths("all")))
    tables = pd.concat([r.predictions.table() for r in run.results if r.name == "transfer"])
    tested = tables[tables["split"] == "test"]
    wrong = set(tested.loc[tested["predicted"] != tested["label"], "path"])
    assert {issue.path for issue in found.issues} <= wrong
    assert found.issues
    assert compare(fake_run(folds=4, accuracies={"a": 0.7}).study()).labels is None
    assert compare(fake_run().study()).labels is None


@pytest.mark.parametrize("options", [{"repeats": 3}, {"folds": 4}])
def test_times_are_medians_of_all_trainings(fake_run: FakeRun, options: dict[str, int]) -> None:
    run = fake_run(accuracies={"a": 0.9}, **options)
    slow = [
        r.model_copy(update={"model": r.model.model_copy(update={"seconds": 10.0**i})})
        for i, r in enumerate(run.results)
    ]
    times = [10.0**i for i in range(len(slow))]
    assert compare(run.study(results=slow)).model("a").seconds == np.median(times)


def test_folds_that_were_trained_with_one_seed_are_told_apart(fake_run: FakeRun) -> None:
    run = fake_run(folds=4)
    same = [
        r.model_copy(update={"seed": 1, "model": r.model.model_copy(update={"seed": 1})})
        for r in run.results
    ]
    found, usual = (compare(run.study(results=results)) for results in (same, run.results))
    assert found.model("transfer").test == usual.model("transfer").test
    assert found.pairs == usual.pairs
