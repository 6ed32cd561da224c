"""Show in the Prefect UI what a run was made from and what it made, by digest and place."""

from collections.abc import Mapping

from prefect.artifacts import create_markdown_artifact

from catdog.runs import Run
from catdog.store.store import Artifact

HEAD = "| What | Digest of its files | Made | Folder |\n|---|---|---|---|\n"
DIGITS = 12
"""Enough to tell two artifacts apart; `comparison.json` has the whole digests."""


def publish_lineage(run: Run, made: Mapping[str, Artifact]) -> None:
    """The artifacts of a run, data first, as one page.

    made: the artifacts by what they are, such as "arrays" or "model transfer 42".
    """
    create_markdown_artifact(
        lineage(run, made), key="lineage", description="The data and models of this run, by digest."
    )


def lineage(run: Run, made: Mapping[str, Artifact]) -> str:
    """The same as text."""
    rows = "".join(
        f"| {what} | `{artifact.content[:DIGITS]}` | {_when(what, artifact, run)} "
        f"| `{artifact.kind}/{artifact.key}` |\n"
        for what, artifact in made.items()
    )
    store = made["photos"].path.parents[1]
    places = f"The record and the report are in `{run.folder}`, the folders below in `{store}`."
    return f"{places}\n\n{HEAD}{rows}"


def _when(what: str, artifact: Artifact, run: Run) -> str:
    when = f"{artifact.created:%Y-%m-%d %H:%M} UTC"
    return f"{when}, reused" if what in run.reused else when
