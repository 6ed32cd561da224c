"""Reports that have shown results on the photos that judge a challenger are counted and told."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from entrants import PROMOTION, make

from catdog.history.runs import Run, Score, runs_folder, save_run
from catdog.promotion.looks import count_looks
from catdog.promotion.registry import Registry
from catdog.promotion.rules import Entrant
from catdog.store.artifacts import Manifest
from catdog.store.store import Recipe, Store


def add_run(store: Store, of: Entrant, *, error: str | None = None, **settings: Any) -> None:
    """The run that has trained this model, with these settings."""
    now = datetime.now(UTC)
    score = Score(name=of.candidate.name, seed=1, error=error)
    run = Run(
        id=of.candidate.run,
        began=now,
        ended=now,
        settings={"source": of.candidate.origin} | settings,
        scores=(score,),
        artifacts={"manifest": of.manifest.key},
        folder=runs_folder(store) / of.candidate.run,
    )
    save_run(run, None, store)


@pytest.mark.parametrize(
    ("settings", "photos", "looks"),
    [
        ({"epochs": 5}, range(50), 1),
        ({"epochs": 5}, range(49, 99), 1),
        ({"epochs": 5}, range(50, 100), 0),
        ({"epochs": 5, "error": "killed"}, range(50), 0),
        ({"epochs": 20}, range(50), 0),
        ({"epochs": 20, "patience": 0}, range(50), 0),
        ({"epochs": 20, "patience": 3}, range(50), 1),
        ({"epochs": 20, "task": "pets"}, range(50), 0),
        ({"epochs": 20, "source": "elsewhere", "equivalence_margin": 0.1}, range(50), 0),
    ],
)
def test_a_look_is_a_report_of_other_settings_on_some_of_these_photos(
    store: Store, settings: dict[str, Any], photos: range, looks: int
) -> None:
    new = make(store, "new")
    add_run(store, new, epochs=20)
    add_run(store, make(store, "old", photos=photos), **settings)
    assert count_looks(new, store) == looks


def test_the_same_settings_again_are_no_further_look(store: Store) -> None:
    new = make(store, "new")
    add_run(store, new, epochs=20)
    for i in range(3):
        add_run(store, make(store, f"old {i}"), epochs=5)
    assert count_looks(new, store) == 1


def test_a_cross_validation_shows_every_photo(store: Store) -> None:
    new = make(store, "new")
    add_run(store, new, epochs=20)
    seen = make(store, "folds", trained_on=1)
    add_run(store, seen, epochs=20, folds=5)
    assert count_looks(new, store) == 1


def test_where_photos_are_no_longer_known_the_source_tells(store: Store) -> None:
    new, gone = make(store, "new"), make(store, "old", photos=range(60))
    add_run(store, new, epochs=20)
    add_run(store, gone, epochs=5)
    store.drop(gone.manifest)
    assert count_looks(new, store) == 1


def test_the_same_photos_with_other_labels_answer_another_question(store: Store) -> None:
    new = make(store, "new")
    add_run(store, new, epochs=20)

    def relabel(folder: Path) -> dict[str, Any]:
        table = new.manifest.table().replace({"label": {"cats": "indoors", "dogs": "outdoors"}})
        table.to_csv(folder / "manifest.csv", index=False)
        (folder / "duplicates.csv").write_bytes(new.manifest.file("duplicates.csv").read_bytes())
        return new.manifest.model_dump(exclude={"key", "path", "content"})

    other = make(store, "other")._replace(manifest=store.obtain(Recipe(Manifest, "m", relabel)))
    add_run(store, other, epochs=5)
    assert count_looks(new, store) == 0


def test_a_promotion_says_what_may_have_chosen_the_model(store: Store, registry: Registry) -> None:
    old, new = make(store, "old", right=(30, 30)), make(store, "new", right=(50, 50))
    add_run(store, old, epochs=5)
    registry.challenge(old, PROMOTION)
    add_run(store, new, epochs=20)
    decision = registry.challenge(new, PROMOTION)
    assert decision.looks == 1
    assert "Reports of 1 other way of training had shown results" in decision.sentence
