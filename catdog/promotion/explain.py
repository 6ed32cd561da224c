"""A ruling in words: the sentence that its record keeps, and a page for the Prefect UI."""

from collections.abc import Iterator

from catdog.comparison.metrics import wilson_interval
from catdog.comparison.over_photos import POWER, Paired, not_worse_power
from catdog.promotion.decision import Candidate, Decision, Evidence, Outcome
from catdog.promotion.ledger import USES
from catdog.promotion.rules import FEWEST_PHOTOS, Ruling, Trial
from catdog.settings import Promotion
from catdog.wording import ci, counted, difference, p_text, percent, plain, points

HEADINGS: dict[Outcome, str] = {
    "promoted": "A new champion",
    "kept": "The champion stays",
    "rolled-back": "Back to the earlier champion",
}
INSTEAD = "To use {new.name} all the same: 'catdog champion promote {new.run}'."
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
    "other classes": "it knows {known}, but {new.title} knows {classes}. " + INSTEAD,
    "too few photos": "{changed}{photos} that {both} were tested on are too few to compare "
    "({fewest} are needed). " + INSTEAD,
    "used up": "the test photos are used up. Of the {n:,} that both were tested on, fewer than "
    "{fewest} have served fewer than {uses} decisions; one more could promote a lucky model. Add "
    "new test photos. " + INSTEAD,
}
"""The rulings for which nothing was tested, by reason. Who is kept is said before."""


def sentence(
    ruling: Ruling, new: Candidate, old: Candidate | None, promotion: Promotion | None
) -> str:
    """What became of the champion and why, with what to do about it.

    new: the challenger, or the champion that is gone back to. old: the champion until now; None
    before the first. promotion: None where a person decided.
    """
    if promotion is None and ruling.outcome == "kept":
        return f"{new.title} is champion already."
    if old is None or promotion is None:
        return _untested(ruling, new, old)
    said = _tested(ruling, new, old, promotion) if ruling.trials else _untested(ruling, new, old)
    return f"{old.title} stays champion: {said}" if ruling.outcome == "kept" else said


def _untested(ruling: Ruling, new: Candidate, old: Candidate | None) -> str:
    shared, best = ruling.shared, ruling.best
    n = shared.n if shared else 0
    return UNTESTED[ruling.reason].format(
        new=new,
        old=old,
        score=score_text(new),
        classes=", ".join(sorted(new.classes)),
        known=", ".join(sorted(old.classes)) if old else "",
        n=n,
        photos=counted(n, "photo"),
        changed="" if shared and shared.same_test_set else "the test set has changed, and ",
        both=f"{new.name} and {best.title}, the best champion so far," if best else "both",
        fewest=FEWEST_PHOTOS,
        uses=USES,
    )


def _tested(ruling: Ruling, new: Candidate, old: Candidate, promotion: Promotion) -> str:
    fresh, worst = ruling.new_photos, ruling.worst
    claim = _fresh(ruling, old, promotion.accuracy_margin) if fresh else _better(ruling)
    margin = _size(promotion.class_margin)
    if ruling.reason == "worse on a class" and worst:
        return (
            f"{new.title}{claim}, but its recall of {worst.label} is {_size(worst.loss)} "
            f"percentage points lower, more than the {margin} allowed."
        )
    if ruling.outcome == "kept":
        return f"{new.title}{claim}."
    only = ruling.trials[0].evidence.only_class
    lost = f"no recall is lower by more than {margin} percentage points"
    lost = f"{old.title} classifies only {only} correctly" if only else lost
    return f"{new.title} replaces {old.title} as champion: it{claim}; {lost}."


def _better(ruling: Ruling) -> str:
    """What the rule "better" found of the challenger."""
    (trial,) = ruling.trials
    if ruling.reason == "worse":
        evidence = trial.evidence
        return f" is significantly worse {_numbers(evidence)}; {p_text(evidence.p_value)}"
    found = "" if trial.passed else "not "
    return f" is {found}significantly better {_told(trial)}; {_better_limits(trial)}"


def _fresh(ruling: Ruling, old: Candidate, margin: float) -> str:
    """What the rule "fresh" found of it."""
    first, *others = ruling.trials
    limits = _fresh_limits(first, margin)
    best = ruling.best.title if ruling.best else ""
    seen = f"trained on {counted(ruling.new_photos, 'photo')} that {old.title} has not seen,"
    by = f"by {_size(margin)} percentage points or more"
    if failed := ruling.failed:
        than = "" if failed is first else f" than {best}, the best,"
        return f", {seen} may be worse{than} {by} {_told(failed)}; {limits}"
    nor = "".join(
        f"; nor than the best so far, {best}, {_numbers(trial.evidence)}; {p_text(trial.p)}"
        for trial in others
    )
    return f" is, {seen} not worse {by} {_told(first)}; {limits}{nor}"


def _told(trial: Trial) -> str:
    asked = f"one-sided {p_text(trial.p)}, where {trial.level:.2g} is asked for"
    return f"{_numbers(trial.evidence)}; {asked}"


def _numbers(evidence: Evidence) -> str:
    table = evidence.table
    which = "the same" if evidence.same_test_set else "the shared"
    changed = "" if evidence.same_test_set else " (the test set has changed)"
    return (
        f"on {which} {counted(evidence.n, 'test photo')}{changed}: "
        f"{difference(evidence.difference, evidence.interval.low, evidence.interval.high)}; "
        f"{table.only_first} classified correctly by the challenger only, {table.only_second} by "
        "the champion only"
    )


def _better_limits(trial: Trial) -> str:
    """What the photos could have shown, were as many of them discordant as here."""
    found, two_sided = Paired(trial.evidence.table), 2 * trial.level
    attainable, detectable = found.attainable(two_sided), found.detectable(two_sided)
    if attainable is None or detectable is None:
        return "so few photos cannot show that any model is better"
    return (
        f"so many photos can show a difference from {_size(attainable)} percentage points on, and "
        f"find a true one of {_size(detectable)} with {100 * POWER:.0f} % power"
    )


def _fresh_limits(trial: Trial, margin: float) -> str:
    table = trial.evidence.table
    # Two models that agree on every photo do not show that they never differ: one photo more.
    share = (table.discordant + 1) / (table.n + 1)
    chance = not_worse_power(table.n, margin, share)
    return f"a model that is as good is promoted {percent(chance)} of the time"


def _size(share: float) -> str:
    return points(share).lstrip("+")


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
        lines += [
            "| Class | Test photos | Recall of the champion | of the challenger |",
            "|---|--:|--:|--:|",
        ]
        lines += [
            f"| {plain(c.label)} | {c.n:,} | {percent(c.champion)} | {percent(c.challenger)} |"
            for c in evidence.classes
        ]
        lines.append("")
    return "\n".join([*lines, *_facts(decision)]) + "\n"


def _facts(decision: Decision) -> Iterator[str]:
    yield f"- Champion from now on: {_described(decision.champion)}"
    new = decision.challenger
    if new is None:
        return
    if new.model != decision.champion.model:
        yield f"- Challenger: {_described(new)}"
    yield f"- Test set: `{new.test_set[:12]}`, {counted(new.test_photos, 'photo')}"
    if decision.evidence:
        yield f"- Decisions that these photos have served: {decision.test_set_uses} of {USES}"
    if decision.promotion:
        yield f"- Rule: `{decision.promotion.promotion}`"


def _described(candidate: Candidate) -> str:
    return f"{plain(candidate.title)} (model `{candidate.model}`), {score_text(candidate)}"
