"""The wheel: what is in it, and that it works where nothing else of the project is."""

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from catdog.models import MODELS

ROOT = Path(__file__).parents[1]

COLLECTION_USE = """
from prefect.plugins import load_prefect_collections

print(load_prefect_collections()["catdog"].AlertLog.__module__)
"""

LIBRARY_USE = """
import sys
from pathlib import Path

import catdog
from catdog.store.digest import code_digest
from catdog.training.weights import find_weights

print(catdog.__file__)
print(catdog.__version__)
print(find_weights("embedded", home=Path("home")).file)
print(code_digest("catdog.training.train"))
assert "tensorflow" not in sys.modules
"""


def python(*arguments: str | Path, cwd: Path, path: Path | None = None) -> str:
    """What a Python process prints; it fails the test when the process fails."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    if path:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    (wheel,) = folder.glob("catdog_pipeline-*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    options = ("--quiet", "--no-deps", "--no-index", "--no-cache", "--target")
    python("-m", "uv", "pip", "install", *options, folder, wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_product_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in ("catdog", "tasks", "flows", "deployments")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == expected
    assert {
        "catdog/data/mobilenet_v2_imagenet_no_top.weights.h5",
        "catdog/data/NOTICE",
        "catdog/report/templates/report.html.jinja",
        "flows/cli/app.py",
        "tasks/train.py",
        "deployments/__init__.py",
    } <= inside


def test_the_source_distribution_holds_what_its_tests_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("sdist")
    python("-m", "build", "--sdist", "--no-isolation", "--outdir", folder, cwd=ROOT)
    (archive,) = folder.glob("catdog_pipeline-*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.split("/", 1)[1] for name in file.getnames() if "/" in name}
    read = {"README.md", "docs/report.png", "benchmarks/README.md", "deployments/compose.yaml"}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")} <= names
    assert read <= names


def test_the_licence_and_the_notice_of_the_weights_travel_with_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    notices = [name for name in names if ".dist-info/licenses/" in name]
    assert {Path(name).name for name in notices} == {"LICENSE", "NOTICE"}


def test_the_installed_wheel_works_from_elsewhere(installed: Path, tmp_path: Path) -> None:
    listed = python("-m", "flows.cli.app", "models", cwd=tmp_path, path=installed)
    for name in (*MODELS, "2,260,546"):
        assert name in listed
    assert "Usage" in python("-m", "flows.cli.app", "--help", cwd=tmp_path, path=installed)
    assert (installed / "bin" / "catdog").exists()


def test_the_library_is_light_to_import_and_finds_its_own_files(
    installed: Path, tmp_path: Path
) -> None:
    place, version, weights, digest = python(
        "-c", LIBRARY_USE, cwd=tmp_path, path=installed
    ).splitlines()
    assert Path(place).is_relative_to(installed)
    assert version == metadata.version("catdog-pipeline")
    assert Path(weights).is_relative_to(installed)
    assert len(digest) == 64


def test_prefects_server_finds_the_block_that_logs_alerts(installed: Path, tmp_path: Path) -> None:
    found = python("-c", COLLECTION_USE, cwd=tmp_path, path=installed)
    assert found.strip() == "deployments.alert_log"
