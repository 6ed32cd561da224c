"""What trackers get, and when: each epoch once, whatever happens to the training or the tracker."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from catdog.comparison.compare import Study
from catdog.store.artifacts import Report, TrainedModel, Trial
from catdog.store.store import Store
from catdog.tracking.follow import Followed, Tracking, curves_so_far, ends
from catdog.training.checkpoints import Row

KEY = "0123456789abcdef01234567"
TRAINING = Followed(Trial(name="baseline", seed=1), KEY, {"epochs": 3})


def rows(count: int) -> list[Row]:
    return [
        {"epoch": n, "loss": 1 / n, "val_loss": 2 / n, "seconds": 2.0} for n in range(1, count + 1)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def keep_checkpoint(store: Store, count: int) -> None:
    folder = store.unfinished(TrainedModel, KEY) / f"epoch-{count:05d}"
    folder.mkdir()
    (folder / "history.json").write_text(json.dumps(rows(count)))


@dataclass
class Notebook:
    """A tracker that writes down what it is told, unless it is away."""

    name: str = "notebook"
    place: str = "In the notebook."
    away: bool = False
    told: list[Any] = field(default_factory=list)

    def _tell(self, what: Any) -> None:
        if self.away:
            raise ConnectionError("nobody\nanswers.")
        self.told.append(what)

    def begin(self) -> None:
        self._tell("begin")

    def curves(self, training: Followed, new: Sequence[Row]) -> None:
        self._tell([int(row["epoch"]) for row in new])

    def results(self, study: Study, report: Report | None) -> None:
        self._tell(("results", len(study.results)))

    def end(self, *, well: bool) -> None:
        self._tell(("end", well))


@pytest.fixture
def study(fake_run: Callable[..., Any]) -> Study:
    made: Study = fake_run().study()
    return made


def test_curves_grow_with_the_checkpoints_and_end_with_the_model(
    store: Store, trained: TrainedModel, store_of_tests: Store
) -> None:
    assert curves_so_far(store, KEY) == []
    keep_checkpoint(store, 1)
    keep_checkpoint(store, 2)
    assert curves_so_far(store, KEY) == rows(2)
    found = curves_so_far(store_of_tests, trained.key)
    assert found == trained.history().to_dict("records")


def test_each_epoch_is_handed_on_once(store: Store, study: Study) -> None:
    notebook = Notebook()
    tracking = Tracking([notebook], [TRAINING], store)
    with tracking.following():
        keep_checkpoint(store, 2)
    keep_checkpoint(store, 3)
    tracking.finish(study, None)
    assert [what for what in notebook.told if what != "begin"] == [
        [1, 2],
        [3],
        ("results", 2),
        ("end", True),
    ]
    assert tracking.notes == ("In the notebook.",)


def test_a_tracker_that_is_away_ends_no_run_and_gets_later_what_it_missed(
    store: Store, study: Study, caplog: pytest.LogCaptureFixture
) -> None:
    away, other = Notebook("away", away=True), Notebook()
    tracking = Tracking([away, other], [TRAINING], store)
    keep_checkpoint(store, 2)
    with caplog.at_level(logging.WARNING), tracking.following():
        pass
    (note, _) = tracking.notes
    assert note == "away did not get everything: ConnectionError: nobody."
    assert [2] not in away.told
    assert [1, 2] in other.told
    tracking.finish(study, None)
    assert len(caplog.records) == 1, "it is said once"
    away.away = False
    tracking.finish(study, None)
    assert away.told == ["begin", [1, 2], ("results", 2), ("end", True)]
    assert tracking.notes[0] == "In the notebook."


def test_a_run_that_fails_ends_what_it_began_and_raises_its_own_error(store: Store) -> None:
    notebook = Notebook()
    with pytest.raises(KeyboardInterrupt), Tracking([notebook], [TRAINING], store).following():
        raise KeyboardInterrupt
    assert notebook.told[-1] == ("end", False)


def test_epochs_of_a_cached_model_lie_as_far_apart_as_they_took() -> None:
    assert list(ends(rows(3), now=100.0)) == [96.0, 98.0, 100.0]
