"""The command line as its user meets it: above all, what a mistake gets for an answer."""

import os
import re
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from buckets import Bucket
from cli_command import Answer, Command, assert_one_clear_line, empty_folder
from limits import files_up_to
from rich.console import Console

from catdog.errors import SettingsError
from catdog.settings import SECTIONS, Settings
from flows.cli import run as launch
from flows.cli.app import main
from flows.server.choose import prefect_server
from flows.server.client import ServerError
from flows.server.private import free_port, require_free

ROOT = Path(__file__).parents[3]


def test_help_shows_each_setting_of_a_run_below_what_it_decides(command: Command) -> None:
    shown: dict[str, list[str]] = {}
    for line in command("run", "--help").out.splitlines():
        if heading := re.match(r"╭─ (\w+)", line):
            shown[heading[1]] = names = []
        elif flag := re.match(r"│ --([\w-]+)", line):
            names.append(flag[1].replace("-", "_"))
    assert tuple(shown) == SECTIONS
    assert {"source", "image_size", "test_share"} <= set(shown["Photos"])
    assert {"promotion", "class_margin"} <= set(shown["Promotion"])
    assert {"runner", "home", "remote"} <= set(shown["Running"])
    flags = {name for names in shown.values() for name in names}
    of_answers = {"threshold", "risk", "false_flags"}
    assert flags == set(Settings.model_fields) - of_answers - {"model_paths", "dask_cluster"}


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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--config",), "--config: expected one argument"),
        (("run", "--config", "--epochs", "3"), "--config: expected one argument"),
        (("--debug=a\nb", "runs"), r"a\nb"),
        (("--config", "no\nsuch.toml", "runs"), r"no\nsuch.toml"),
        (("runs", "no\nsuch", "--home", "no\nhome"), r"no\nhome"),
    ],
)
def test_a_flag_of_all_commands_is_one_line_whatever_is_wrong_with_it(
    words: tuple[str, ...], told: str, command: Command
) -> None:
    assert_one_clear_line(command(*words), told)


def test_a_value_that_ends_like_a_flag_without_one_is_taken(
    command: Command, tmp_path: Path
) -> None:
    answer = command("run", f"--source={tmp_path}/token=")
    assert_one_clear_line(answer, "token= is not a file or folder")


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


def test_the_doctor_examines_the_bucket(home: Path, command: Command, bucket: Bucket) -> None:
    assert f"ok  remote      {bucket.url} can be read" in command("doctor").out
    assert bucket.line
    bucket.line.forbidden = ("PUT",)
    answer = command("doctor")
    assert answer.code == 1
    assert re.search(r"!!  remote .* may not be written .* s3:PutObject", answer.out)


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


@pytest.mark.parametrize("words", ["deploy --pool p", "automations", "run --source sample"])
def test_a_prefect_server_that_no_host_can_be_is_one_line(words: str, tmp_path: Path) -> None:
    ended = subprocess.run(  # noqa: S603  our own command
        [sys.executable, "-m", "flows.cli.app", *words.split()],
        env=os.environ | {"PREFECT_API_URL": "http://a..b/api", "CATDOG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    answer = Answer(ended.returncode, ended.stdout, ended.stderr)
    assert_one_clear_line(answer, "http://a..b/api", "PREFECT_API_URL")


@pytest.mark.parametrize("words", ["serve --host a..b --insecure", "api --host a..b"])
def test_a_host_that_none_can_be_is_one_line(
    words: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATDOG_API_TOKEN", "secret")
    assert_one_clear_line(command(*words.split()), "a..b", "--port")
