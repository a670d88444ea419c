"""A server as a user runs it: `netwright server`, in a process of its own, on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.e2e.openstack_cli import Cli

_START_S = 20.0
_STOP_S = 15.0
_PORTS = range(21_000, 29_000)


class Server:
    """A running server: where it is, its process, its state directory."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], state: Path) -> None:
        self.url = url
        self.process = process
        self.state = state
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    @property
    def admin_token(self) -> str:
        return (self.state / "admin.token").read_text(encoding="ascii").strip()

    @property
    def log(self) -> str:
        return (self.state / "log").read_text(encoding="utf-8")

    def stop(self) -> int:
        """Stop it as an operator would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_S)


@contextmanager
def running(
    state: Path,
    auth: str,
    *arguments: str,
    wrapper: Sequence[str] = (),
    listen: str = "",
    **settings: str,
) -> Iterator[Server]:
    """A server with its state in this directory; it is gone when this ends.

    It listens where it is told to, else on a port of loopback that is free. `wrapper` is a command
    that prepares something and then becomes the server; `settings` are keys of `[server]`, given in
    its environment.
    """
    state.mkdir(parents=True, exist_ok=True)
    listen = listen or f"127.0.0.1:{free_port()}"
    command = [
        *wrapper,
        str(Path(sys.executable).with_name("netwright")),
        *("server", "--listen", listen, "--auth", auth, *arguments),
    ]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("NETWRIGHT_")},
        "NETWRIGHT_SERVER_STATE_DIRECTORY": str(state),
        **{f"NETWRIGHT_SERVER_{key.upper()}": value for key, value in settings.items()},
    }
    with (state / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    server = Server(f"http://{listen}", process, state)
    try:
        _await_ready(server)
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(_STOP_S)


def _await_ready(server: Server) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server did not start: {server.log}")
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server was not ready after {_START_S} s: {server.log}")


def free_port() -> int:
    """A port below the ephemeral ones that nothing listens on."""
    return free_ports(1)[0]


def free_ports(number: int) -> tuple[int, ...]:
    """So many of them."""
    found: list[int] = []
    start = os.getpid() * 997  # those who look at the same time look elsewhere
    for offset in range(len(_PORTS)):
        port = _PORTS[(start + offset) % len(_PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == number:
            return tuple(found)
    raise AssertionError("no port is free")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def open_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server without authentication, shared by a module's tests: one on each database."""
    settings = {}
    if request.param == "postgresql":
        database: Postgres = request.getfixturevalue("postgres_server")
        settings["database"] = database.new_database()
    with running(tmp_path_factory.mktemp("open"), "none", **settings) as server:
        yield server


@pytest.fixture(scope="module")
def cloud(open_server: Server) -> Any:
    """The SDK's Networking API on `open_server`."""
    import openstack

    return openstack.connection.Connection(
        auth_type="none", endpoint=open_server.url, auth={"endpoint": open_server.url}
    ).network


@pytest.fixture(scope="module")
def cli(open_server: Server) -> Iterator[Cli]:
    """The command line on `open_server`."""
    one = Cli("--os-auth-type", "none", "--os-endpoint", open_server.url)
    yield one
    one.close()


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for tokens, shared by a module's tests."""
    with running(tmp_path_factory.mktemp("token"), "token") as server:
        yield server
