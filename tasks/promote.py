"""Let the best model of a run challenge the champion, and tell whoever listens."""

import logging
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from catdog.champion.registry import Registry
from catdog.champion.rules import Candidate, Decision, Outcome, entrant, score_text, title
from catdog.store.artifacts import Manifest, Predictions, TrainedModel
from catdog.wording import percent, plain
from tasks.caching import store

log = logging.getLogger("catdog.champion")

HEADINGS: dict[Outcome, str] = {
    "promoted": "A new champion",
    "kept": "The champion stays",
    "rolled-back": "Back to the earlier champion",
}


@task(name="promote", task_run_name="promote-{model.name}", persist_result=False)
def promote(
    model: TrainedModel,
    predictions: Predictions,
    manifest: Manifest,
    *,
    run: str,
    origin: str,
    class_margin: float,
) -> Decision:
    """Judge a model against the champion: never cached, since the champion may have changed."""
    challenger = entrant(model, predictions, manifest, run=run, origin=origin)
    decision = Registry(store().home).challenge(challenger, class_margin=class_margin)
    create_markdown_artifact(
        explain(decision), key="champion", description="Who is champion, and why."
    )
    announce(decision)
    return decision


def announce(decision: Decision) -> None:
    """Emit `catdog.champion.rules.promoted`, `.kept` or `.rolled-back`."""
    emit_event(
        event=f"catdog.champion.{decision.outcome}",
        resource={
            "prefect.resource.id": "catdog.champion",
            "prefect.resource.name": title(decision.champion),
            "catdog.champion.reason": decision.reason,
        },
        payload=decision.model_dump(mode="json"),
    )


def explain(decision: Decision) -> str:
    """A decision in Markdown: one sentence, then the numbers behind it."""
    lines = [f"# {HEADINGS[decision.outcome]}", "", plain(decision.sentence), ""]
    if evidence := decision.evidence:
        lines += ["| Class | Photos | Champion | Challenger |", "|---|--:|--:|--:|"]
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
    facts["Test set"] = (
        f"`{challenger.test_set[:12]}`, {challenger.test_photos:,} photos; models judged on it so "
        f"far: {decision.test_set_uses} (the more, the less a small lead means)"
    )
    return facts


def _described(candidate: Candidate) -> str:
    return f"{plain(title(candidate))} (model `{candidate.model}`), {score_text(candidate)}"
