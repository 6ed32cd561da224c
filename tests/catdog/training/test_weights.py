"""Which ImageNet weights are used: the order, the fall-backs, and damaged files."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from website import Site, running

from catdog.backbones import BACKBONES, new_base
from catdog.errors import TrainingError
from catdog.store.digest import file_digest
from catdog.store.files import HOME
from catdog.store.housekeeping import stored_items
from catdog.store.store import Store
from catdog.training import weights
from catdog.training.weights import (
    EMBEDDED_SHA256,
    HDF5_MARK,
    OFFICIAL_BYTES,
    fill_base,
    find_weights,
)

OFFICIAL = HDF5_MARK.ljust(OFFICIAL_BYTES, b"w")
CLOSED = "http://127.0.0.1:9/weights.h5"
EMBEDDED_NOTE = "the embedded copy, trained at 224 px, was used"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running(Site(body=OFFICIAL), "/weights.h5") as site:
        yield site


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def left_over(home: Path) -> list[str]:
    """Files that hold something: locks do not, and the home's mark is no part of a download."""
    files = (path for path in home.rglob("*") if path.is_file() and path.name != HOME)
    return [path.name for path in files if path.stat().st_size]


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_official_weights_are_downloaded_once_into_the_store(site: Site, home: Path) -> None:
    first, second = (find_weights("auto", home=home, url=site.url) for _ in range(2))
    assert first == second
    assert site.gets == [None]
    (stored,) = stored_items(Store(home))
    assert (first.source, first.sha256) == ("official", hashlib.sha256(OFFICIAL).hexdigest())
    assert first.file
    assert (stored.kind, stored.path) == ("weights", first.file.parent)
    assert first.note == f"Official 160 px weights, downloaded from {site.url}."


def test_official_weights_are_held_while_they_are_used(site: Site, home: Path) -> None:
    """Another process than the one that uses them prunes."""
    find_weights("official", home=home, url=site.url)
    prune = [sys.executable, "-m", "catdog", "cache", "prune", "--days", "0", "--home", str(home)]
    subprocess.run(prune, check=True)  # noqa: S603  our own command
    assert [item.kind for item in stored_items(Store(home))] == ["weights"]


def test_a_redirect_is_followed(site: Site, home: Path) -> None:
    site.moved_to = "/elsewhere/weights.h5"
    assert find_weights("official", home=home, url=site.url).source == "official"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ({"failures": [404]}, "404"),
        ({"body": OFFICIAL[:1000]}, "1,000 bytes"),
        ({"body": OFFICIAL + b"more"}, f"{OFFICIAL_BYTES + 4:,} bytes"),
        ({"body": b"<html>".ljust(OFFICIAL_BYTES)}, "not an HDF5"),
        ({"cuts": [OFFICIAL_BYTES // 2]}, "closed connection"),
    ],
)
def test_a_bad_download_falls_back_loudly_and_leaves_nothing(
    site: Site, home: Path, trouble: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    vars(site).update(trouble)
    found = find_weights("auto", home=home, url=site.url)
    assert (found.source, found.sha256) == ("embedded", EMBEDDED_SHA256)
    assert reason in found.note
    assert EMBEDDED_NOTE in found.note
    assert caplog.records[-1].levelname == "WARNING"
    assert left_over(home) == []


def test_without_network_each_run_gets_the_same_weights(home: Path) -> None:
    first, second = (find_weights("auto", home=home, url=CLOSED) for _ in range(2))
    assert first == second
    assert first.source == "embedded"


def test_official_without_network_is_an_error_with_its_remedy(home: Path) -> None:
    with pytest.raises(TrainingError, match="could not be downloaded") as caught:
        find_weights("official", home=home, url=CLOSED)
    assert "embedded" in caught.value.remedy


@pytest.mark.parametrize("choice", ["auto", "official"])
def test_weights_of_another_backbone_need_network_or_a_file(choice: str, home: Path) -> None:
    with pytest.raises(TrainingError, match="no ImageNet weights of convnext_tiny") as caught:
        find_weights(choice, home=home, backbone="convnext_tiny", url=CLOSED)
    for remedy in ("convnext_tiny_notop.h5", "--weights", "--backbone mobilenetv2"):
        assert remedy in caught.value.remedy
    assert left_over(home) == []


def test_the_embedded_copy_is_of_mobilenetv2_alone(home: Path) -> None:
    with pytest.raises(TrainingError, match="no embedded copy"):
        find_weights("embedded", home=home, backbone="resnet50v2")


def test_weights_of_another_backbone_are_checked_as_keras_checks_them(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.body = HDF5_MARK + b"of another network"
    with pytest.raises(TrainingError, match="Keras names 893217f2"):
        find_weights("auto", home=home, backbone="efficientnetv2b0", url=site.url)
    assert left_over(home) == []
    for algorithm in (hashlib.md5, hashlib.sha256):
        checksum = algorithm(site.body).hexdigest()
        known = replace(BACKBONES["efficientnetv2b0"], checksum=checksum)
        monkeypatch.setitem(BACKBONES, "efficientnetv2b0", known)
        found = find_weights("auto", home=home, backbone="efficientnetv2b0", url=site.url)
        assert (found.source, found.backbone) == ("official", "efficientnetv2b0")
        assert found.sha256 == hashlib.sha256(site.body).hexdigest()


def test_a_file_of_another_network_is_named(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "mobile.weights.h5"
    path.write_bytes(find_weights("embedded", home=home).file.read_bytes())
    base = new_base("mobilenetv3_large", 32)
    with pytest.raises(TrainingError, match="does not fit MobileNetV3Large"):
        fill_base(base, find_weights(str(path), home=home, backbone="mobilenetv3_large"))


def test_a_download_that_changed_since_is_downloaded_again(site: Site, home: Path) -> None:
    first = find_weights("official", home=home, url=site.url)
    assert first.file
    put(first.file, OFFICIAL[:-1] + b"x")
    assert find_weights("official", home=home, url=site.url) == first
    assert file_digest(first.file) == first.sha256


def test_a_path_comes_first(home: Path, tmp_path: Path) -> None:
    file = put(tmp_path / "own.weights.h5", HDF5_MARK + b"own")
    found = find_weights(str(file), home=home, url=CLOSED)
    assert (found.source, found.file, found.sha256) == ("path", file, file_digest(file))


@pytest.mark.parametrize("content", [b"", b"not weights", None])
def test_a_path_that_is_no_weights_file_is_named(
    home: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "own.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"own\.h5") as caught:
        find_weights(str(path), home=home)
    assert "auto" in caught.value.remedy


def test_random_weights_only_by_name(home: Path) -> None:
    found = find_weights("random", home=home)
    assert (found.source, found.file, found.sha256) == ("random", None, "")


def test_the_embedded_copy_needs_no_network(home: Path) -> None:
    found = find_weights("embedded", home=home, url=CLOSED)
    assert (found.source, found.sha256) == ("embedded", EMBEDDED_SHA256)


def test_a_damaged_embedded_copy_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "EMBEDDED_SHA256", "0" * 64)
    with pytest.raises(TrainingError, match="damaged"):
        find_weights("embedded", home=home)


def test_the_base_is_frozen_and_damaged_weights_are_named(home: Path, tmp_path: Path) -> None:
    base = fill_base(new_base("mobilenetv2", 160), find_weights("embedded", home=home))
    network = base.network
    assert (network.count_params(), network.trainable_weights) == (2_257_984, [])
    assert network.output_shape == (None, 5, 5, 1280)
    wrong = put(tmp_path / "wrong.weights.h5", HDF5_MARK + b"damaged" * 100)
    with pytest.raises(TrainingError, match=r"wrong\.weights\.h5"):
        fill_base(base, find_weights(str(wrong), home=home))


@pytest.mark.parametrize("name", ["/dev/zero", "pipe.h5"])
def test_what_never_ends_is_no_weights_file(name: str, home: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(TrainingError, match="cannot be used as weights"):
        find_weights(str(tmp_path / name), home=home)


def test_a_name_that_keras_does_not_read_is_named(home: Path, tmp_path: Path) -> None:
    path = put(tmp_path / "weights.bin", OFFICIAL)
    with pytest.raises(TrainingError, match="names that end in"):
        find_weights(str(path), home=home)
