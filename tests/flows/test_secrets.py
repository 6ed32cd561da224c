"""A secret in the source's address is used to fetch, and is nowhere else."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from website import Site, running

from flows.server.client import deliver

PLANTED = "planted7secret"


@pytest.fixture
def site(tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("CATDOG_SOURCE", "")  # as it was, it will be again
    packed = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", tiny_source))
    with running(Site(body=packed.read_bytes()), "/photos.zip") as site:
        yield site


@pytest.mark.parametrize("ending", ["", "#sha256=" + 64 * "0"], ids=["good", "wrong checksum"])
def test_a_secret_of_the_source_is_in_no_file_output_or_database(
    run_tiny: Callable[..., Any],
    site: Site,
    flow_home: Path,
    capfd: pytest.CaptureFixture[str],
    ending: str,
) -> None:
    address = site.url.replace("//", f"//me:{PLANTED}@")
    outcome = run_tiny(source=f"{address}?unusual={PLANTED}{ending}", models=("baseline",))
    deliver()
    assert PLANTED in site.paths[-1], "it was used"
    assert (outcome.run is None) == bool(ending)
    printed = capfd.readouterr()
    assert PLANTED not in f"{printed}{outcome.printed}{outcome.error}{outcome.flow_run}"
    files = [path for path in flow_home.rglob("*") if path.is_file()]
    assert flow_home / "prefect" / "prefect.db" in files
    assert [path for path in files if PLANTED in str(path)] == []
    assert [path for path in files if PLANTED.encode() in path.read_bytes()] == []
