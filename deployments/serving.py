"""The command `catdog serve`: a Prefect server and all deployments in one go."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from catdog.errors import SettingsError
from catdog.store.files import writing
from catdog.store.store import Store
from deployments.api.command import PORT as API_PORT
from deployments.operating import SILENCE_DAYS, ZOMBIE_MINUTES
from flows.cli.terminal import DEFAULT_PORT, Home, Port, Switch, say, use
from flows.processes import start_in_background
from flows.server import login
from flows.server.client import CLIENT_CONFIG, HOST, set_prefect_up
from flows.server.login import AUTH, CLIENT_AUTH, CLIENT_URL
from flows.server.private import address, log_file, require_free, running_server

LOOPBACK = (HOST, "localhost")


def serve(
    *,
    port: Port = DEFAULT_PORT,
    host: str = HOST,
    auth: Switch = False,
    insecure: Switch = False,
    client_config: Path | None = None,
    api: Switch = False,
    api_port: Port = API_PORT,
    home: Home = None,
) -> None:
    """Start a Prefect server with its UI, and run the deployments 'full' and 'smoke' when due.

    One process for one machine; Ctrl-C ends it. For several machines see docs/production.md.

    Parameters
    ----------
    port
        Of the server and its UI.
    host
        The address to listen on; any but loopback needs a login (see --auth and --insecure).
    auth
        Ask for a login, as a machine with several users needs. The home keeps it in
        prefect/login.toml, which only you can read, and its servers ask for it from now on.
    insecure
        Listen on another address without a login: anyone who reaches it can run and delete.
    client_config
        Keep its address (and login) in this file while it runs. Prefect's commands read
        'prefect.toml' in the folder where they start.
    api
        Serve the champion over HTTP as well, on loopback, as soon as there is one.
    api_port
        Where 'catdog api' answers.
    """
    check_exposure(host, insecure=insecure or auth)
    folder = use(home)
    set_prefect_up()
    require_free(port, host)
    if api:
        require_free(api_port)
    if client_config:
        login.require_ours(client_config)
    say("Starting the Prefect server")
    with ExitStack() as stack:
        stack.enter_context(_alone(folder))
        if auth or login.saved_login(folder):
            login.keep_login(folder, f"{address(port, host)}/api")
        url = stack.enter_context(running_server(folder, port, host))
        _prepare()
        if client_config:
            stack.enter_context(login.client_config(client_config, url))
        if api:
            stack.enter_context(_api_beside(folder, api_port))
        _say_where(url, folder, client_config)
        _serve_deployments()


def check_exposure(host: str, *, insecure: bool) -> None:
    """Refuse to listen beyond loopback without a login. Raises SettingsError."""
    if host in LOOPBACK or insecure or os.environ.get(AUTH):
        return
    raise SettingsError(
        f"Without a login, anybody who reaches {host} could run and delete everything.",
        f"Say --auth, set {AUTH} to USER:PASSWORD, or say --insecure.",
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Only one `serve` a home: a second would take the first one's runs for dead."""
    store = Store(home)
    if store.is_locked("serve"):
        raise SettingsError(
            f"'catdog serve' runs on {home} already.", "Stop it, or choose another --home."
        )
    with store.lock("serve"):
        yield


@contextmanager
def _api_beside(home: Path, port: int) -> Iterator[None]:
    """`catdog api` in a process of its own, which ends with this one."""
    arguments = ["api", "--wait", "--port", str(port)]
    start = (
        f"from flows.processes import end_with_parent; end_with_parent({os.getpid()}); "
        f"from flows.cli.app import main; main({arguments})"
    )
    log = home / "api" / "server.log"
    with writing(home):
        process = start_in_background(["-c", start], log)
    say(f"API:       {address(port)}, log in {log}")
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _prepare() -> None:
    from deployments.automations import create_automations
    from deployments.orphans import crash_orphans

    if lost := crash_orphans():
        say(f"Marked as crashed: {', '.join(lost)}")
    create_automations(silence_days=SILENCE_DAYS, zombie_minutes=ZOMBIE_MINUTES)


def _serve_deployments() -> None:
    from deployments.definitions import serve_until_stopped
    from deployments.orphans import crash_orphans

    serve_until_stopped()
    crash_orphans()  # now, and not at the next start


def _say_where(url: str, home: Path, client_config: Path | None) -> None:
    import asyncio

    from deployments.definitions import next_run

    say(f"UI:        {url.removesuffix('/api')}")
    if (kept := login.login_file(home)).exists():
        say(f"Login:     the auth_string in {kept}")
    if coming := asyncio.run(next_run()):
        name, when = coming
        say(f"Next run:  catdog/{name} on {when:%A, %Y-%m-%d at %H:%M %Z}")
    start = f"{_reaching(url, client_config)}prefect deployment run catdog"
    say(f"Start one: {start}/full --watch")
    say(f"A try:     {start}/smoke --watch")
    say(f"Log:       {log_file(home)}")


def _reaching(url: str, client_config: Path | None) -> str:
    """What to write before a command of Prefect's, so that it finds the server."""
    if client_config and client_config.absolute() == CLIENT_CONFIG.absolute():
        return ""
    secret = f"{CLIENT_AUTH}=USER:PASSWORD " if os.environ.get(AUTH) else ""
    return f"{CLIENT_URL}={url} {secret}"
