"""Several questions in one home: each has a champion, decisions and a budget of its own."""

import multiprocessing
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from entrants import A_CLASS, PROMOTION, make, reign

from catdog.errors import StoreError
from catdog.promotion.candidates import choose_model
from catdog.promotion.decision import DEFAULT
from catdog.promotion.ledger import MOST
from catdog.promotion.registry import Registry, level_now
from catdog.promotion.rules import Entrant
from catdog.promotion.tasks import NoSuchTaskError, challenge, promote, registry_of, tasks
from catdog.store.housekeeping import prune
from catdog.store.store import Store

BIRDS = {"classes": ("hens", "owls"), "origin": "photos/My birds.zip"}


def pets(store: Store, name: str, right: int = 45) -> Entrant:
    return make(store, name, right=(right, right))


def birds(store: Store, name: str, right: int = 45, **more: str) -> Entrant:
    return make(store, name, right=(right, right), **(BIRDS | more))  # type: ignore[arg-type]


def test_other_classes_from_another_source_get_a_champion_named_after_it(store: Store) -> None:
    home = store.home
    assert challenge(home, pets(store, "a"), PROMOTION).task == DEFAULT
    decision = challenge(home, birds(store, "b"), PROMOTION)
    assert (decision.task, decision.outcome, decision.reason) == ("my-birds", "promoted", "first")
    assert decision.sentence.startswith("Task my-birds: b of run run-b is the first champion")
    assert decision.sentence.endswith("'catdog predict --task my-birds'.")
    assert tasks(home) == [DEFAULT, "my-birds"]
    assert [reign(Registry(home, task)) for task in tasks(home)] == ["a", "b"]


def test_without_a_name_the_champion_that_knows_the_classes_is_challenged(store: Store) -> None:
    home = store.home
    challenge(home, pets(store, "a"), PROMOTION)
    challenge(home, birds(store, "b"), PROMOTION, "feathers")
    better = challenge(home, birds(store, "c", 50, origin="elsewhere"), PROMOTION)
    assert (better.task, better.reason) == ("feathers", "better")
    by_hand = promote(home, birds(store, "d", 20, origin="elsewhere"))
    assert (by_hand.task, by_hand.reason) == ("feathers", "by hand")
    assert tasks(home) == [DEFAULT, "feathers"]
    assert reign(Registry(home)) == "a"


def test_where_a_source_has_other_classes_than_before_a_person_decides(store: Store) -> None:
    home = store.home
    challenge(home, pets(store, "a"), PROMOTION)
    challenge(home, birds(store, "b"), PROMOTION)
    for origin, task in (("official", DEFAULT), ("my birds", "my-birds")):
        changed = make(store, f"c {task}", classes=("larks", "hens"), origin=origin)
        kept = challenge(home, changed, PROMOTION)
        assert (kept.task, kept.outcome, kept.reason) == (task, "kept", "other classes")
        assert f"promote run-c {task} --task {task}'; another task gives it" in kept.sentence
    promote(home, changed, "my-birds")
    assert reign(Registry(home, "my-birds")) == "c my-birds"


def test_the_same_classes_can_have_two_tasks(store: Store) -> None:
    home = store.home
    challenge(home, pets(store, "day"), PROMOTION)
    night = challenge(home, pets(store, "night", 30), PROMOTION, "night")
    assert (night.outcome, reign(Registry(home))) == ("promoted", "day")
    assert challenge(home, birds(store, "b"), PROMOTION, "night").reason == "other classes"


def test_each_task_rolls_back_by_itself(store: Store) -> None:
    home = store.home
    for entrant in (pets(store, "a"), birds(store, "b"), pets(store, "c"), birds(store, "d")):
        promote(home, entrant)
    Registry(home, "my-birds").rollback()
    assert [reign(Registry(home, task)) for task in tasks(home)] == ["c", "b"]
    with pytest.raises(StoreError, match=r"no earlier champion.*history --task my-birds"):
        Registry(home, "my-birds").rollback()


def test_a_home_of_an_earlier_version_keeps_its_one_champion_where_it_was(store: Store) -> None:
    registry = Registry(store.home)
    registry.challenge(pets(store, "a"), PROMOTION)
    (file,) = registry.folder.iterdir()
    assert file == store.home / "champion" / "decisions" / "000001.json"
    file.write_text(file.read_text().replace('  "task": "default",\n', ""))
    assert tasks(store.home) == [DEFAULT]
    challenge(store.home, birds(store, "b"), PROMOTION)
    better = challenge(store.home, pets(store, "c", 50), PROMOTION)
    assert (better.number, better.task, better.reason) == (2, DEFAULT, "better")
    assert choose_model(store, None).model.name == "c"


def test_the_budgets_are_apart(store: Store) -> None:
    home = store.home
    for entrant in (pets(store, "a"), birds(store, "b")):
        challenge(home, entrant, PROMOTION)
    for number in range(5):
        challenge(home, pets(store, f"kept {number}", 44 - number), PROMOTION)
    decision = challenge(home, birds(store, "c", 46), PROMOTION)
    assert decision.level == MOST / 2
    spent = Registry(home).decisions()
    assert spent[-1].level
    assert spent[-1].level < MOST / 16
    assert datetime.now(UTC) - decision.at < timedelta(days=1)
    assert level_now(spent) < level_now(Registry(home, "my-birds").decisions())


def test_pruning_leaves_the_champions_of_all_tasks(store: Store) -> None:
    home = store.home
    for entrant in (pets(store, "a"), birds(store, "b")):
        challenge(home, entrant, PROMOTION)
    assert len(list(prune(store, keep_days=0, dry_run=False))) == 6
    assert [choose_model(store, None, task).model.name for task in tasks(home)] == ["a", "b"]


def test_a_task_that_is_not_there_is_named_with_those_that_are(store: Store) -> None:
    home = store.home
    with pytest.raises(StoreError, match="no champion of task 'birds' in"):
        registry_of(home, "birds")
    assert registry_of(home, None).champion() is None
    challenge(home, birds(store, "b"), PROMOTION, "birds")
    challenge(home, birds(store, "o"), PROMOTION, "owls")
    with pytest.raises(NoSuchTaskError, match="task 'default', only of birds and owls"):
        choose_model(store, None)
    with pytest.raises(NoSuchTaskError, match="task 'bird', only of birds and owls"):
        choose_model(store, None, "bird")


def test_a_damaged_record_stops_its_own_task_alone(store: Store) -> None:
    home = store.home
    for entrant in (pets(store, "a"), birds(store, "b")):
        challenge(home, entrant, PROMOTION)
    (home / "champion" / "tasks" / "my-birds" / "000001.json").write_text("{")
    assert challenge(home, pets(store, "c", 50), PROMOTION).reason == "better"
    with pytest.raises(StoreError, match=r"000001\.json is not a whole decision"):
        challenge(home, birds(store, "d"), PROMOTION)
    assert tasks(home) == [DEFAULT, "my-birds"]


def test_tasks_can_be_decided_at_the_same_time(store: Store) -> None:
    """Two processes for each of two sets of classes: each set gets one task, nothing is lost."""
    home, rounds = store.home, 6
    context = multiprocessing.get_context("fork")
    jobs = [
        context.Process(target=_promote_all, args=(home, kind, f"{kind.__name__}{side}", rounds))
        for kind in (pets, birds)
        for side in "ab"
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(120)
    assert [job.exitcode for job in jobs] == [0] * len(jobs)
    names = tasks(home)
    assert names[0] == DEFAULT
    assert len(names) == 2
    for name in names:
        registry = Registry(home, name)
        past = registry.decisions()
        assert [each.number for each in past] == list(range(1, 2 * rounds + 1))
        assert len({each.champion.classes for each in past}) == 1
        assert all(registry.model_of(each.champion) for each in past)


def _promote_all(
    home: Path, kind: Callable[[Store, str, int], Entrant], name: str, rounds: int
) -> None:
    for number in range(rounds):
        promote(home, kind(Store(home), f"{name}{number}", A_CLASS - number))
