"""The registry keeps each decision and what its champions need, whatever happens to it."""

import errno
import itertools
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from entrants import CLASSES, PROMOTION, make, reign, write_model
from limits import files_up_to

from catdog.errors import StoreError
from catdog.promotion.ledger import MOST
from catdog.promotion.registry import Registry, level_now
from catdog.promotion.rules import Entrant, entrant
from catdog.store.artifacts import TrainedModel
from catdog.store.housekeeping import prune
from catdog.store.store import Recipe, Store


def damage_champion(registry: Registry) -> None:
    champion = registry.champion()
    assert champion
    model = registry.model_of(champion)
    model.file("model.keras").unlink()


def test_each_decision_asks_for_more_than_the_one_before_until_time_has_passed(
    store: Store, registry: Registry
) -> None:
    asked = [registry.challenge(make(store, name), PROMOTION).level for name in "abac"]
    assert asked == [None, MOST / 2, None, pytest.approx(MOST / 4, rel=0.01)]
    for path in registry.folder.iterdir():
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"at": "2020-01-01T00:00:00Z"}))
    assert registry.challenge(make(store, "d"), PROMOTION).level == MOST / 2


def test_the_same_two_models_on_the_same_photos_are_one_decision(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", right=(40, 40)), PROMOTION)
    new = make(store, "new", right=(42, 42))
    first = registry.challenge(new, PROMOTION)
    before = level_now(registry.decisions())
    assert registry.challenge(new, PROMOTION) == first
    assert registry.decisions()[1:] == [first]
    assert level_now(registry.decisions()) >= before
    other_rule = PROMOTION.model_copy(update={"class_margin": 0.5})
    assert registry.challenge(new, other_rule).number == 3, "another question"
    registry.promote(make(store, "third", right=(41, 41)))
    assert registry.challenge(new, PROMOTION).number == 5, "another champion"


def test_a_challenger_that_won_before_is_judged_again(store: Store, registry: Registry) -> None:
    old, new = make(store, "old", right=(30, 30)), make(store, "new", right=(50, 50))
    registry.challenge(old, PROMOTION)
    registry.challenge(new, PROMOTION)
    registry.rollback()
    registry.promote(new)
    registry.promote(old)
    assert registry.challenge(new, PROMOTION).number == 6
    assert reign(registry) == "new"


def age(registry: Registry) -> None:
    """Write all records as the version did that knew no budget of the year."""
    for path in sorted(registry.folder.glob("*.json")):
        record = json.loads(path.read_text()) | {"class_margin": 0.05, "test_set_uses": 1}
        del record["promotion"], record["best"], record["level"], record["looks"]
        if record["evidence"]:
            del record["evidence"]["copies"]
            record["evidence"]["photos"] = ["cats0"]
        path.write_text(json.dumps(record))


def test_decisions_of_older_versions_have_spent_their_part(
    store: Store, registry: Registry
) -> None:
    for name in "abc":
        registry.challenge(make(store, name), PROMOTION)
    age(registry)
    level = registry.challenge(make(store, "d"), PROMOTION).level
    assert level == pytest.approx(MOST / 8, rel=0.01)


def test_a_champion_of_an_older_version_is_gone_back_to(store: Store, registry: Registry) -> None:
    for name, right in [("a", (20, 20)), ("b", (50, 50))]:
        registry.challenge(make(store, name, right=right), PROMOTION)
    age(registry)
    assert registry.rollback().champion.name == "a"
    better = registry.challenge(make(store, "b", right=(50, 50)), PROMOTION)
    assert better.reason == "rolled back before"


def test_rollback_goes_back_one_champion_at_a_time(store: Store, registry: Registry) -> None:
    for name, right in [("a", (20, 20)), ("b", (35, 35)), ("c", (50, 50))]:
        registry.challenge(make(store, name, right=right), PROMOTION)
    assert registry.rollback().champion.name == "b"
    assert registry.rollback().champion.name == "a"
    with pytest.raises(StoreError, match="no earlier champion"):
        registry.rollback()
    assert [d.outcome for d in registry.decisions()] == ["promoted"] * 3 + ["rolled-back"] * 2


def test_a_model_that_was_rolled_back_returns_only_by_hand(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "a", right=(20, 20)), PROMOTION)
    better = make(store, "b", right=(50, 50))
    registry.challenge(better, PROMOTION)
    registry.rollback()
    assert registry.challenge(better, PROMOTION).reason == "rolled back before"
    assert registry.promote(better).reason == "by hand"
    assert reign(registry) == "b"
    assert registry.promote(better).reason == "same model"
    assert registry.rollback().champion.name == "a"


def test_the_champion_survives_a_prune_of_the_artifact_store(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "a", right=(20, 20)), PROMOTION)
    list(prune(store, keep_days=0, dry_run=False))
    champion = registry.champion()
    assert champion
    model = registry.model_of(champion)
    assert model.file("model.keras").read_text() == "a"
    decision = registry.challenge(make(store, "b", right=(50, 50)), PROMOTION)
    assert decision.reason == "better", "its predictions are kept too"


def test_a_damaged_champion_is_an_error_to_its_user_and_loses_its_place(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "a"), PROMOTION)
    damage_champion(registry)
    champion = registry.champion()
    assert champion
    with pytest.raises(StoreError, match="catdog champion promote"):
        registry.model_of(champion)
    decision = registry.challenge(make(store, "b", right=(1, 1)), PROMOTION)
    assert (decision.outcome, decision.reason) == ("promoted", "champion lost")


def test_what_may_not_replace_a_champion_may_not_replace_a_damaged_one_either(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "first"), PROMOTION)
    registry.promote(make(store, "second"))
    registry.rollback()
    damage_champion(registry)
    for challenger in (make(store, "drawn", origin="sample"), make(store, "second")):
        assert registry.challenge(challenger, PROMOTION).outcome == "kept"


def test_a_champion_that_was_damaged_and_restored_is_taken_back_as_one(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", right=(40, 40)), PROMOTION)
    better = make(store, "new", right=(50, 50))
    registry.challenge(better, PROMOTION)
    damage_champion(registry)
    assert registry.challenge(better, PROMOTION).reason == "champion lost"
    registry.rollback()
    assert reign(registry) == "old"


def test_the_champion_trained_again_is_another_model(store: Store, registry: Registry) -> None:
    first = make(store, "m", right=(20, 20))
    registry.challenge(first, PROMOTION)
    store.drop(first.model)
    model = store.obtain(
        Recipe(TrainedModel, first.model.key, lambda f: write_model(f, "m2", CLASSES))
    )
    again = entrant(
        model, make(store, "better").predictions, first.manifest, run="again", origin="official"
    )
    assert registry.challenge(again, PROMOTION).reason == "better"
    assert registry.model_of(again.candidate).content == model.content
    registry.rollback()
    assert registry.model_of(first.candidate).content == first.model.content


CHANGES = {
    "TextIOWrapper.write", "TextIOWrapper.__exit__",
    "link", "mkdir", "rename", "replace", "rmdir", "unlink",
}  # fmt: skip
"""Built-in functions that change files; what `write` is given, `__exit__` writes."""


def be_killed_before(change: int) -> None:
    """Let this process die without notice just before its change of this number, from 0."""
    numbers = itertools.count()

    def watch(_: object, event: str, function: Callable[..., object]) -> None:
        if event == "c_call" and function.__qualname__ in CHANGES and next(numbers) == change:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)


def promote_until(change: int, registry: Registry, challenger: Entrant) -> bool:
    """Whether a process that is killed before this change gets to the end of a promotion."""
    child = os.fork()
    if child == 0:
        be_killed_before(change)
        registry.promote(challenger)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, -signal.SIGKILL)
    return ended == 0


def test_a_kill_at_any_moment_leaves_a_whole_champion(tmp_path: Path) -> None:
    first = tmp_path / "first"
    make(Store(first), "new")
    Registry(first).promote(make(Store(first), "old"))
    left = []
    for change in itertools.count():
        home = shutil.copytree(first, tmp_path / str(change))
        registry, new = Registry(home), make(Store(home), "new")
        if promote_until(change, registry, new):
            break
        champion = registry.champion()
        assert champion
        registry.model_of(champion)
        left.append(champion.name)
        registry.promote(new)
        assert reign(registry) == "new"
    assert left == sorted(left, reverse=True), "the old champion until the new one"
    assert set(left) == {"old", "new"}


def test_a_damaged_decision_is_named(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "a"), PROMOTION)
    (file,) = registry.folder.iterdir()
    file.write_text(file.read_text()[:50])
    with pytest.raises(StoreError, match=r"000001.json is not a whole decision"):
        registry.champion()


def test_a_reader_never_sees_half_a_decision(store: Store, registry: Registry) -> None:
    entrants = [make(store, f"m{i}", right=(i, i)) for i in range(12)]
    registry.challenge(entrants[0], PROMOTION)
    ended, seen = threading.Event(), []

    def read() -> None:
        while not ended.is_set():
            seen.append(registry.champion())

    reader = threading.Thread(target=read)
    reader.start()
    writers = [
        threading.Thread(target=Registry(registry.store.home.parent).promote, args=(e,))
        for e in entrants[1:]
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ended.set()
    reader.join()
    assert all(seen)
    assert [d.number for d in registry.decisions()] == list(range(1, 13))


def test_a_disk_that_fills_up_while_a_champion_is_copied_leaves_the_old_one(
    store: Store, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.promote(make(store, "old"))
    new = make(store, "new")

    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", no_link)
    for size in (1, 200, 2_000):
        with files_up_to(size), pytest.raises(StoreError, match="No space left while writing"):
            registry.promote(new)
        champion = registry.champion()
        assert champion
        assert registry.model_of(champion).name == "old"
    assert registry.promote(new).champion.name == "new"
