"""Champions and challengers whose right and wrong test photos are chosen by the test."""

import json
import os
import random
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catdog.errors import StoreError
from catdog.promotion.ledger import USES
from catdog.promotion.registry import Registry
from catdog.promotion.rules import Decision, Entrant, Standing, entrant, rule
from catdog.settings import Promotion
from catdog.store.artifacts import Cost, Manifest, Predictions, TrainedModel
from catdog.store.housekeeping import prune
from catdog.store.store import Recipe, Store

PROMOTION = Promotion(class_margin=0.05)
FRESH = Promotion(promotion="fresh", accuracy_margin=0.05, class_margin=0.1)
A_CLASS = 50
"""Test photos of each class."""
CLASSES = ("cats", "dogs")
RIGHT = st.tuples(st.integers(0, A_CLASS), st.integers(0, A_CLASS))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


def make(
    store: Store,
    name: str,
    *,
    right: tuple[int, int] = (45, 45),
    photos: range = range(A_CLASS),
    classes: tuple[str, str] = CLASSES,
    origin: str = "official",
    trained_on: int = 0,
) -> Entrant:
    """A model that classifies the first so many test photos of each class correctly.

    trained_on: so many photos, of which those of a smaller number are a part.
    """
    rows = [(label, i) for label in classes for i in photos]
    names = [f"test/{label}/{i}.jpg" for label, i in rows]
    manifest = store.obtain(
        Recipe(
            Manifest,
            f"manifest-{photos.start}-{photos.stop}-{classes[0]}-{trained_on}",
            lambda f: _write_manifest(f, rows, names, classes, trained_on),
        )
    )
    model = store.obtain(
        Recipe(TrainedModel, f"model-{name}", lambda f: _write_model(f, name, classes))
    )
    predictions = store.obtain(
        Recipe(
            Predictions,
            f"predictions-{name}",
            lambda f: _write_predictions(f, name, rows, names, classes, right),
        )
    )
    return entrant(model, predictions, manifest, run=f"run-{name}", origin=origin)


def _write_manifest(
    folder: Path,
    rows: Sequence[tuple[str, int]],
    names: list[str],
    classes: tuple[str, str],
    trained_on: int,
) -> dict[str, Any]:
    test = pd.DataFrame(
        {
            "path": names,
            "label": [label for label, _ in rows],
            "split": "test",
            "sha256": [f"{label}{i}" for label, i in rows],
        }
    )
    seen = [f"seen{i}" for i in range(trained_on)]
    train = pd.DataFrame({"path": seen, "label": classes[0], "split": "train", "sha256": seen})
    table = pd.concat([train, test])
    table.to_csv(folder / "manifest.csv", index=False)
    return {"classes": classes, "counts": {}, "rejected": 0, "duplicates": 0}


def _write_model(folder: Path, name: str, classes: tuple[str, str]) -> dict[str, Any]:
    (folder / "model.keras").write_text(name)
    return {
        "name": name,
        "seed": 1,
        "classes": classes,
        "image_size": 160,
        "epochs": 1,
        "best_epoch": 1,
        **dict.fromkeys(Cost.model_fields, 1),
    }


def _write_predictions(
    folder: Path,
    name: str,
    rows: Sequence[tuple[str, int]],
    names: list[str],
    classes: tuple[str, str],
    right: tuple[int, int],
) -> dict[str, Any]:
    other = {classes[0]: classes[1], classes[1]: classes[0]}
    good = dict(zip(classes, right, strict=True))
    table = pd.DataFrame(
        {
            "model": name,
            "seed": 1,
            "split": "test",
            "path": names,
            "label": [label for label, _ in rows],
            "predicted": [label if i < good[label] else other[label] for label, i in rows],
        }
    )
    table.to_csv(folder / "predictions.csv", index=False)
    return {
        "name": name,
        "seed": 1,
        "classes": classes,
        "model_key": f"model-{name}",
        "seconds_per_1000": 1.0,
    }


def reign(registry: Registry) -> str:
    champion = registry.champion()
    assert champion
    return champion.name


def damage_champion(registry: Registry) -> None:
    champion = registry.champion()
    assert champion
    model = registry.model_of(champion)
    model.file("model.keras").unlink()


def test_the_first_model_is_champion(store: Store, registry: Registry) -> None:
    assert registry.champion() is None
    decision = registry.challenge(make(store, "a"), PROMOTION)
    assert (decision.outcome, decision.reason, decision.number) == ("promoted", "first", 1)
    assert "accuracy 90.0 % on 100 test photos" in decision.sentence
    assert reign(registry) == "a"


@pytest.mark.parametrize(
    ("right", "outcome", "reason"),
    [
        ((50, 50), "promoted", "better"),
        ((50, 48), "kept", "not significant"),
        ((48, 47), "kept", "not significant"),
        ((34, 44), "kept", "worse"),
        ((50, 44), "kept", "not significant"),
    ],
)
def test_only_a_model_that_is_better_by_more_than_chance_takes_the_place(
    store: Store, registry: Registry, right: tuple[int, int], outcome: str, reason: str
) -> None:
    registry.challenge(make(store, "old", right=(44, 44)), PROMOTION)
    decision = registry.challenge(make(store, "new", right=right), PROMOTION)
    assert (decision.outcome, decision.reason) == (outcome, reason)
    assert reign(registry) == ("new" if outcome == "promoted" else "old")
    assert decision.evidence
    assert decision.evidence.n == 100
    assert decision.evidence.difference == pytest.approx((sum(right) - 88) / 100)


def test_the_sentence_carries_the_numbers(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "old", right=(44, 44)), PROMOTION)
    decision = registry.challenge(make(store, "new", right=(50, 50)), PROMOTION)
    for part in (
        "+12.0 percentage points",
        "100 test photos",
        "12 classified correctly by the challenger only",
        "one-sided p < 0.001, where 0.00096 is asked for",
        "can show a difference from 11.0 percentage points on",
    ):
        assert part in decision.sentence


@pytest.mark.parametrize(("margin", "outcome"), [(0.05, "kept"), (0.2, "promoted")])
def test_a_better_model_that_is_worse_on_a_class_is_refused_beyond_the_margin(
    store: Store, registry: Registry, margin: float, outcome: str
) -> None:
    registry.challenge(make(store, "old", right=(20, 48)), Promotion(class_margin=margin))
    decision = registry.challenge(
        make(store, "new", right=(50, 41)), Promotion(class_margin=margin)
    )
    assert decision.outcome == outcome
    if outcome == "kept":
        assert decision.reason == "worse on a class"
        assert (
            "its recall of dogs is 14.0 percentage points lower, more than the 5.0 allowed"
            in decision.sentence
        )


def test_a_champion_that_names_every_photo_the_same_has_no_class_to_lose(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", right=(A_CLASS, 0)), PROMOTION)
    decision = registry.challenge(make(store, "new", right=(40, 45)), PROMOTION)
    assert (decision.outcome, decision.reason) == ("promoted", "better")
    assert "classifies only cats correctly" in decision.sentence


def test_the_same_model_changes_nothing(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "a"), PROMOTION)
    decision = registry.challenge(make(store, "a"), PROMOTION)
    assert (decision.outcome, decision.reason) == ("kept", "same model")
    assert decision.test_set_uses == 0


def test_a_decision_is_counted_with_the_photos_that_it_uses(
    store: Store, registry: Registry
) -> None:
    uses = [
        registry.challenge(make(store, name, **options), PROMOTION).test_set_uses
        for name, options in [
            ("a", {}),
            ("b", {}),
            ("a", {}),
            ("c", {"photos": range(49)}),
            ("d", {"photos": range(25, 75)}),
            ("e", {"photos": range(1, 51)}),
        ]
    ]
    assert uses == [0, 1, 0, 2, 3, 4]


def test_photos_that_have_served_so_many_decisions_promote_no_more_but_new_ones_do(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", right=(60, 0), photos=range(100)), PROMOTION)
    seen = range(A_CLASS)
    rulings = [
        registry.challenge(make(store, f"lucky {i}", photos=seen, right=(50, 0)), PROMOTION)
        for i in range(USES)
    ]
    assert {ruling.reason for ruling in rulings} == {"not significant"}
    better = make(store, "better", photos=seen, right=(50, 50))
    spent = registry.challenge(better, PROMOTION)
    assert (spent.outcome, spent.reason) == ("kept", "used up")
    assert "Add new test photos" in spent.sentence
    grown = make(store, "on more photos", photos=range(100), right=(100, 80))
    renewed = registry.challenge(grown, PROMOTION)
    assert (renewed.outcome, renewed.reason, renewed.test_set_uses) == ("promoted", "better", 1)
    assert renewed.evidence
    assert renewed.evidence.n == 100, "the half that has not served"


def test_records_of_older_versions_count_all_test_photos_of_the_champion(
    store: Store, registry: Registry
) -> None:
    for name in "abc":
        registry.challenge(make(store, name), PROMOTION)
    later = ("promotion", "reach", "best")
    for path in sorted(registry.folder.glob("*.json")):
        record = {key: v for key, v in json.loads(path.read_text()).items() if key not in later}
        if record["evidence"]:
            del record["evidence"]["photos"]
        path.write_text(json.dumps(record))
    assert registry.challenge(make(store, "d"), PROMOTION).test_set_uses == 3


def test_after_a_change_of_the_test_set_only_shared_photos_count(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", right=(40, 40)), PROMOTION)
    new = make(store, "new", right=(60, 60), photos=range(20, 60))
    decision = registry.challenge(new, PROMOTION)
    assert decision.evidence
    assert (decision.evidence.n, decision.evidence.same_test_set) == (60, False)
    assert decision.outcome == "promoted"
    assert "60 test photos (the test set has changed)" in decision.sentence


@pytest.mark.parametrize("photos", [range(40, 60), range(100, 150)])
def test_too_few_shared_photos_decide_nothing(
    store: Store, registry: Registry, photos: range
) -> None:
    registry.challenge(make(store, "old"), PROMOTION)
    decision = registry.challenge(make(store, "new", right=(150, 150), photos=photos), PROMOTION)
    assert (decision.outcome, decision.reason) == ("kept", "too few photos")
    assert "the test set has changed" in decision.sentence
    assert "catdog champion promote run-new" in decision.sentence


def test_a_small_test_set_that_stayed_the_same_is_not_called_changed(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", photos=range(10)), PROMOTION)
    decision = registry.challenge(make(store, "new", right=(150, 150), photos=range(10)), PROMOTION)
    assert decision.reason == "too few photos"
    assert "has changed" not in decision.sentence


def test_other_classes_cannot_be_compared(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "old"), PROMOTION)
    decision = registry.challenge(make(store, "new", classes=("hens", "owls")), PROMOTION)
    assert (decision.outcome, decision.reason) == ("kept", "other classes")
    assert "knows cats, dogs" in decision.sentence
    assert "knows hens, owls" in decision.sentence


def test_the_drawn_sample_gives_way_to_real_photos_and_never_the_other_way(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "toy", origin="sample"), PROMOTION)
    real = registry.challenge(make(store, "real", right=(30, 30)), PROMOTION)
    assert (real.outcome, real.reason) == ("promoted", "real photos")
    toy = make(store, "toy 2", right=(50, 50), origin="sample")
    assert registry.challenge(toy, PROMOTION).reason == "sample"
    assert reign(registry) == "real"


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
        Recipe(TrainedModel, first.model.key, lambda f: _write_model(f, "m2", CLASSES))
    )
    again = entrant(
        model, make(store, "better").predictions, first.manifest, run="again", origin="official"
    )
    assert registry.challenge(again, PROMOTION).reason == "better"
    assert registry.model_of(again.candidate).content == model.content
    registry.rollback()
    assert registry.model_of(first.candidate).content == first.model.content


def test_kills_while_it_writes_leave_a_whole_champion(store: Store, registry: Registry) -> None:
    entrants = [make(store, f"m{i}", right=(i, i)) for i in range(40)]
    registry.promote(entrants[0])
    chance = random.Random(0)
    for _ in range(150):
        moment, order = chance.uniform(0.0005, 0.06), chance.sample(entrants, 40)
        child = os.fork()
        if child == 0:
            signal.setitimer(signal.ITIMER_REAL, moment)  # which kills by default, unannounced
            for each in order:
                registry.promote(each)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGALRM
        champion = registry.champion()
        assert champion
        registry.model_of(champion)
    numbers = [decision.number for decision in registry.decisions()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 10, "it was killed while it wrote, not before"


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


@settings(max_examples=25, deadline=None)
@given(old=RIGHT, new=RIGHT)
def test_promotion_always_means_more_right_and_no_class_lost(
    tmp_path_factory: pytest.TempPathFactory, old: tuple[int, int], new: tuple[int, int]
) -> None:
    store = Store(tmp_path_factory.mktemp("home"))
    champion = make(store, "old", right=old)
    standing = Standing(champion, champion, rolled_back=(), uses={})
    ruling = rule(make(store, "new", right=new), standing, PROMOTION)
    assert ruling.evidence
    if ruling.outcome == "promoted":
        assert sum(new) > sum(old)
        no_class_lost = all(
            (a - b) / A_CLASS >= -PROMOTION.class_margin for a, b in zip(new, old, strict=True)
        )
        assert no_class_lost or sorted(old) == [0, A_CLASS]
    table = ruling.evidence.table
    assert table.only_first - table.only_second == sum(new) - sum(old)


def test_a_decision_is_plain_json(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "a"), PROMOTION)
    registry.challenge(make(store, "b", right=(50, 50)), PROMOTION)
    (_, second) = registry.decisions()
    text = second.model_dump_json()
    assert Decision.model_validate_json(text) == second
    assert json.loads(text)["evidence"]["table"]["only_first"] == 10
    assert second.evidence
    assert len(second.evidence.photos) == 100
    assert "photos" not in second.told()["evidence"]


def test_a_model_that_saw_new_photos_and_is_not_worse_takes_the_place(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "old", right=(49, 49), trained_on=100), FRESH)
    decision = registry.challenge(make(store, "new", right=(50, 48), trained_on=120), FRESH)
    assert (decision.outcome, decision.reason) == ("promoted", "not worse")
    assert "trained on 20 photos that old of run run-old has not seen" in decision.sentence
    assert "not worse by 5.0 percentage points or more" in decision.sentence
    assert decision.reach
    assert decision.reach.not_worse
    assert 0.5 < decision.reach.not_worse < 1


@pytest.mark.parametrize(
    ("right", "trained_on", "reason"),
    [
        ((49, 49), 100, "not significant"),
        ((49, 49), 90, "not significant"),
        ((47, 47), 120, "maybe worse"),
        ((40, 40), 120, "worse"),
    ],
)
def test_a_model_that_saw_no_new_photo_or_may_be_worse_does_not(
    store: Store, registry: Registry, right: tuple[int, int], trained_on: int, reason: str
) -> None:
    registry.challenge(make(store, "old", right=(49, 49), trained_on=100), FRESH)
    decision = registry.challenge(make(store, "new", right=right, trained_on=trained_on), FRESH)
    assert (decision.outcome, decision.reason) == ("kept", reason)


def test_small_losses_do_not_add_up(store: Store, registry: Registry) -> None:
    registry.challenge(make(store, "best", right=(49, 49), trained_on=100), FRESH)
    decisions = [
        registry.challenge(make(store, f"loss {i}", right=(49, 49 - i), trained_on=101 + i), FRESH)
        for i in range(1, 8)
    ]
    kept = [decision for decision in decisions if decision.outcome == "kept"]
    assert decisions[0].reason == "not worse"
    assert len(kept) >= 5
    assert "may be worse than best of run run-best, the best, by" in kept[0].sentence
    assert kept[0].best
    assert kept[0].best.difference == pytest.approx(-0.02)
    accuracy = registry.champion()
    assert accuracy
    assert accuracy.test_accuracy >= 0.98 - FRESH.accuracy_margin


def test_a_model_that_is_proven_better_is_the_new_measure_of_the_next(
    store: Store, registry: Registry
) -> None:
    registry.challenge(make(store, "first", right=(40, 40), trained_on=100), FRESH)
    better = registry.challenge(make(store, "better", right=(49, 49), trained_on=110), FRESH)
    assert better.reason == "better"
    next_one = registry.challenge(make(store, "next", right=(44, 46), trained_on=120), FRESH)
    assert next_one.outcome == "kept"
    assert next_one.best is None, "the best is the champion itself"


def test_a_fresh_model_that_loses_a_class_is_refused(store: Store, registry: Registry) -> None:
    strict = FRESH.model_copy(update={"class_margin": 0.01})
    registry.challenge(make(store, "old", right=(49, 49), trained_on=100), strict)
    decision = registry.challenge(make(store, "new", right=(50, 48), trained_on=120), strict)
    assert (decision.outcome, decision.reason) == ("kept", "worse on a class")
