"""What a report says of a model that may leave photos unanswered."""

from collections.abc import Callable
from typing import Any

import pytest

from catdog.comparison.answers import RISKS
from catdog.comparison.compare import compare
from catdog.report.write import load_comparison, write_report

FakeRun = Callable[..., Any]


def test_only_the_best_model_on_validation_is_asked(fake_run: FakeRun) -> None:
    run = fake_run()
    assert [model.name for model, _ in run.study().leaders] == ["transfer"]
    assert fake_run(folds=4).study().leaders == []


def test_promises_are_made_where_they_can_be_and_else_refused(fake_run: FakeRun) -> None:
    run = fake_run()
    found = compare(run.study(evidence=[run.evidence("transfer")])).answers
    assert found is not None
    assert [promise.risk for promise in found.promises] == [risk for risk in RISKS if risk >= 0.01]
    answered = [promise.validation.answered for promise in found.promises]
    assert answered == sorted(answered)
    assert all(p.validation.wrong <= p.risk * p.validation.answered for p in found.promises)
    assert "A risk of 0.5 % cannot be promised" in found.refusal
    assert found.sentence.startswith("At most 1 % of its answers are wrong")
    assert found.flagged
    assert found.flagged.flagged == 2
    assert found.test.x[-1] == 1
    assert found.test.y[-1] == pytest.approx(0.9, abs=0.01)


def test_without_evidence_a_report_is_as_before(fake_run: FakeRun) -> None:
    run = fake_run()
    assert compare(run.study()).answers is None
    assert compare(run.study(evidence=[run.evidence("baseline")])).answers is None


def test_the_report_has_the_promises_and_their_figure(fake_run: FakeRun) -> None:
    run = fake_run()
    written = write_report(run.study(evidence=[run.evidence("transfer")]), run.store)
    page = written.file("report.html").read_text(encoding="utf-8")
    assert "When it does not know" in page
    assert "for photos like the test photos" in page
    assert written.file("figures/answers.svg").is_file()
    assert "When it does not know" in written.file("report.md").read_text(encoding="utf-8")
    assert load_comparison(written).answers is not None
    plain = write_report(run.study(), run.store)
    assert plain.key != written.key
    assert "When it does not know" not in plain.file("report.html").read_text(encoding="utf-8")
