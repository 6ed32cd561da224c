"""A ruling in words: the sentence that its record keeps, and a page for the Prefect UI."""

from collections.abc import Iterator

from catdog.comparison.metrics import wilson_interval
from catdog.comparison.over_photos import POWER
from catdog.metric import ACCURACY, Metric
from catdog.promotion.decision import DEFAULT, Candidate, Decision, Outcome
from catdog.promotion.rules import BUDGETED_PHOTOS, FEWEST_PHOTOS, Ruling, Trial
from catdog.settings import Promotion
from catdog.wording import (
    FEW,
    ci,
    classes_text,
    counted,
    difference,
    p_text,
    percent,
    plain,
    points,
)

HEADINGS: dict[Outcome, str] = {
    "promoted": "A new champion",
    "kept": "The champion stays",
    "rolled-back": "Back to the earlier champion",
}
INSTEAD = "To use {new.name} all the same: 'catdog champion promote {new.run}{flag}'."
UNTESTED = {
    "first": "{new.title} is the first champion: {score}.",
    "by hand": "{new.title} was made champion by hand: {score}.",
    "champion lost": "{new.title} is champion, since the files of {old.title} are missing or "
    "damaged: {score}.",
    "real photos": "{new.title} is the first champion that was trained on real photos: {score}. It "
    "replaces {old.title}, which knew the drawn sample only.",
    "rollback": "{new.title} is champion again; {old.title} was taken back and will not be "
    "promoted again but by hand.",
    "same model": "{new.title} is the same model.",
    "sample": "{new.title} was trained on the drawn sample, which says nothing about real photos.",
    "rolled back before": "{new.name} is a model that was rolled back. " + INSTEAD,
    "other classes": "it knows {known}, but {new.title} knows {classes}. To use "
    "{new.name} all the same: 'catdog champion promote {new.run} --task {task}'; another task "
    "gives it a place of its own.",
    "too few photos": "{changed}{photos} that {both} were tested on are too few to compare "
    "({fewest} are needed). " + INSTEAD,
}
"""The rulings for which nothing was tested, by reason. Who is kept is said before."""


def task_flag(task: str) -> str:
    """What a command needs to be about this task."""
    return "" if task == DEFAULT else f" --task {task}"


def sentence(
    ruling: Ruling,
    new: Candidate,
    old: Candidate | None,
    promotion: Promotion | None,
    task: str = DEFAULT,
) -> str:
    """What became of the champion of a task and why, with what to do about it.

    new: the challenger, or the champion that is gone back to. old: the champion until now; None
    before the first. promotion: None where a person decided.
    """
    found = _sentence(ruling, new, old, promotion, task)
    if task == DEFAULT:
        return found
    use = "" if old else f" To use it: 'catdog predict{task_flag(task)}'."
    return f"Task {task}: {found}{use}"


def _sentence(
    ruling: Ruling, new: Candidate, old: Candidate | None, promotion: Promotion | None, task: str
) -> str:
    if promotion is None and ruling.outcome == "kept":
        return f"{new.title} is champion already."
    if old is None or promotion is None:
        return _untested(ruling, new, old, task)
    if ruling.trials:
        return " ".join(_tested(ruling, new, old, promotion))
    return _kept(ruling, old) + _untested(ruling, new, old, task)


def _kept(ruling: Ruling, old: Candidate) -> str:
    return f"{old.title} stays champion: " if ruling.outcome == "kept" else ""


def _untested(ruling: Ruling, new: Candidate, old: Candidate | None, task: str) -> str:
    shared, best = ruling.shared, ruling.best
    n = shared.n if shared else 0
    return UNTESTED[ruling.reason].format(
        new=new,
        old=old,
        score=score_text(new),
        classes=classes_text(sorted(new.classes)),
        known=classes_text(sorted(old.classes)) if old else "",
        n=n,
        photos=counted(n, "photo"),
        changed="" if shared and shared.same_test_set else "the test set has changed, and ",
        both=f"{new.name} and {best.title}, the best champion so far," if best else "both",
        fewest=FEWEST_PHOTOS,
        task=task,
        flag=task_flag(task),
    )


def _tested(ruling: Ruling, new: Candidate, old: Candidate, promotion: Promotion) -> Iterator[str]:
    """The outcome and its reason, the numbers, and how far they carry."""
    trial, worst = ruling.failed or ruling.trials[0], ruling.worst
    found, margin = _found(trial, ruling), _size(promotion.class_margin)
    if ruling.reason == "worse on a class" and worst:
        found += (
            f", but its recall of {worst.label} is {_size(worst.loss)} percentage points lower, "
            f"more than the {margin} allowed"
        )
    if ruling.outcome == "kept":
        yield f"{_kept(ruling, old)}{new.title} {found}."
    else:
        only = ruling.trials[0].evidence.only_class
        lost = f"no recall is lower by more than {margin} percentage points"
        lost = f"{old.name} classifies only {only} correctly" if only else lost
        yield f"{new.title} replaces {old.title} as champion: it {found}, and {lost}."
    yield _numbers(trial, ruling, Metric(promotion.metric))
    if promotion.metric != old.metric:
        yield f"{old.name} was chosen by {Metric(old.metric).label}."
    yield from _power(trial, ruling) if ruling.outcome == "kept" else _risks(trial, ruling)


def _found(trial: Trial, ruling: Ruling) -> str:
    """What was found of the challenger."""
    best = f"{ruling.best.title}, the best champion so far" if ruling.best else ""
    than = f" than {best}" if trial is not ruling.trials[0] else ""
    if ruling.reason == "worse":
        return f"is significantly worse{than}"
    if not trial.bound:
        return f"is {'' if trial.passed else 'not '}significantly better"
    by = f"by {_size(trial.bound)} percentage points or more"
    if not trial.passed:
        return f"may be worse {by}{than}"
    trained = f"was trained on {counted(ruling.new_photos, 'new photo')}"
    return f"{trained} and is not worse {by}{f', nor than {best}' if best else ''}"


def _numbers(trial: Trial, ruling: Ruling, metric: Metric) -> str:
    evidence = trial.evidence
    both = "" if evidence.same_test_set else " that both have (the test set has changed)"
    alike = f", without {counted(evidence.copies, 'near duplicate')}" if evidence.copies else ""
    told = difference(evidence.difference, evidence.interval.low, evidence.interval.high)
    p = f"one-sided {p_text(trial.p)} (asked for: at most {trial.level:.2g})"
    if ruling.reason == "worse":
        p = p_text(evidence.p_value)
    photos = counted(evidence.n, "test photo")
    photos += f" of {metric.of_class}" if metric.of_class else ""
    by = "" if metric.default else f" {metric.label}"
    return f"On {photos}{both}{alike}:{by} {told}; {p}."


def _power(trial: Trial, ruling: Ruling) -> Iterator[str]:
    """What the photos could have shown, were as many of them discordant as here."""
    if ruling.reason == "not significant":
        found = trial.test.detectable(2 * trial.level)
        yield (
            f"To be found with {100 * POWER:.0f} % power, a true difference must be "
            f"{_size(found)} percentage points."
            if found
            else "So few photos cannot show that any model is better."
        )
    if ruling.reason == "maybe worse":
        chance = trial.test.not_worse_power(-trial.bound, trial.level)
        yield f"A model that is as good passes {percent(chance)} of the time."
    if ruling.new_photos < ruling.needed_photos:
        yield (
            f"{ruling.new_photos:,} of its training photos are new; from {ruling.needed_photos:,} "
            "on, it need only not be worse."
        )


def _risks(trial: Trial, ruling: Ruling) -> Iterator[str]:
    """What the numbers of a promotion do not cover."""
    if trial.bound and trial.evidence.n < BUDGETED_PHOTOS:
        yield (
            f"With fewer than {BUDGETED_PHOTOS} test photos, one that is "
            f"{_size(trial.bound)} points worse passes {100 * trial.level:.0f} % of the time."
        )
    if ruling.looks:
        yield (
            f"Reports of {counted(ruling.looks, 'other way')} of training had shown results on "
            "these photos: if this one was chosen by them, it may only be lucky."
        )


def _size(share: float) -> str:
    return points(share).lstrip("+-")


def score_text(candidate: Candidate) -> str:
    """Its test score with what it rests on."""
    n = candidate.test_photos
    interval = wilson_interval(round(candidate.test_accuracy * n), n)
    return (
        f"accuracy {percent(candidate.test_accuracy)} on {counted(n, 'test photo')} "
        f"({ci(interval.low, interval.high)})"
    )


def explain(decision: Decision) -> str:
    """A decision in Markdown: its sentence, then the numbers behind it."""
    lines = [f"# {HEADINGS[decision.outcome]}", "", plain(decision.sentence), ""]
    if evidence := decision.evidence:
        shown = evidence.classes
        if len(shown) > FEW:
            shown = tuple(sorted(shown, key=lambda c: -c.loss)[:FEW])
            lines += [f"The {FEW} classes that lose most, of {len(evidence.classes):,}:", ""]
        lines += [
            "| Class | Test photos | Recall of the champion | of the challenger |",
            "|---|--:|--:|--:|",
        ]
        lines += [
            f"| {plain(c.label)} | {c.n:,} | {percent(c.champion)} | {percent(c.challenger)} |"
            for c in shown
        ]
        lines.append("")
    return "\n".join([*lines, *_facts(decision)]) + "\n"


def _facts(decision: Decision) -> Iterator[str]:
    yield f"- Decision {decision.number}, {decision.at:%Y-%m-%d %H:%M} UTC"
    if decision.task != DEFAULT:
        yield f"- Task: {plain(decision.task)}"
    yield f"- Champion from now on: {_described(decision.champion)}"
    new = decision.challenger
    if new is None:
        return
    if new.model != decision.champion.model:
        yield f"- Challenger: {_described(new)}"
    yield f"- Test set: `{new.test_set[:12]}`, {counted(new.test_photos, 'photo')}"
    if decision.promotion:
        yield f"- Rule: `{decision.promotion.promotion}`"
        if decision.promotion.metric != ACCURACY:
            yield f"- Judged by: {Metric(decision.promotion.metric).label}"
    if decision.level:
        yield f"- Largest one-sided p that was accepted: {decision.level:.2g}"
        yield f"- Other ways of training with reports on these photos before: {decision.looks}"
    if decision.evidence:
        table = decision.evidence.table
        yield (
            f"- Photos that only the challenger has right: {table.only_first}; only the champion: "
            f"{table.only_second}"
        )


def _described(candidate: Candidate) -> str:
    return f"{plain(candidate.title)} (model `{candidate.model}`), {score_text(candidate)}"
