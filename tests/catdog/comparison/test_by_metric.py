"""With another metric than accuracy the winner, the tests, the intervals and the words are its."""

from collections.abc import Callable

import pytest

from catdog.comparison.compare import Comparison, compare
from catdog.comparison.pairing import compare_runs
from catdog.errors import SettingsError
from catdog.metric import Metric
from catdog.report.write import write_report
from catdog.settings import Comparing
from catdog.wording import FEW
from tests.catdog.conftest import Run

METRICS = ["balanced-accuracy", "macro-f1", "recall:dogs"]
ACCURACIES = {"careful": 0.9, "careless": 0.6}


def by(metric: str, run: Run) -> Comparison:
    return compare(run.study(comparing=Comparing(metric=metric)))


@pytest.mark.parametrize("design", [{}, {"repeats": 3}, {"folds": 3}], ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_all_that_ranks_and_tests_is_of_the_metric(
    metric: str, design: dict[str, int], fake_run: Callable[..., Run]
) -> None:
    found = by(metric, fake_run(accuracies=ACCURACIES, **design))
    label = Metric(metric).label
    assert found.metric.name == metric
    assert label in found.verdict.headline
    assert found.verdict.evidence.count(label.removesuffix(" of dogs"))
    (pair,) = found.pairs
    means = [found.accuracy(found.model(name))[0] for name in (pair.first, pair.second)]
    assert pair.difference == pytest.approx(means[0] - means[1], abs=1e-6)
    assert pair.first == "careful"
    assert pair.significant == (pair.interval.low > 0)
    assert pair.significant or "folds" in design
    for model in found.models:
        value, interval = found.accuracy(model)
        assert interval.low <= value <= interval.high


def test_a_recall_is_of_the_photos_of_its_class(fake_run: Callable[..., Run]) -> None:
    run = fake_run(accuracies=ACCURACIES)
    found, plain = by("recall:dogs", run), by("accuracy", run)
    for model, same in zip(found.models, plain.models, strict=True):
        dogs = same.test.classes[1]
        score = model.test.score
        assert (score.value, score.n, score.interval) == (dogs.recall, dogs.n, dogs.recall_interval)
    (pair,) = found.pairs
    assert pair.table is not None
    assert pair.table.n == plain.models[0].test.classes[1].n


def test_accuracy_leaves_no_trace_in_the_files(fake_run: Callable[..., Run]) -> None:
    text = by("accuracy", fake_run()).model_dump_json()
    assert not [name for name in ("judged_by", "chosen", "val_metric") if f'"{name}"' in text]


def test_a_report_says_what_it_means_by_its_numbers(fake_run: Callable[..., Run]) -> None:
    run = fake_run(accuracies=ACCURACIES)
    study = run.study(comparing=Comparing(metric="balanced-accuracy"))
    report = write_report(study, run.store)
    for name in ("report.md", "report.html"):
        text = report.file(name).read_text(encoding="utf-8")
        assert "balanced accuracy" in text
        assert "permutation test" in text
        assert "McNemar" not in text


def test_runs_are_compared_by_a_metric(fake_run: Callable[..., Run]) -> None:
    files = []
    for accuracies in (ACCURACIES, {"careful": 0.6, "careless": 0.6}):
        run = fake_run(accuracies=accuracies)
        files.append(write_report(run.study(), run.store).file("predictions.csv"))
    found = compare_runs(*files, names=("one", "two"), margin=0.02, metric=Metric("macro-f1"))
    assert found.pairs[0].first == "one: careful"
    assert "by macro-F1" in found.pairs[0].sentence
    with pytest.raises(SettingsError, match="no class 'cows'"):
        compare_runs(*files, names=("one", "two"), margin=0.02, metric=Metric("recall:cows"))


def test_what_accuracy_hides_is_told_where_a_class_is_rare(fake_run: Callable[..., Run]) -> None:
    found = by("accuracy", fake_run())
    assert found.unequal == ""
    counts = {part: {"cats": 95, "dogs": 5} for part in found.quality.counts}
    quality = found.quality.model_copy(update={"counts": counts})
    rare = found.model_copy(update={"quality": quality, "majority": 0.95})
    assert "dogs has 5.0 % of the photos" in rare.unequal
    assert "95.0 %" in rare.unequal
    assert "--metric balanced-accuracy" in rare.unequal
    assert not rare.model_copy(update={"judged_by": "macro-f1"}).unequal
    many = (*rare.classes, *map(str, range(FEW)))
    assert not rare.model_copy(update={"classes": many}).unequal
