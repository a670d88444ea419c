"""`netwright top` on a real server: once for programs, live on a terminal."""

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Server, running

from netwright.client.http import Http

_SHOWN_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("top"), "none") as one:
        yield one


def _make_ports(server: Server, *names: str) -> None:
    asyncio.run(_post_ports(server, names))


async def _post_ports(server: Server, names: tuple[str, ...]) -> None:
    async with Http(server.url) as http:
        segment = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": 100 + len(names),
        }
        body = {"network": {"name": "n", **segment}}
        network = (await http.call("POST", "/v2.0/networks", dict, body=body))["network"]
        ports = [{"network_id": network["id"], "name": name} for name in names]
        await http.call("POST", "/v2.0/ports", dict, body={"ports": ports})


def _command(server: Server, *arguments: str) -> list[str]:
    program = str(Path(sys.executable).with_name("netwright"))
    return [program, "top", "--server", server.url, *arguments]


def test_once_for_programs_and_for_pipes(server: Server) -> None:
    _make_ports(server, "a", "b", "c")
    told = subprocess.run(
        _command(server, "--once", "-o", "json"), check=True, capture_output=True, timeout=30
    )
    shown = json.loads(told.stdout)
    assert shown["ports"] == shown["by_state"]["ALLOCATED"] == 3
    told = subprocess.run(_command(server), check=True, capture_output=True, timeout=30)
    assert "ALLOCATED" in told.stdout.decode()


def test_live_on_a_terminal_until_it_is_interrupted(server: Server) -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "50"}
    process = subprocess.Popen(
        # Who starts us in the background may have us ignore SIGINT; a person's terminal does not.
        ["env", "--default-signal=INT", *_command(server, "--interval", "0.1")],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        _read_until(controller, "became ACTIVE")
        _make_ports(server, *(f"more{number}" for number in range(900)))
        _read_until(controller, "903")
        process.send_signal(signal.SIGINT)
        _read_until(controller, "")
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
        os.close(controller)


def _read_until(controller: int, words: str) -> None:
    """Read what the terminal shows until these words come; "": until its end."""
    seen = ""
    end = time.monotonic() + _SHOWN_S
    while time.monotonic() < end:
        if not select.select([controller], [], [], 0.2)[0]:
            continue
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # the other side has closed it
            chunk = b""
        if not chunk:
            assert not words, f"it ended before it said {words!r}"
            return
        seen += chunk.decode(errors="replace")
        if words and words in seen:
            return
    raise AssertionError(f"no {words!r} within {_SHOWN_S} s in {seen[-2000:]!r}")
