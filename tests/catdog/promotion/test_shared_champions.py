"""Champions of homes that share a bucket on a real server."""

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from buckets import Bucket
from entrants import PROMOTION, make, reign
from killing import nursery

from catdog.errors import StoreError
from catdog.promotion import sharing
from catdog.promotion.registry import Registry
from catdog.promotion.tasks import challenge, registry_of, tasks
from catdog.store import remote
from catdog.store.housekeeping import prune
from catdog.store.remote import Remote
from catdog.store.store import Store

Homes = Callable[[str], Path]


@pytest.fixture
def homes(bucket: Bucket, tmp_path: Path) -> Homes:
    return lambda name: tmp_path / name


def test_a_home_that_never_decided_has_the_champion_and_its_files(homes: Homes) -> None:
    Registry(homes("a")).challenge(make(Store(homes("a")), "first"), PROMOTION)
    other = registry_of(homes("b"), None)
    champion = other.champion()
    assert champion
    assert other.model_of(champion).file("model.keras").read_text() == "first"
    assert other.decisions() == Registry(homes("a")).decisions()


def test_a_home_that_may_only_read_has_the_champion(homes: Homes, bucket: Bucket) -> None:
    Registry(homes("a")).challenge(make(Store(homes("a")), "first"), PROMOTION)
    assert bucket.line
    bucket.line.forbidden = ("PUT", "POST", "DELETE")
    other = registry_of(homes("b"), None)
    champion = other.champion()
    assert champion
    assert other.model_of(champion)


def test_each_home_decides_after_all_that_the_others_have_decided(homes: Homes) -> None:
    for home, name, right in (("a", "old", 30), ("b", "new", 48), ("c", "worse", 40)):
        challenger = make(Store(homes(home)), name, right=(right, right))
        Registry(homes(home)).challenge(challenger, PROMOTION)
    past = Registry(homes("d")).decisions()
    assert [(d.number, d.outcome) for d in past] == [(1, "promoted"), (2, "promoted"), (3, "kept")]
    Registry(homes("d")).rollback()
    assert reign(Registry(homes("a"))) == "old"


def test_of_two_that_decide_at_once_one_judges_again(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have read that there is no champion yet before one of them writes."""
    both, real, failed = threading.Barrier(2), sharing.share_decision, []
    first = {homes("a") / "champion", homes("b") / "champion"}

    def wait(champions: Store, path: Path, text: str) -> None:
        if champions.home in first:
            first.discard(champions.home)
            both.wait()
        real(champions, path, text)

    def decide(home: str, name: str) -> None:
        try:
            challenge(homes(home), make(Store(homes(home)), name), PROMOTION)
        except BaseException as error:
            failed.append(error)
            raise

    monkeypatch.setattr("catdog.promotion.registry.share_decision", wait)
    threads = [threading.Thread(target=decide, args=pair) for pair in (("a", "one"), ("b", "two"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    past = Registry(homes("c")).decisions()
    assert [(d.number, d.outcome) for d in past] == [(1, "promoted"), (2, "kept")]
    assert Registry(homes("a")).decisions() == Registry(homes("b")).decisions() == past


def test_a_decision_whose_answer_was_lost_is_made_once(homes: Homes, bucket: Bucket) -> None:
    assert bucket.line
    home = homes("a")
    challenger = make(Store(home), "first")
    line, lost = bucket.line, []

    def lose(method: str, path: str) -> None:
        if method == "PUT" and "decisions" in path and not lost:
            lost.append(path)
            line.cuts_answers = 1

    line.before = lose
    assert Registry(home).challenge(challenger, PROMOTION).number == 1
    assert lost
    assert [d.number for d in Registry(homes("b")).decisions()] == [1]


def test_without_the_bucket_nothing_is_decided_and_the_champion_stays(
    homes: Homes, bucket: Bucket
) -> None:
    assert bucket.line
    home = homes("a")
    Registry(home).challenge(make(Store(home), "old", right=(30, 30)), PROMOTION)
    new = make(Store(home), "new", right=(50, 50))
    bucket.line.down = True
    with pytest.raises(StoreError, match=r"s3://.* did not answer"):
        Registry(home).challenge(new, PROMOTION)
    assert reign(Registry(home)) == "old"
    bucket.line.down = False
    remote._away.clear()
    Registry(home).challenge(new, PROMOTION)
    assert reign(Registry(homes("b"))) == "new"


def test_what_a_home_has_decided_alone_is_handed_on(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as alone:
        alone.delenv("CATDOG_REMOTE")
        home = homes("a")
        Registry(home).challenge(make(Store(home), "old", right=(30, 30)), PROMOTION)
        Registry(home).challenge(make(Store(home), "new", right=(50, 50)), PROMOTION)
    Registry(homes("a")).champion()
    other = Registry(homes("b"))
    champion = other.champion()
    assert champion
    assert (champion.name, len(other.decisions())) == ("new", 2)
    assert other.model_of(champion)


def test_homes_that_have_decided_apart_are_told(
    homes: Homes, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    Registry(homes("a")).challenge(make(Store(homes("a")), "one"), PROMOTION)
    with monkeypatch.context() as alone:
        alone.delenv("CATDOG_REMOTE")
        Registry(homes("b")).challenge(make(Store(homes("b")), "two"), PROMOTION)
    with pytest.raises(StoreError, match="have decided apart"):
        Registry(homes("b")).champion()
    assert Remote(bucket.url, "champion").files("decisions") == ["000001.json"]


def test_tasks_of_other_homes_are_known(homes: Homes) -> None:
    store = Store(homes("a"))
    challenge(homes("a"), make(store, "pets"), PROMOTION)
    challenge(homes("a"), make(store, "birds", classes=("owls", "tits"), origin="b"), PROMOTION)
    assert tasks(homes("b")) == ["default", "b"]
    assert reign(registry_of(homes("b"), "b")) == "birds"


def test_pruning_a_home_takes_nothing_from_the_others(homes: Homes) -> None:
    home = homes("a")
    Registry(home).challenge(make(Store(home), "first"), PROMOTION)
    list(prune(Store(home), keep_days=0, dry_run=False))
    champion = Registry(homes("b")).champion()
    assert champion
    assert Registry(homes("b")).model_of(champion)


def decide(home: str) -> None:
    Registry(Path(home)).challenge(make(Store(Path(home)), "first", right=(30, 30)), PROMOTION)


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_decides_leaves_a_champion_or_none(
    homes: Homes, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = decided = 0
    with nursery(__name__, "decide", bucket) as processes:
        for number in range(100):
            folder = f"{bucket.url}/{number}"
            monkeypatch.setenv("CATDOG_REMOTE", folder)
            lost, other = homes(f"k{number}"), Registry(homes(f"b{number}"))
            killed += processes.kill(lost, folder, Random(number), 40)
            for decision in other.decisions():
                decided += 1
                assert other.model_of(decision.champion).file("model.keras").read_text() == "first"
            other.challenge(make(other.origin, "better", right=(50, 50)), PROMOTION)
            assert Registry(lost).decisions() == other.decisions()
            assert reign(Registry(lost)) == "better"
    assert killed > 50
    assert 0 < decided < 100
