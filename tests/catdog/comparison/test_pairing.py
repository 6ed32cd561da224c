from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from catdog.comparison.pairing import compare_runs
from catdog.errors import PhotosError

FakeRun = Callable[..., Any]
NAMES = ("monday", "tuesday")


def stacked(run: Any, path: Path) -> Path:
    tables = [pd.read_csv(r.predictions.file("predictions.csv")) for r in run.results]
    pd.concat(tables).to_csv(path, index=False)
    return path


def test_namesakes_are_paired_photo_by_photo_in_whatever_order(
    fake_run: FakeRun, tmp_path: Path
) -> None:
    first = stacked(fake_run(repeats=2), tmp_path / "a.csv")
    second = stacked(fake_run(accuracies={"transfer": 0.6, "new": 0.5}), tmp_path / "b.csv")
    pd.read_csv(second).sample(frac=1, random_state=1).to_csv(second, index=False)
    found = compare_runs(first, second, names=NAMES, margin=0.02)
    (pair,) = found.pairs
    assert (pair.first, pair.second) == ("monday: transfer", "tuesday: transfer")
    assert pair.significant
    assert pair.difference == pytest.approx(0.97 - 0.6, abs=0.01)
    assert (found.photos, found.unpaired) == (192, ("baseline", "new"))
    assert [s.accuracy for s in found.scores if s.run == "monday"] == pytest.approx(
        [0.6, 0.97], abs=0.01
    )


def test_a_run_and_itself_do_not_differ(fake_run: FakeRun, tmp_path: Path) -> None:
    same = stacked(fake_run(), tmp_path / "a.csv")
    found = compare_runs(same, same, names=NAMES, margin=0.02)
    assert [(p.difference, p.p_value, p.significant) for p in found.pairs] == [(0, 1, False)] * 2
    again = compare_runs(same, same, names=("monday", "monday"), margin=0.02)
    assert len(again.scores) == 4
    assert len(again.pairs) == 2


def test_without_a_shared_name_all_are_compared(fake_run: FakeRun, tmp_path: Path) -> None:
    first = stacked(fake_run(accuracies={"a": 0.6, "b": 0.7}), tmp_path / "a.csv")
    second = stacked(fake_run(accuracies={"c": 0.9}), tmp_path / "b.csv")
    found = compare_runs(first, second, names=NAMES, margin=0.02)
    assert [(p.first, p.second) for p in found.pairs] == [
        ("tuesday: c", "monday: a"),
        ("tuesday: c", "monday: b"),
    ]
    assert found.unpaired == ()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"classes": ("hens", "owls")}, "no test photo in common"),
        (
            {"counts": {"train": 4, "validation": 4, "test": 95}},
            r"2 test photos are only in monday .* \(such as test/cats/cats 095.jpg, cats\)",
        ),
    ],
)
def test_other_photos_cannot_be_paired(
    fake_run: FakeRun, tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    first = stacked(fake_run(), tmp_path / "a.csv")
    second = stacked(fake_run(**options), tmp_path / "b.csv")
    with pytest.raises(PhotosError, match=reason):
        compare_runs(first, second, names=NAMES, margin=0.02)


def test_three_seeds_of_both_runs_are_all_compared(fake_run: FakeRun, tmp_path: Path) -> None:
    first = stacked(fake_run(repeats=3), tmp_path / "a.csv")
    second = stacked(fake_run(repeats=4, accuracies={"transfer": 0.6}), tmp_path / "b.csv")
    found = compare_runs(first, second, names=NAMES, margin=0.02)
    assert found.pairs[0].seeds == (3, 4)
    assert [(s.run, s.trainings) for s in found.scores if s.model == "transfer"] == [
        ("monday", 3),
        ("tuesday", 4),
    ]
    assert "5 seeds of each model are better" in found.caveat


def test_cross_validations_are_paired_fold_by_fold(fake_run: FakeRun, tmp_path: Path) -> None:
    first = stacked(fake_run(folds=4), tmp_path / "a.csv")
    other = fake_run(folds=4, accuracies={"transfer": 0.6, "lost": 0.5}, failed={"lost": "no"})
    second = stacked_finished(other, tmp_path / "b.csv")
    found = compare_runs(first, second, names=NAMES, margin=0.02)
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.folds) == ("monday: transfer", "tuesday: transfer", 4)
    assert found.photos == 352
    assert {score.trainings for score in found.scores} == {4}
    assert "4 folds" in found.caveat


def test_a_cross_validation_is_not_paired_with_other_folds(
    fake_run: FakeRun, tmp_path: Path
) -> None:
    first = stacked(fake_run(folds=4), tmp_path / "a.csv")
    table = pd.read_csv(first)
    table["seed"] = table["path"].map({p: i % 3 for i, p in enumerate(table["path"].unique())})
    table.to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(PhotosError, match="not the same photos were held out together"):
        compare_runs(first, tmp_path / "b.csv", names=NAMES, margin=0.02)


def stacked_finished(run: Any, path: Path) -> Path:
    finished = [r for r in run.results if r.predictions]
    pd.concat([r.predictions.table() for r in finished]).to_csv(path, index=False)
    return path
