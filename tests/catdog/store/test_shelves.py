"""Housekeeping of a bucket on a real server."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from buckets import Bucket
from test_remote import KEY, Maker, Note, never, obtained

from catdog.errors import SettingsError
from catdog.store import shelves
from catdog.store.files import write_json
from catdog.store.remote import ForbiddenError, Remote
from catdog.store.rights import require_rights
from catdog.store.shelves import Shelf, prune, verify
from catdog.store.store import Recipe, Store

OTHER = "f" * 24
LONG_AGO = timedelta(days=40)


@pytest.fixture
def there(bucket: Bucket, tmp_path: Path) -> Remote:
    """A bucket with two notes, an open training that needs the first, and half a folder."""
    obtained(Store(tmp_path / "a"), Maker())
    Store(tmp_path / "a").obtain(Recipe(Note, OTHER, Maker()))
    remote = Remote(bucket.url)
    remote.write(f"store/note/{'0' * 24}/half", b"half")
    epoch = tmp_path / "epoch"
    epoch.mkdir()
    entry = {"files": {}, "record": {"epochs": 1, "needs": [f"store/note/{KEY}"]}}
    write_json(epoch / "entry.json", entry)
    remote.publish("work/unfinished/model-1", epoch, entry)
    return remote


def aged(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    """Make the folders of these kinds look old: no server lets a client set the time."""
    real: Callable[[Remote], list[Shelf]] = shelves.shelves
    monkeypatch.setattr(
        shelves,
        "shelves",
        lambda remote: [
            item._replace(created=item.created - LONG_AGO) if item.kind in kinds else item
            for item in real(remote)
        ],
    )


def left(remote: Remote) -> set[tuple[str, str]]:
    return {(item.kind, item.key) for item in shelves.shelves(remote)}


def gone(remote: Remote, *needed: str, dry_run: bool = False) -> set[str]:
    met = prune(remote, lambda since: needed, keep_days=30, dry_run=dry_run)
    return {item.key for item, free in met if free}


def test_what_is_there_is_listed_with_its_size(there: Remote) -> None:
    found = {item.key: item for item in shelves.shelves(there)}
    assert left(there) == {
        ("note", KEY),
        ("note", OTHER),
        ("leftover", "0" * 24),
        ("unfinished", "model-1"),
    }
    assert found["0" * 24].bytes == len(b"half")
    assert found[KEY].bytes > 100_000


def test_pruning_takes_nothing_that_is_young(there: Remote) -> None:
    assert gone(there) == set()
    assert len(left(there)) == 4


def test_pruning_takes_what_is_old_unless_a_run_or_an_open_training_needs_it(
    there: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        aged(patch, "note", "leftover")
        assert gone(there, f"store/note/{OTHER}") == {"0" * 24}
    assert left(there) == {("note", KEY), ("note", OTHER), ("unfinished", "model-1")}
    with monkeypatch.context() as patch:
        aged(patch, "note")
        assert gone(there, dry_run=True) == {OTHER}
        assert gone(there) == {OTHER}
    with monkeypatch.context() as patch:
        aged(patch, "note", "unfinished")
        assert gone(there) == {KEY, "model-1"}
    assert not list(there.objects("store"))


def test_what_another_home_prunes_is_made_again(
    there: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(monkeypatch, "note", "unfinished")
    gone(there)
    make = Maker()
    obtained(Store(tmp_path / "b"), make)
    assert make.calls == 1
    assert obtained(Store(tmp_path / "c"), never)


def test_fewer_days_than_a_run_may_take_are_refused(there: Remote) -> None:
    with pytest.raises(SettingsError, match="at least 1 in a bucket"):
        list(prune(there, lambda since: (), keep_days=0, dry_run=True))


def test_every_object_is_verified(there: Remote, tmp_path: Path) -> None:
    store = Store(tmp_path / "b")
    assert [(item.key, problem) for item, problem in verify(store, there)] == [
        (KEY, None),
        (OTHER, None),
    ]
    for key, spoil in ((KEY, bytes(100_015)), (OTHER, b"short")):
        found = there.entry(f"store/note/{key}")
        assert found
        part = f"store/note/{key}/{found[0]['part']}"
        there.remove([part])
        there.write(part, spoil)
    problems = [problem for _, problem in verify(store, there)]
    assert all(problems)
    assert not any((store.home / "work" / "verifying").iterdir())


def test_a_bucket_that_allows_everything_is_left_as_it_was(bucket: Bucket) -> None:
    remote = Remote(bucket.url)
    require_rights(remote)
    assert not list(remote.objects("work"))


@pytest.mark.parametrize(
    ("method", "right"),
    [("PUT", "s3:PutObject"), ("DELETE", "s3:DeleteObject"), ("GET", "s3:ListBucket")],
)
def test_the_missing_right_is_named(bucket: Bucket, method: str, right: str) -> None:
    assert bucket.line
    bucket.line.forbidden = (method, "POST") if method == "DELETE" else (method,)
    with pytest.raises(ForbiddenError, match=right):
        require_rights(Remote(bucket.url))


def test_a_bucket_that_may_be_listed_but_not_read(bucket: Bucket) -> None:
    assert bucket.line
    line = bucket.line

    def refuse(method: str, path: str) -> None:
        line.forbidden = ("GET",) if "list-type" not in path else ()

    line.before = refuse
    with pytest.raises(ForbiddenError, match="s3:GetObject"):
        require_rights(Remote(bucket.url))


def test_a_service_without_conditional_writes_is_refused(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Remote.write

    def careless(self: Remote, path: str, content: bytes, over: object = None) -> bool:
        self.remove([path])
        return real(self, path, content)

    monkeypatch.setattr(Remote, "write", careless)
    with pytest.raises(Exception, match="Two homes could both win"):
        require_rights(Remote(bucket.url))
