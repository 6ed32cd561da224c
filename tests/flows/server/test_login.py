"""The login that a home keeps, and the file that leads Prefect's commands to its server."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from catdog.errors import SettingsError
from flows.server.choose import prefect_server
from flows.server.client import ServerError
from flows.server.login import (
    AUTH,
    CLIENT_AUTH,
    LoginError,
    client_config,
    keep_login,
    log_in,
    login_file,
    require_login,
    require_ours,
    saved_login,
)
from flows.server.private import free_port

URL = "http://127.0.0.1:4200/api"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (AUTH, CLIENT_AUTH):
        monkeypatch.setenv(name, "")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def api(path: Path) -> Any:
    return tomllib.loads(path.read_text(encoding="utf-8"))["api"]


def test_a_login_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    assert saved_login(tmp_path) is None
    keep_login(tmp_path, URL)
    first = saved_login(tmp_path)
    assert first
    user, _, password = first.partition(":")
    assert user == "catdog"
    assert len(password) >= 40
    keep_login(tmp_path, "http://127.0.0.1:4300/api")
    assert saved_login(tmp_path) == first
    file = login_file(tmp_path)
    assert api(file)["url"] == "http://127.0.0.1:4300/api"
    assert mode(file) == 0o600
    assert mode(file.parent) == 0o700  # the database and the log are there
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_two_homes_have_two_logins(tmp_path: Path) -> None:
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        keep_login(home, URL)
    assert saved_login(homes[0]) != saved_login(homes[1])


def test_a_login_of_ones_own_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = 'me:with "quotes", \\ and ü'
    monkeypatch.setenv(AUTH, mine)
    keep_login(tmp_path, URL)
    assert saved_login(tmp_path) == mine


def test_a_login_that_others_could_read_is_not_used(tmp_path: Path) -> None:
    keep_login(tmp_path, URL)
    login_file(tmp_path).chmod(0o640)
    with pytest.raises(LoginError, match=r"read by others\. Remove it; 'catdog serve --auth'"):
        saved_login(tmp_path)


@pytest.mark.parametrize("text", ["", "[api]\n", "no toml", "[api]\nurl = 'x'\n"])
def test_a_damaged_login_is_one_clear_error(tmp_path: Path, text: str) -> None:
    keep_login(tmp_path, URL)
    login_file(tmp_path).write_text(text)
    with pytest.raises(LoginError, match=r"login\.toml cannot be read .* Remove it"):
        require_login(tmp_path)


def test_the_servers_of_a_home_with_a_login_ask_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_login(tmp_path)
    assert os.environ[AUTH] == ""
    keep_login(tmp_path, URL)
    require_login(tmp_path)
    assert os.environ[AUTH] == saved_login(tmp_path)
    monkeypatch.setenv(AUTH, "my:own")
    require_login(tmp_path)
    assert os.environ[AUTH] == "my:own"


def test_a_home_logs_in_to_its_own_server_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_login(tmp_path, URL)
    log_in(tmp_path, "http://127.0.0.1:4300/api")
    log_in(tmp_path / "other", URL)
    assert os.environ[CLIENT_AUTH] == ""
    log_in(tmp_path, URL)
    assert os.environ[CLIENT_AUTH] == saved_login(tmp_path)


def test_prefects_commands_find_the_server_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import Settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(AUTH, "cat:dog")
    for name in ("PREFECT_API_URL", CLIENT_AUTH):
        monkeypatch.delenv(name)
    with client_config(Path("prefect.toml"), URL):
        assert mode(tmp_path / "prefect.toml") == 0o600
        found = Settings().api
        assert found.url == URL
        assert found.auth_string
        assert found.auth_string.get_secret_value() == "cat:dog"
    assert list(tmp_path.iterdir()) == []


def test_without_a_login_the_file_has_none(tmp_path: Path) -> None:
    with client_config(tmp_path / "prefect.toml", URL):
        assert api(tmp_path / "prefect.toml") == {"url": URL}


def test_a_file_of_the_users_own_stays(tmp_path: Path) -> None:
    mine = tmp_path / "prefect.toml"
    mine.write_text("[api]\n")
    with pytest.raises(SettingsError, match=r"prefect\.toml was not written by 'catdog serve'"):
        require_ours(mine)
    assert mine.read_text() == "[api]\n"


def test_a_file_that_was_left_behind_is_replaced_and_that_of_a_later_server_stays(
    tmp_path: Path,
) -> None:
    file = tmp_path / "prefect.toml"
    later = client_config(file, "http://127.0.0.1:4300/api")
    with client_config(file, URL):
        later.__enter__()
    assert api(file)["url"] == "http://127.0.0.1:4300/api"
    later.__exit__(None, None, None)
    assert not file.exists()


@pytest.mark.parametrize("kind", ["a folder", "a device", "a pipe"])
def test_what_is_no_file_is_refused_and_nobody_is_told_to_remove_it(
    tmp_path: Path, kind: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    place = {"a folder": tmp_path, "a device": Path(os.devnull), "a pipe": pipe}[kind]
    with pytest.raises(SettingsError, match="is no file") as told:
        require_ours(place)
    assert "Remove" not in str(told.value)


def test_a_link_to_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, file = tmp_path / "prefect.toml", tmp_path / "far" / "prefect.toml"
    link.symlink_to(file)
    with client_config(link, URL):
        assert api(file) == {"url": URL}
        assert link.is_symlink()
    assert link.is_symlink()
    assert not file.exists()


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere is no folder"):
        require_ours(tmp_path / "nowhere" / "prefect.toml")


def test_a_file_that_a_killed_server_left_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.context import refresh_global_settings_context

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL")
    try:
        with client_config(tmp_path / "prefect.toml", f"http://127.0.0.1:{free_port()}/api"):
            refresh_global_settings_context()
            with (
                pytest.raises(ServerError, match=r"not answer.*remove .*/prefect\.toml, which"),
                prefect_server(tmp_path),
            ):
                pass
    finally:
        monkeypatch.undo()
        refresh_global_settings_context()
