"""How many settings have shown their results on the photos that judge a challenger.

The tests of `rules` need challengers that were not chosen by the test photos. Nobody can tell what
the reader of a report has changed because of it. So what could have been used so is counted, and
told: reports of other settings. Who trains again by the same settings has chosen nothing.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from catdog.history.runs import Run, load_runs
from catdog.promotion.rules import Entrant, tested_photos
from catdog.settings import Settings
from catdog.store.artifacts import Manifest
from catdog.store.digest import value_digest
from catdog.store.store import Store

CHANGES_NO_MODEL = {"source", "equivalence_margin", "task"}


def count_looks(challenger: Entrant, store: Store) -> int:
    """Other settings than the challenger's whose reports showed results on its test photos.

    One photo in common with the same label is enough, since another label answers another question;
    and the same source where it cannot be known any more.
    """
    tested = tested_photos(challenger.predictions, challenger.manifest)
    judging = {(str(photo), str(label)) for photo, label in tested["label"].items()}
    runs: defaultdict[str, list[Run]] = defaultdict(list)
    default = Settings.of({}).asked()
    for run in load_runs(store):
        runs[_settings(run, default)].append(run)
    others = (
        same for same in runs.values() if challenger.candidate.run not in {r.id for r in same}
    )
    source = challenger.candidate.origin
    return sum(any(_showed(run, judging, source, store) for run in same) for same in others)


def _settings(run: Run, default: Mapping[str, Any]) -> str:
    """A digest; a setting as by default counts as one that an earlier version did not know."""
    changed = {k: v for k, v in run.settings.items() if v != default.get(k)}
    return value_digest({k: v for k, v in changed.items() if k not in CHANGES_NO_MODEL})


def _showed(run: Run, judging: set[tuple[str, str]], source: str, store: Store) -> bool:
    if not run.finished():
        return False
    manifest = run.find(Manifest, store)
    if manifest is None:
        return run.source == source
    everything = not run.design.usable  # a cross-validation tests each photo once
    return any(
        (row["sha256"], row["label"]) in judging
        for row in manifest.rows()
        if everything or row["split"] == "test"
    )
