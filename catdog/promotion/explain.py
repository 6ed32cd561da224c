"""A decision about the champion, told with the numbers behind it."""

from typing import Any

from catdog.promotion.ledger import USES
from catdog.promotion.rules import Candidate, Decision, Outcome, score_text, title
from catdog.wording import counted, percent, plain

HEADINGS: dict[Outcome, str] = {
    "promoted": "A new champion",
    "kept": "The champion stays",
    "rolled-back": "Back to the earlier champion",
}


def explain(decision: Decision) -> str:
    """A decision in Markdown: one sentence, then the numbers behind it."""
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
    lines += [f"- {name}: {value}" for name, value in _facts(decision).items()]
    return "\n".join(lines) + "\n"


def _facts(decision: Decision) -> dict[str, Any]:
    facts: dict[str, Any] = {"Champion from now on": _described(decision.champion)}
    challenger = decision.challenger
    if challenger is None:
        return facts
    if challenger.model != decision.champion.model:
        facts["Challenger"] = _described(challenger)
    facts["Test set"] = f"`{challenger.test_set[:12]}`, {counted(challenger.test_photos, 'photo')}"
    if decision.evidence:
        facts["Decisions that these photos have served"] = f"{decision.test_set_uses} of {USES}"
    if decision.promotion:
        facts["Rule"] = f"`{decision.promotion.promotion}`"
    return facts


def _described(candidate: Candidate) -> str:
    return f"{plain(title(candidate))} (model `{candidate.model}`), {score_text(candidate)}"
