"""Several homes share a bucket: a real server, over a line that breaks in all the ways it can."""

import errno
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from buckets import Bucket
from killing import nursery

from catdog.errors import SettingsError, StoreError
from catdog.store import files, remote
from catdog.store.remote import RefusedError, Remote, RemoteError
from catdog.store.store import Artifact, Recipe, Store

KEY = "0123456789abcdef01234567"
BYTES = 100_000


class Note(Artifact):
    kind: ClassVar[str] = "note"

    title: str


class Maker:
    def __init__(self, fill: bytes = b"cat") -> None:
        self.calls, self.fill = 0, fill

    def __call__(self, folder: Path) -> dict[str, str]:
        self.calls += 1
        (folder / "deep").mkdir()
        (folder / "deep" / "bytes.bin").write_bytes((self.fill * BYTES)[:BYTES])
        (folder / "empty").write_bytes(b"")
        (folder / "words.txt").write_text("a cat and a dog")
        return {"title": "cats & dogs"}


def never(folder: Path) -> dict[str, str]:
    raise AssertionError("it was made again")


@pytest.fixture
def homes(bucket: Bucket, tmp_path: Path) -> Callable[[str], Store]:
    return lambda name: Store(tmp_path / name)


Homes = Callable[[str], Store]


def obtained(store: Store, make: Callable[[Path], dict[str, str]]) -> Note:
    return store.obtain(Recipe(Note, KEY, make))


def content(store: Store) -> bytes:
    found = store.find(Note, KEY)
    assert found
    return found.file("deep/bytes.bin").read_bytes()


def test_what_one_home_has_made_the_others_find(homes: Homes) -> None:
    first = obtained(homes("a"), Maker())
    other = homes("b")
    again = obtained(other, never)
    assert (again.content, again.title) == (first.content, first.title)
    assert again.path.is_relative_to(other.home)
    assert again.path not in other.made
    assert {p.name for p in again.path.iterdir()} == {p.name for p in first.path.iterdir()}
    assert again.number == 0, "no run of this home has made it"


def test_find_looks_in_the_remote_too(homes: Homes) -> None:
    assert homes("b").find(Note, KEY) is None
    obtained(homes("a"), Maker())
    assert homes("b").find(Note, KEY)


def test_what_one_home_sends_another_takes_from_the_remote(homes: Homes) -> None:
    made = obtained(homes("a"), Maker())
    b = homes("b")
    assert b.own(made.sent()).path == b.folder("note", KEY)
    assert b.own(made) is made, "it was not sent"
    with pytest.raises(RemoteError, match=f"note {'f' * 24} is not in s3://"):
        b.own(made.model_copy(update={"key": "f" * 24}).sent())


def test_what_was_made_for_a_home_counts_as_made_there(homes: Homes) -> None:
    made, a = obtained(homes("b"), Maker()), homes("a")
    assert a.bring(made).number == 0
    assert a.bring(made, made=True).number == a.count() == 1
    assert obtained(homes("c"), never).number == 0


def test_two_that_make_the_same_at_once_end_with_the_same(homes: Homes) -> None:
    stores, both = [homes("a"), homes("b")], threading.Barrier(2)

    def work(store: Store, fill: bytes) -> None:
        def make(folder: Path) -> dict[str, str]:
            both.wait()
            return Maker(fill)(folder)

        made.append(obtained(store, make))

    made: list[Note] = []
    threads = [
        threading.Thread(target=work, args=each) for each in zip(stores, (b"a", b"b"), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0].content == made[1].content
    assert content(stores[0]) == content(stores[1]) == content(homes("c"))


def test_what_was_forgotten_or_renewed_counts_for_all(homes: Homes) -> None:
    a = homes("a")
    first = obtained(a, Maker(b"a"))
    a.renew(Recipe(Note, KEY, Maker(b"b")))
    assert content(homes("b"))[:1] == b"b"
    a.drop(first)
    assert content(homes("c"))[:1] == b"b", "another one than was to be dropped"
    a.forget(Recipe(Note, KEY, never), up_to=10)
    assert homes("d").find(Note, KEY) is None


@pytest.mark.parametrize("cut", [0, 1, 999, BYTES - 1])
def test_a_transfer_that_is_cut_goes_on(homes: Homes, bucket: Bucket, cut: int) -> None:
    assert bucket.line
    bucket.line.cuts_up = [cut]
    first = obtained(homes("a"), Maker())
    bucket.line.cuts = [cut, cut, cut]
    assert obtained(homes("b"), never).content == first.content


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_bucket_that_is_busy_for_a_moment_is_asked_again(
    homes: Homes, bucket: Bucket, status: int
) -> None:
    assert bucket.line
    bucket.line.failures = [status] * 2
    first = obtained(homes("a"), Maker())
    bucket.line.failures = [status] * 2
    assert obtained(homes("b"), never).content == first.content


def test_without_the_bucket_work_goes_on_here_and_it_is_not_asked_at_each_step(
    homes: Homes, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    assert bucket.line
    bucket.line.down = True
    a, make = homes("a"), Maker()
    obtained(a, make)
    assert make.calls == 1
    bucket.line.down = False
    assert a.find(Note, "f" * 24) is None
    assert bucket.line.asked == []
    assert "s3://" in caplog.text


def test_what_could_not_be_brought_is_brought_later(homes: Homes, bucket: Bucket) -> None:
    assert bucket.line
    bucket.line.forbidden = ("PUT", "POST", "DELETE")
    a = homes("a")
    obtained(a, Maker())
    assert homes("b").find(Note, KEY) is None
    with pytest.raises(RefusedError, match="may not be written"):
        a.share("note", KEY)
    bucket.line.forbidden = ()
    a.share("note", KEY)
    assert homes("b").find(Note, KEY)


def test_a_damaged_object_is_noticed_and_replaced(
    homes: Homes, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    obtained(homes("a"), Maker())
    there = Remote(bucket.url)
    found = there.entry(f"store/note/{KEY}")
    assert found
    part = f"store/note/{KEY}/{found[0]['part']}"
    there.remove([part])
    there.write(part, bytes(BYTES + 15))
    b, make = homes("b"), Maker()
    obtained(b, make)
    assert make.calls == 1
    assert "damaged" in caplog.text
    assert obtained(homes("c"), never)


@pytest.mark.parametrize("spoilt", [b"", b"{}", b"\xff", b'{"files": {}, "part": 3}'])
def test_an_entry_that_is_none_is_replaced(homes: Homes, bucket: Bucket, spoilt: bytes) -> None:
    Remote(bucket.url).write(f"store/note/{KEY}/entry.json", spoilt)
    obtained(homes("a"), Maker())
    assert obtained(homes("b"), never)


def test_a_name_in_a_bucket_cannot_lead_out_of_the_folder(
    homes: Homes, bucket: Bucket, tmp_path: Path
) -> None:
    a = homes("a")
    made = obtained(a, Maker())
    there, name = Remote(bucket.url), f"store/note/{KEY}"
    entry = files.read_entry(made.path)
    facts = entry["files"].pop("words.txt")
    told = {**entry, "created": "2026-01-01T00:00:00Z", "files": {"../../../../out": facts}}
    made.path.joinpath("../../../../out").write_text("a cat and a dog")
    assert there.publish(name, made.path, told, replace=True)
    made.path.joinpath("../../../../out").unlink()
    assert obtained(homes("b"), Maker())
    assert not list(tmp_path.rglob("out"))


def test_a_full_disk_while_fetching_is_one_line_and_leaves_nothing(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    obtained(homes("a"), Maker())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    b = homes("b")
    with monkeypatch.context() as patch:
        patch.setattr(remote._Reader, "copy", full)
        with pytest.raises(StoreError, match="No space left"):
            b.find(Note, KEY)
    assert not list((b.home / "work" / "making").iterdir())
    assert b.find(Note, KEY)


def test_no_such_bucket_is_said_in_one_line(
    homes: Homes, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RefusedError, match="no such bucket"):
        Remote("s3://nowhere/x").read("entry.json")
    with pytest.raises(RefusedError, match="no such bucket"):
        Remote("s3://nowhere/x").write("entry.json", b"")
    with pytest.raises(RemoteError, match="no such bucket"):
        Remote("s3://nowhere/x").names("store")


@pytest.mark.parametrize(
    "url", ["team", "s3://", "ftp://team", "s3://user:pass@team/x", "s3://team/x?token=1"]
)
def test_an_address_that_is_none_is_refused_without_its_secrets(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_REMOTE", url)
    with pytest.raises(SettingsError) as raised:
        Store(tmp_path).find(Note, KEY)
    assert "pass" not in str(raised.value)


def test_no_secret_is_told(homes: Homes, bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    assert bucket.line
    caplog.set_level(logging.DEBUG)
    bucket.line.forbidden = ("PUT",)
    obtained(homes("a"), Maker())
    assert "secret-of-somebody" not in caplog.text
    assert "Signature" not in caplog.text


def work(home: str) -> None:
    obtained(Store(Path(home)), Maker())


@pytest.mark.slow
def test_a_process_that_is_killed_while_it_brings_leaves_nothing_half_made(
    homes: Homes, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = found = 0
    with nursery(__name__, "work", bucket) as processes:
        for number in range(200):
            folder = f"{bucket.url}/{number}"
            monkeypatch.setenv("CATDOG_REMOTE", folder)
            killed += processes.kill(homes(f"k{number}").home, folder, Random(number), 6)
            b, make = homes(f"b{number}"), Maker()
            obtained(b, make)
            found += not make.calls
            assert content(b) == content(homes(f"c{number}")) == (b"cat" * BYTES)[:BYTES]
    assert killed > 150
    assert 0 < found < 200
