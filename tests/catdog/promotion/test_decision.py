"""The record of a decision, of this version and of older ones as they wrote it."""

import json
from pathlib import Path

import pytest
from entrants import PROMOTION, make

from catdog.promotion.decision import Decision
from catdog.promotion.explain import explain
from catdog.promotion.registry import Registry
from catdog.store.store import Store
from catdog.wording import plain

OLD = sorted((Path(__file__).parent / "records").iterdir())


def test_a_decision_is_plain_json(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "a"), PROMOTION)
    registry.challenge(make(store, "b", right=(50, 50)), PROMOTION)
    (_, second) = registry.decisions()
    text = second.model_dump_json()
    assert Decision.model_validate_json(text) == second
    assert json.loads(text)["evidence"]["table"]["only_first"] == 10


@pytest.mark.parametrize("record", OLD, ids=lambda path: path.stem)
def test_a_record_of_an_older_version_is_read_and_says_what_it_said(
    registry: Registry, record: Path
) -> None:
    written = json.loads(record.read_text())
    registry.folder.mkdir(parents=True)
    (registry.folder / f"{written['number']:06d}.json").write_bytes(record.read_bytes())
    (decision,) = registry.decisions()
    assert registry.champion() == decision.champion
    assert decision.champion.model == written["champion"]["model"]
    told = decision.model_dump(mode="json")
    for key in ("outcome", "reason", "class_margin", "sentence"):
        assert told[key] == written[key]
    if written["evidence"]:
        assert told["evidence"]["table"] == written["evidence"]["table"]
    assert plain(written["sentence"]) in explain(decision)
