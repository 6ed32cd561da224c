"""What a run shows in the Prefect UI next to its task runs: artifacts, and events to react to."""

import re
from collections.abc import Mapping

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from catdog.history.runs import Run
from catdog.photos.changes import Changes
from catdog.promotion.decision import DEFAULT, Decision
from catdog.promotion.explain import explain
from catdog.report.render import comparison_table
from catdog.report.write import load_comparison
from catdog.store.artifacts import Report
from catdog.store.store import Artifact

HEAD = "| What | Digest of its files | Made | Folder |\n|---|---|---|---|\n"
DIGITS = 12
"""Enough to tell two artifacts apart; `comparison.json` has the whole digests."""
MOST_ROWS = 500
"""A page that a browser still scrolls well; `comparison.json` has all."""


def publish_changes(changes: Changes) -> None:
    """A table of the photos that were added, removed, relabelled, renamed or moved."""
    create_table_artifact(
        [{"photo": path, "what": what} for path, what in changes.rows[:MOST_ROWS]],
        key="photo-changes",
        description=f"Since run {changes.since}. {changes.sentence}",
    )


def publish_report(report: Report) -> None:
    """The comparison as a table, and all of the report with its pictures."""
    create_table_artifact(
        comparison_table(load_comparison(report)),
        key="comparison",
        description="The models compared on the same test photos.",
    )
    create_markdown_artifact(
        report.file("report.md").read_text(encoding="utf-8"),
        key="report",
        description="The comparison report.",
    )


def publish_decision(decision: Decision) -> None:
    """The page on who is champion; each task has its own."""
    own = [] if decision.task == DEFAULT else re.findall(r"[a-z0-9]+", decision.task.lower())
    create_markdown_artifact(
        explain(decision),
        key="-".join(["champion", *own]),
        description=f"Who is champion of the task {decision.task}, and why.",
    )


def announce(decision: Decision) -> None:
    """Emit `catdog.champion.promoted`, `.kept` or `.rolled-back`."""
    emit_event(
        event=f"catdog.champion.{decision.outcome}",
        resource={
            "prefect.resource.id": "catdog.champion",
            "prefect.resource.name": decision.champion.title,
            "catdog.champion.reason": decision.reason,
            "catdog.champion.task": decision.task,
        },
        payload=decision.model_dump(mode="json"),
    )


def publish_lineage(run: Run, made: Mapping[str, Artifact]) -> None:
    """The artifacts of a run, data first, as one page.

    made: the artifacts by what they are, such as "arrays" or "model transfer 42".
    """
    rows = "".join(
        f"| {what} | `{artifact.content[:DIGITS]}` | {_when(what, artifact, run)} "
        f"| `{artifact.kind}/{artifact.key}` |\n"
        for what, artifact in made.items()
    )
    store = made["photos"].path.parents[1]
    places = f"The record and the report are in `{run.folder}`, the folders below in `{store}`."
    create_markdown_artifact(
        f"{places}\n\n{HEAD}{rows}",
        key="lineage",
        description="The data and models of this run, by digest.",
    )


def _when(what: str, artifact: Artifact, run: Run) -> str:
    when = f"{artifact.created:%Y-%m-%d %H:%M} UTC"
    return f"{when}, reused" if what in run.reused else when
