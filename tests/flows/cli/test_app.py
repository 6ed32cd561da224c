"""The command line as its user meets it: above all, what a mistake gets for an answer."""

import csv
import io
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
import tenacity
from PIL import Image
from rich.console import Console

from catdog.errors import SettingsError
from catdog.history.runs import Run, Score, runs_folder, save_run
from catdog.photos import prefetch, split
from catdog.settings import Cut, Decoding, Settings
from catdog.sources import download
from catdog.store.artifacts import Flatbuffer, Predictions, TrainedModel
from catdog.store.housekeeping import interrupted_items, stored_items
from catdog.store.store import Store
from catdog.wording import percent
from flows.cli import run as launch
from flows.cli.app import main
from flows.server.choose import prefect_server
from flows.server.client import ServerError
from flows.server.private import free_port, require_free

ROOT = Path(__file__).parents[3]
SOURCE = f"/{'a-deep-folder/' * 12}tiny.zip"


class Answer(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("CATDOG_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "160")
    return folder


@pytest.fixture
def command(home: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `catdog WORD...` in this process."""

    def run(*words: str | Path) -> Answer:
        with pytest.raises(SystemExit) as ended, patch.dict(os.environ):
            main([str(word) for word in words])
        printed = capsys.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), *printed)

    return run


@pytest.fixture
def data_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`catdog run` does what comes before the training, in this process, without Prefect."""

    def run_flow(settings: Settings, console: Console) -> None:
        store = Store(settings.home)
        photos = store.obtain(download.recipe(settings.source, store=store))
        parts = store.obtain(split.recipe(photos, settings.group(Cut)))
        made = store.obtain(prefetch.recipe(photos, parts, settings.group(Decoding)))
        console.print(f"{sum(made.counts.values())} good, {parts.rejected} bad")

    monkeypatch.setattr(launch, "run_flow", run_flow)
    monkeypatch.setattr(tenacity.nap, "time", SimpleNamespace(sleep=lambda seconds: None))


def assert_one_clear_line(answer: Answer, *words: str) -> None:
    assert answer.code != 0
    lines = answer.err.splitlines()
    assert len(lines) == 1, answer.err
    assert lines[0].startswith("Error: ")
    for word in words:
        assert word in lines[0]
    assert len(re.findall(r"[.?](?= [A-Z]|$)", lines[0])) >= 2, "it tells no remedy"
    assert "Traceback" not in answer.out


def users_files(root: Path, home: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if not path.is_relative_to(home))


def assert_nothing_half_made(home: Path) -> None:
    store = Store(home)
    assert stored_items(store) == []
    assert interrupted_items(store) == []
    assert [path for path in home.rglob("*") if "making" in path.parts and path.is_file()] == []


# Photos and archives


def photo(path: Path, seed: int, side: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def folder(root: Path, **classes: int) -> Path:
    for place, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            photo(root / name / f"{number}.jpg", 1_000 * place + number)
    return root


def huge_png() -> bytes:
    """The header of a picture of 30,000 x 30,000 pixels."""
    small = io.BytesIO()
    Image.new("L", (1, 1)).save(small, "PNG")
    data = bytearray(small.getvalue())
    data[16:24] = (30_000).to_bytes(4) * 2

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    return bytes(data)


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def good_members() -> dict[str, bytes]:
    members = {}
    for number in range(24):
        data = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(data, "JPEG")
        members[f"{('cats', 'dogs')[number % 2]}/{number}.jpg"] = data.getvalue()
    return members


def empty_folder(root: Path) -> Path:
    return folder(root)


def one_class(root: Path) -> Path:
    return folder(root, cats=9)


def too_few(root: Path) -> Path:
    return folder(root, cats=12, dogs=1)


def no_good_photo_of_a_class(root: Path) -> Path:
    folder(root, cats=12)
    for number in range(12):
        (root / "dogs").mkdir(exist_ok=True)
        (root / "dogs" / f"{number}.jpg").write_bytes(b"")
    return root


def no_class_folders(root: Path) -> Path:
    photo(root / "1.jpg", 1)
    return root


def leading_out(root: Path) -> Path:
    return zipped(root.with_suffix(".zip"), {"../out.jpg": b"1", **good_members()})


def absolute(root: Path) -> Path:
    return zipped(root.with_suffix(".zip"), {"/etc/out.jpg": b"1", **good_members()})


def with_a_link(root: Path) -> Path:
    path = root.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name, content in good_members().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("cats/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def bomb(root: Path) -> Path:
    return zipped(root.with_suffix(".zip"), {"cats/1.jpg": bytes(30_000_000), **good_members()})


def truncated(root: Path) -> Path:
    path = zipped(root.with_suffix(".zip"), good_members())
    path.write_bytes(path.read_bytes()[:-1_000])
    return path


def no_archive(root: Path) -> Path:
    path = root.with_suffix(".zip")
    path.write_text("this is text")
    return path


def two_lines(root: Path) -> Path:
    return folder(root, **{"ca\nts": 4}, dogs=4)


def two_lines_of_metadata(root: Path) -> Path:
    (folder(root, pets=4) / "metadata.csv").write_text('file_name,label\npets/0.jpg,"ca\u2028ts"\n')
    return root


def missing(root: Path) -> Path:
    return root / "nowhere"


BAD_SOURCES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "an empty folder": (empty_folder, "no photo files"),
    "one class only": (one_class, "only one class, 'cats'"),
    "a class with too few photos": (too_few, "'dogs'"),
    "a class of unreadable photos": (no_good_photo_of_a_class, "'dogs'"),
    "no class folders": (no_class_folders, "no class folders"),
    "paths that lead out": (leading_out, "../out.jpg"),
    "absolute paths": (absolute, "/etc/out.jpg"),
    "links": (with_a_link, "cats/link.jpg"),
    "a bomb": (bomb, "unpack"),
    "a truncated archive": (truncated, ""),
    "a text called .zip": (no_archive, ""),
    "a class with a line break": (two_lines, r"'ca\nts/0.jpg' has a control character"),
    "a label with a line break": (
        two_lines_of_metadata,
        r"line 2 of metadata.csv has the label 'ca\u2028ts'",
    ),
    "nothing there": (missing, "is not a file or folder"),
}


@pytest.mark.usefixtures("data_only")
@pytest.mark.parametrize(("make", "words"), BAD_SOURCES.values(), ids=BAD_SOURCES.keys())
def test_a_bad_source_is_one_line_and_leaves_nothing(
    make: Callable[[Path], Path], words: str, command: Command, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    source = make(tmp_path / "photos")
    before = users_files(tmp_path, home)
    answer = command("run", "--source", source)
    assert_one_clear_line(answer, str(source), words)
    store = Store(home)
    assert [item.kind for item in stored_items(store)] in ([], ["photos"])
    assert interrupted_items(store) == []
    assert users_files(tmp_path, home) == before


@pytest.mark.usefixtures("data_only")
def test_bad_photos_cost_no_good_one(command: Command, tmp_path: Path) -> None:
    source = folder(tmp_path / "photos", cats=12, dogs=12)
    good = photo(tmp_path / "whole.jpg", 99, side=120).read_bytes()
    bad = {"cut.jpg": good[: len(good) // 2], "empty.jpg": b"", "text.jpg": b"words"}
    for name, content in (bad | {"huge.png": huge_png()}).items():
        (source / "cats" / name).write_bytes(content)
    answer = command("run", "--source", source, "--image-size", "32")
    assert (answer.code, answer.err) == (0, "")
    assert "24 good, 4 bad" in answer.out


@pytest.mark.usefixtures("data_only")
def test_no_network_is_one_line_that_tells_what_works_without(command: Command, home: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/photos.zip"
    answer = command("run", "--source", url)
    assert_one_clear_line(answer, url, "could not be fetched", "'sample'")
    assert_nothing_half_made(home)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("data_only")
def test_a_full_disk_is_one_line_and_a_later_run_succeeds(
    command: Command, home: Path, tmp_path: Path
) -> None:
    source = folder(tmp_path / "photos", cats=12, dogs=12)
    with files_up_to(200_000):
        answer = command("run", "--source", source)
    assert_one_clear_line(answer, str(home), "No space left", "catdog cache prune")
    assert [item.kind for item in stored_items(Store(home))] == ["manifest", "photos"]
    assert interrupted_items(Store(home)) == []
    assert command("run", "--source", source).code == 0


@pytest.mark.parametrize("place", ["a file", "below a file", "read-only"])
def test_a_home_that_cannot_be_written_is_one_line(
    place: str, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    home = {"a file": file, "below a file": file / "home", "read-only": locked / "home"}[place]
    if place == "read-only" and os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    answer = command("run", "--source", "sample", "--home", home)
    assert_one_clear_line(answer, str(home), "CATDOG_HOME")
    assert file.read_text() == "mine"


WRONG_VALUES = {
    "unknown model": (["--models", "baseline,resnet"], "unknown model 'resnet'; choose from"),
    "0 epochs": (["--epochs", "0"], "epochs: should be greater than or equal to 1 (got 0)"),
    "-1 epochs": (["--epochs", "-1"], "epochs: should be greater than or equal to 1 (got -1)"),
    "epochs in words": (["--epochs", "many"], 'unable to convert "many" into int'),
    "unknown flag": (["--epoch", "3"], "Did you mean --epochs?"),
    "a choice that is none": (["--duplicates", "sell"], "should be 'drop' or 'keep'"),
    "a tiny size": (["--image-size", "8"], "image_size: should be greater than or equal to 32"),
    "no processes": (["--parallel", "0"], "parallel: should be greater than or equal to 1"),
    "a share of all": (["--test-share", "1"], "test_share: should be less than 1"),
    "no source": (["--source", ""], "source"),
}


@pytest.mark.parametrize(("flags", "words"), WRONG_VALUES.values(), ids=WRONG_VALUES.keys())
def test_a_wrong_value_is_one_line_that_names_the_choices(
    flags: list[str], words: str, command: Command, home: Path
) -> None:
    answer = command("run", *flags)
    assert answer.code != 0
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("Error: ")
    assert words in line
    assert not home.exists()


def test_an_unknown_variable_is_one_line_that_names_the_right_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_EPOCH", "3")
    assert_one_clear_line(command("run"), "CATDOG_EPOCH", "CATDOG_EPOCHS")


def _table(shown: str) -> dict[str, list[str]]:
    """The rows of a table by their first cell."""
    rows = (line.split("│")[1:-1] for line in shown.splitlines() if "│" in line)
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}


def test_config_show_tells_what_sets_each_value(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('epochs = 7\nsource = "https://me:secret@host/a.zip"\n')
    monkeypatch.setenv("CATDOG_SEED", "6")
    for words in (("--config", file, "config", "show"), ("config", "show", f"--config={file}")):
        shown = command(*words).out
        rows = _table(shown)
        assert f"Configuration file: {file}" in shown
        assert rows["epochs"] == ["7", "the file"]
        assert rows["seed"] == ["6", "CATDOG_SEED"]
        assert rows["repeats"] == ["1", "default"]
        assert "secret" not in shown


def test_what_the_deployments_ask_for_in_the_environment_stops_no_command(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (ROOT / "deployments").iterdir():
        if path.is_file():
            for name in re.findall(r"\bCATDOG_[A-Z_]+", path.read_text()):
                if name not in os.environ:
                    monkeypatch.setenv(name, "1")
    assert command("runs").code == 0


def test_an_unknown_command_is_one_line_however_narrow_the_terminal(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    answer = command("trian")
    assert answer.code != 0
    assert len(answer.err.splitlines()) == 1
    assert "trian" in answer.err


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} of .* in use"):
            require_free(port)
    require_free(port)


def test_a_server_on_a_home_that_cannot_be_written_is_one_line(
    command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    answer = command("serve", "--home", file / "home", "--port", str(free_port()))
    assert_one_clear_line(answer, str(file / "home"), "CATDOG_HOME")


def test_a_server_on_a_full_disk_says_so(
    home: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=0)
    monkeypatch.setattr("flows.server.choose.configured_url", lambda: None)
    monkeypatch.setattr("flows.server.private.shutil.disk_usage", lambda folder: full)
    with files_up_to(100_000):
        answer = command("run", "--source", "sample")
    assert_one_clear_line(answer, str(home), "No space left", "catdog cache prune")


def test_a_prefect_server_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.context import refresh_global_settings_context

    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    refresh_global_settings_context()
    try:
        with pytest.raises(ServerError, match="does not answer"), prefect_server(tmp_path):
            pass
    finally:
        monkeypatch.undo()
        refresh_global_settings_context()


def test_debug_shows_where_an_error_comes_from(home: Path, tmp_path: Path) -> None:
    from catdog.errors import PhotosError

    with pytest.raises(PhotosError, match="nowhere"):
        main(["--debug", "predict", str(tmp_path / "nowhere.jpg")])


def test_ctrl_c_is_no_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(settings: Settings, console: Console) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "run_flow", interrupt)
    answer = command("run", "--source", "sample")
    assert (answer.code, answer.err) == (130, "Interrupted.\n")


@pytest.mark.parametrize("writable", [True, False])
def test_an_unforeseen_error_is_one_line_that_names_its_log(
    writable: bool, command: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: Settings, console: Console) -> None:
        raise ZeroDivisionError("secret\nlines")

    monkeypatch.setattr(launch, "run_flow", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    if not writable:
        home.write_text("a file")
    answer = command("run", "--source", "sample")
    assert answer.code == 70
    assert_one_clear_line(answer, "ZeroDivisionError: secret lines")
    (log,) = (home / "work" / "logs" if writable else tmp_path).glob("error-*.log")
    assert str(log) in answer.err
    assert 'raise ZeroDivisionError("secret' in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


BAD_ENVIRONMENTS = {
    "a home of nobody": ({"CATDOG_HOME": "~nobody-here/x"}, "a user whom this machine does not"),
    "a proxy of no known kind": ({"https_proxy": "nonsense://x"}, "https_proxy"),
    "a home that SQLAlchemy would cut": ({"CATDOG_HOME": "{}/what?"}, "'?' in its name"),
}


@pytest.mark.parametrize(
    ("variables", "words"), BAD_ENVIRONMENTS.values(), ids=BAD_ENVIRONMENTS.keys()
)
def test_a_bad_environment_is_one_line(
    variables: dict[str, str],
    words: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flows.server.choose.configured_url", lambda: None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    answer = command("run", "--source", "sample")
    assert answer.code == 1
    assert_one_clear_line(answer, words)


@pytest.mark.parametrize("wrong", ["variable", "file"])
def test_wrong_settings_of_prefect_are_one_line(
    wrong: str, command: Command, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "profiles.toml").write_text("x = = [" if wrong == "file" else "")
    level = {"PREFECT_LOGGING_LEVEL": "LOUD"} if wrong == "variable" else {}
    ended = subprocess.run(
        [sys.executable, "-m", "flows.cli.app", "run", "--source", "sample"],
        env=os.environ | {"PREFECT_HOME": str(tmp_path)} | level,
        capture_output=True,
        text=True,
        check=False,
    )
    words = "not valid TOML" if wrong == "file" else "level"
    assert_one_clear_line(Answer(ended.returncode, ended.stdout, ended.stderr), "Prefect", words)


@pytest.mark.slow
def test_the_real_command_prints_only_the_error(
    server: str, command: Command, tmp_path: Path
) -> None:
    """Through Prefect, whose own log and tracebacks must not be seen."""
    source = empty_folder(tmp_path / "photos")
    source.mkdir()
    assert_one_clear_line(command("run", "--source", source), str(source), "no photo files")


# Lists


def test_models_are_listed_with_their_parameters(command: Command) -> None:
    answer = command("models")
    assert answer.code == 0
    for text in ("baseline", "742,194", "augmented", "2,967,650", "102,562", "2,260,546", "2,562"):
        assert text in answer.out


def test_without_runs_it_is_told_how_to_start_one(command: Command) -> None:
    answer = command("runs")
    assert answer.code == 0
    assert "catdog run" in answer.out


@pytest.fixture
def used_home(
    home: Path, trained: TrainedModel, flatbuffer: Flatbuffer, predictions: Predictions
) -> Path:
    """A home with one run of `baseline`."""
    for artifact in (trained, flatbuffer, predictions):
        shutil.copytree(artifact.path, Store(home).folder(artifact.kind, artifact.key))
    began = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    scores = (
        Score(
            name="baseline",
            seed=1,
            validation_accuracy=predictions.accuracy("validation"),
            test_accuracy=predictions.accuracy("test"),
            seconds=1.0,
        ),
        Score(name="transfer", seed=1, error="It was killed."),
    )
    store = Store(home)
    run = Run(
        id="20260504-123000-tiny-1",
        began=began,
        ended=began,
        settings={"source": SOURCE, "epochs": 2, "models": ["baseline", "transfer"]},
        scores=scores,
        artifacts={"model baseline 1": trained.key, "predictions baseline 1": predictions.key},
        contents={
            "model baseline 1": trained.content,
            "predictions baseline 1": predictions.content,
        },
        folder=runs_folder(store) / "20260504-123000-tiny-1",
    )
    save_run(run, None, store)
    return home


def test_runs_are_listed_with_their_best_model(
    used_home: Path, command: Command, predictions: Predictions
) -> None:
    accuracy = percent(predictions.accuracy("test"))
    line = f"20260504-123000-tiny-1  baseline, {accuracy} on test, 1 failed\n"
    assert command("runs") == (0, line, "")


def test_a_run_is_shown_with_all_of_its_models(
    used_home: Path, command: Command, predictions: Predictions
) -> None:
    answer = command("runs", "latest")
    assert answer.code == 0
    rows = _table(answer.out)
    scores = [percent(predictions.accuracy(split)) for split in ("validation", "test")]
    assert rows["baseline"] == ["1", *scores, "0:00:01"]
    assert rows["transfer"] == ["1", "failed", "", ""]
    lines = answer.out.splitlines()
    assert lines[0] == f"Run 20260504-123000-tiny-1 on {SOURCE}"
    assert "transfer, seed 1: It was killed." in lines
    assert f"Folder: {used_home / 'runs' / '20260504-123000-tiny-1'}" in lines
    assert not any("--open" in line for line in lines)  # it has no report
    assert_one_clear_line(command("runs", "nonsense"), "nonsense", "catdog runs")


def test_the_cache_is_listed_measured_verified_and_pruned(
    used_home: Path, command: Command, trained: TrainedModel
) -> None:
    assert trained.key in command("cache", "list").out
    assert re.search(r"all\s+│\s+3 ", command("cache", "size").out)
    assert command("cache", "verify") == (0, "3 artifacts checked, 0 damaged.\n", "")
    assert "Would remove 3" in command("cache", "prune", "--dry-run").out
    assert "Removed 0" in command("cache", "prune", "--days", "1").out
    assert "Removed 3" in command("cache", "prune").out
    assert stored_items(Store(used_home)) == []
    assert "20260504-123000-tiny-1" in command("runs").out


def test_pruning_a_folder_that_is_no_home_is_one_line_and_removes_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "results" / "thesis.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    for words in ((), ("--dry-run",)):
        answer = command("cache", "prune", "--home", ".", *words)
        assert_one_clear_line(answer, str(tmp_path), "no home of catdog", "--home")
    assert command("cache", "prune", "--home", "nowhere").code == 0
    assert list(tmp_path.rglob("*")) == [mine.parent, mine]


@pytest.mark.parametrize(
    "words",
    [
        ("cache", "prune", "--home", ""),
        ("cache", "prune", "--home="),
        ("run", "--home", ""),
        ("predict", ""),
        ("predict", "a.jpg", "--csv", ""),
        ("--config", "", "runs"),
    ],
)
def test_an_empty_word_is_not_taken_for_the_working_folder(
    words: tuple[str, ...], command: Command
) -> None:
    given = next(word for word in reversed(words) if word not in ("", "runs")).rstrip("=")
    assert_one_clear_line(command(*words), f"Nothing is given after {given}.", "shell")


def test_a_value_that_ends_like_a_flag_without_one_is_taken(
    command: Command, tmp_path: Path
) -> None:
    answer = command("run", f"--source={tmp_path}/token=")
    assert_one_clear_line(answer, "token= is not a file or folder")


def test_a_damaged_artifact_is_named_by_verify(
    used_home: Path, command: Command, trained: TrainedModel
) -> None:
    file = Store(used_home).folder("model", trained.key) / "model.keras"
    file.write_bytes(file.read_bytes()[:-1])
    answer = command("cache", "verify")
    assert answer.code == 1
    assert str(file) in answer.out
    assert "3 artifacts checked, 1 damaged." in answer.out


# Predictions


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    text = tmp_path / "text.jpg"
    text.write_text("words")
    return [photo(tmp_path / "a cat [b].png", 1), text, photo(tmp_path / "猫.jpg", 2)]


def assert_names_the_bad_one(answer: Answer, bad: Path) -> None:
    assert answer.code == 1
    (line,) = answer.err.splitlines()
    assert str(bad) in line


def test_photos_are_predicted_and_the_unreadable_named(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", *mixed)
    assert_names_the_bad_one(answer, mixed[1])
    assert "Predicted by baseline" in answer.out
    for name in (mixed[0].name, mixed[2].name):
        assert name in answer.out


def test_good_photos_alone_end_well(used_home: Path, command: Command, mixed: list[Path]) -> None:
    answer = command("predict", mixed[0])
    assert (answer.code, answer.err) == (0, "")


def test_json_is_all_that_is_printed_and_parses(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", "--json", *mixed)
    assert_names_the_bad_one(answer, mixed[1])
    found = json.loads(answer.out)
    assert [prediction["path"] for prediction in found] == [str(path) for path in mixed]
    assert [prediction["error"] is None for prediction in found] == [True, False, True]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, rel=1e-5)
    assert found[0]["label"] in ("cats", "dogs")


def test_a_csv_has_a_row_a_photo(
    used_home: Path, command: Command, mixed: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / "out.csv"
    assert_names_the_bad_one(command("predict", "--csv", target, *mixed), mixed[1])
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in mixed]
    assert list(rows[0]) == ["path", "label", "p_cats", "p_dogs", "error"]
    assert rows[1]["label"] == rows[1]["p_cats"] == ""
    assert rows[1]["error"]
    assert float(rows[2]["p_cats"]) + float(rows[2]["p_dogs"]) == pytest.approx(1, rel=1e-5)


@pytest.fixture
def odd(tmp_path: Path) -> list[Path]:
    """Photos and an unreadable file whose names end lines, steer a terminal or are no text."""
    source = photo(tmp_path / "a.png", 1)
    broken = tmp_path / "no\n\x1b[2J.jpg"
    broken.write_text("words")
    names = ("a\nb.png", "a\u2028b.png", "a\r\x1b[2J.png", os.fsdecode(b"a\xff.png"))
    return [*(Path(shutil.copy(source, tmp_path / name)) for name in names), broken]


def test_photos_of_odd_names_are_predicted_each_on_its_row(
    used_home: Path, command: Command, odd: list[Path], tmp_path: Path
) -> None:
    answer = command("predict", "--csv", tmp_path / "out.csv", *odd)
    assert (answer.code, answer.out) == (1, "")
    assert_names_the_bad_one(answer, odd[-1].with_name(r"no\n\x1b[2J.jpg"))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [
        str(path).encode(errors="backslashreplace").decode() for path in odd
    ]
    assert len({row["p_cats"] for row in rows[:-1]}) == 1
    found = json.loads(command("predict", "--json", *odd).out)
    assert [entry["path"] for entry in found] == [str(path) for path in odd]
    table = command("predict", *odd).out
    assert r"a\r\x1b[2J.png" in table
    table.encode()
    assert sum("│" in line for line in table.splitlines()) == len(odd) - 1


def test_an_error_is_one_line_whatever_it_names(command: Command) -> None:
    answer = command("predict", "no\nsuch\x1b[2J.jpg")
    assert_one_clear_line(answer, r"no\nsuch\x1b[2J.jpg")
    assert_one_clear_line(command("run", "--source", "no\nsuch"), r"no\nsuch")


@pytest.mark.parametrize("place", ["nowhere/out.csv", ""])
def test_a_csv_that_cannot_be_written_is_one_line(
    place: str, used_home: Path, command: Command, mixed: list[Path], tmp_path: Path
) -> None:
    target = tmp_path / place
    assert_one_clear_line(command("predict", "--csv", target, mixed[0]), str(target), "--csv")


def test_a_csv_can_be_all_that_is_printed(
    used_home: Path,
    command: Command,
    mixed: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out.csv"
    with mixed[0].open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        assert command("predict", "--csv", target, "-").out == ""
    with mixed[0].open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        printed = command("predict", "-", "--csv", "-")
    assert printed == (0, target.read_bytes().decode(), "")
    answer = command("predict", "--json", "--csv", "-", mixed[0])
    assert answer.out == ""
    assert_one_clear_line(answer, "--json", "--csv")


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--to", "-"),
        ("runs", "--home", "-"),
        ("serve", "--client-config", "-"),
        ("run", "--source", "-"),
        ("--config", "-", "runs"),
    ],
)
def test_only_photos_and_their_table_can_be_a_stream(
    words: tuple[str, ...], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command(*words)
    assert answer.code != 0
    assert len(answer.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_predicted(used_home: Path, command: Command, mixed: list[Path]) -> None:
    answer = command("predict", "--json", mixed[0].parent)
    assert {Path(p["path"]).name for p in json.loads(answer.out)} >= {path.name for path in mixed}


def test_a_photo_is_read_from_standard_input(
    used_home: Path, command: Command, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with mixed[0].open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        (given, other) = json.loads(command("predict", "--json", "-", mixed[2]).out)
    (expected,) = json.loads(command("predict", "--json", mixed[0]).out)
    assert given["probabilities"] == expected["probabilities"]
    assert (given["path"], other["path"]) == ("/dev/stdin", str(mixed[2]))


def test_what_is_below_the_threshold_is_flagged(
    used_home: Path, command: Command, mixed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "look yourself" not in command("predict", "--threshold", "0", mixed[0]).out
    # Uncalibrated, the tiny model is sure of all.
    strict = command("predict", "--calibrated", "--threshold", "1", mixed[0])
    assert "1 below 100 %: look yourself" in strict.out
    monkeypatch.setenv("CATDOG_THRESHOLD", "1.5")
    assert_one_clear_line(command("predict", mixed[0]), "threshold")


def test_a_model_without_a_temperature_cannot_be_calibrated(
    used_home: Path, command: Command, mixed: list[Path], predictions: Predictions
) -> None:
    assert command("predict", "--calibrated", mixed[0]).code == 0
    shutil.rmtree(Store(used_home).folder(predictions.kind, predictions.key))
    assert_one_clear_line(command("predict", "--calibrated", mixed[0]), "--calibrated")


def test_an_export_into_a_folder_that_is_not_empty_is_one_line(
    used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("export", "--to", mixed[0].parent)
    assert_one_clear_line(answer, "not an empty folder", "--to")


def test_damaged_files_are_told_from_a_folder_without_photos(
    used_home: Path, command: Command, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert_one_clear_line(command("predict", empty), "holds no photos")


@pytest.mark.parametrize("name", ["transfer", "resnet"])
def test_a_model_that_was_not_trained_is_one_line(
    name: str, used_home: Path, command: Command, mixed: list[Path]
) -> None:
    answer = command("predict", "--model", name, mixed[0])
    assert_one_clear_line(answer, f"'{name}'", "catdog run")


def test_without_a_model_it_is_told_how_to_train_one(command: Command, mixed: list[Path]) -> None:
    assert_one_clear_line(command("predict", mixed[0]), "no trained model", "catdog run")


def test_a_path_that_does_not_exist_is_one_line(
    used_home: Path, command: Command, tmp_path: Path
) -> None:
    answer: Any = command("predict", tmp_path / "nowhere.jpg")
    assert_one_clear_line(answer, "nowhere.jpg", "Check the path")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A project that has a package `flows` of its own."""
    folder = tmp_path / "project"
    (folder / "flows").mkdir(parents=True)
    (folder / "flows" / "__init__.py").write_text("raise SystemExit('foreign code was run')\n")
    return folder


def called(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own code
        [sys.executable, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "catdog", "models"),
        ("-c", "from catdog.deployed import catdog; print(catdog.name)"),
    ],
)
def test_the_doors_of_catdog_lead_past_a_package_that_hides_ours(
    foreign: Path, words: tuple[str, ...]
) -> None:
    done = called(foreign, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_run_in_a_project_with_a_package_flows_of_its_own_uses_ours(
    foreign: Path, home: Path
) -> None:
    command = ("-P", "-c", "from catdog.__main__ import main; main()")
    words = "run --source sample --epochs 1 --models baseline --image-size 64"
    done = called(foreign, *command, *words.split())
    assert done.returncode == 0, done.stderr


def test_the_doctor_names_what_is_amiss_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ("doctor", "--home", str(tmp_path / "file" / "home"), "--port", port)
        done = called(tmp_path, "-m", "catdog", *words)
    assert done.returncode == 1
    assert done.stderr == ""
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert {name for name, line in lines.items() if line.startswith("!!")} == {"home", "port"}
    assert "--home" in lines["home"]
    assert "--port" in lines["port"]
    assert metadata.version("tensorflow") in lines["TensorFlow"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(home: Path, unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "catdog", "config", "schema"],
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert ended.returncode != 0
    assert ended.stderr == ""
