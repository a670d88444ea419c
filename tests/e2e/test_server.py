"""The life of a server process: start, refusals to start, stop, restart, a stop under load."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Server, running

NETWORK = {
    "name": "n",
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": 101,
}


def _ask(server: Server, method: str, path: str, body: Any = None, token: str = "") -> Any:
    request = urllib.request.Request(
        f"{server.url}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "X-Auth-Token": token},
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        content = reply.read()
    return json.loads(content) if content else None


def _make_network(server: Server) -> str:
    made: str = _ask(server, "POST", "/v2.0/networks", {"network": NETWORK})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": "10.0.0.0/16"}
    _ask(server, "POST", "/v2.0/subnets", {"subnet": subnet})
    return made


def test_the_admin_token_is_made_at_the_first_start(tmp_path: Path) -> None:
    with running(tmp_path, "token") as server:
        assert (tmp_path / "admin.token").stat().st_mode & 0o777 == 0o600
        assert _ask(server, "GET", "/v2.0/networks", token=server.admin_token) == {"networks": []}
        with pytest.raises(urllib.error.HTTPError) as raised:
            _ask(server, "GET", "/v2.0/networks", token="wrong")
        assert raised.value.code == 401
        raised.value.close()
        credential = _ask(server, "POST", "/v1/hosts/h1/credential", token=server.admin_token)
        registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "b"}}
        host = _ask(server, "PUT", "/v1/hosts/h1", registration, token=credential["token"])
        assert host["state"] == "up"
        token = server.admin_token
        assert server.stop() == 0
    with running(tmp_path, "token") as server:
        assert server.admin_token == token
        assert _ask(server, "GET", "/v1/hosts/h1", token=token)["epoch"] == "e"


def test_a_stop_ends_watches_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    with running(tmp_path, "none") as server:
        network = _make_network(server)
        watch = urllib.request.urlopen(f"{server.url}/v1/watch?kinds=network", timeout=10)
        assert json.loads(watch.readline())["id"] == network
        made: list[str] = []
        threads = [
            threading.Thread(target=_create_until_refused, args=(server, network, made))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        while len(made) < 20:
            threads[0].join(0.01)
        assert server.stop() == 0
        for thread in threads:
            thread.join(20)
        rest = watch.read()  # the stream ends in an orderly way, with whole lines
        assert rest == b"" or rest.endswith(b"\n")
        watch.close()
        assert "Traceback" not in server.log
    with running(tmp_path, "none") as server:
        kept = {port["id"] for port in _ask(server, "GET", "/v2.0/ports?fields=id")["ports"]}
        assert set(made) <= kept


def _create_until_refused(server: Server, network: str, made: list[str]) -> None:
    while True:
        try:
            reply = _ask(server, "POST", "/v2.0/ports", {"port": {"network_id": network}})
        except (OSError, ValueError):  # stopping: refused, or cut off without a reply
            return
        made.append(reply["port"]["id"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--auth", "none", "--listen", "0.0.0.0:20999"), "everybody who reaches 0.0.0.0:20999"),
        (("--auth", "keystone"), "needs keystone_url and keystone_password_file"),
        (("--database", "mysql://x"), "--database is 'mysql://x'"),
        (("--listen", "203.0.113.1:20999"), "cannot listen on 203.0.113.1:20999"),
        (("--listen", "203.0.113.1:20999", "--workers", "2", "--database", "postgresql:///nw"),
         "cannot listen on 203.0.113.1:20999"),
        (("--state-directory", "/proc/nowhere", "--listen", "127.0.0.1:20998"),
         "The secret /proc/nowhere/agents.secret can be neither read nor made"),
        (("--config", "/nonexistent.toml"), "/nonexistent.toml cannot be read"),
        (("--colour",), "No such option"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_start_says_why(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = start(tmp_path, arguments)
    assert done.returncode == 2, done.stderr
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())  # no secrets of a server that never was


def test_a_database_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    done = start(tmp_path, ("--database", f"postgresql://me:secret@/nw?host={tmp_path}"))
    assert done.returncode == 4, done.stderr
    assert f"PostgreSQL at postgresql://me@/nw?host={tmp_path} cannot be used" in done.stderr
    assert "secret" not in done.stderr


def start(directory: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("netwright")), "server", *arguments],
        env={
            "NETWRIGHT_SERVER_STATE_DIRECTORY": str(directory),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_an_interrupt_stops_it_too_and_metrics_count_commits(tmp_path: Path) -> None:
    with running(tmp_path, "none") as server:
        _make_network(server)
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=5) as reply:
            told = reply.read().decode()
        counted = re.search(r"^netwright_commit_batch_commands_count (\d)\.0$", told, re.MULTILINE)
        assert counted is not None
        assert int(counted[1]) >= 2  # upkeep's own, too, where it took a second to come here
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(15) == 0
        assert "stopped" in server.log


def test_logs_are_json_when_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, "none", log_format="json") as server:
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.log.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    others = [line["event"] for line in lines if line["event"] != "request"]
    warning = "everybody who reaches this server is an administrator: auth = none"
    assert others == ["serving", warning, "stopping", "stopped"]
    assert lines[0]["listen"] == f"127.0.0.1:{server.port}"
    levels = {line["event"]: line["level"] for line in lines}
    assert levels.pop(warning) == "warning"
    assert set(levels.values()) == {"info"}
    assert (requests[-1]["path"], requests[-1]["status"]) == ("/readyz", 200)


def test_the_access_log_can_be_off(tmp_path: Path) -> None:
    with running(tmp_path, "none", access_log="false") as server:
        assert server.stop() == 0
        assert "request" not in server.log


def test_watchers_are_counted_and_one_that_reads_nothing_delays_no_stop(tmp_path: Path) -> None:
    with running(tmp_path, "none") as server, socket.socket() as idle:
        idle.connect((server.host, server.port))
        idle.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=5) as reply:
            metrics = reply.read()
        assert b"netwright_watchers 1.0" in metrics
        assert b"netwright_watchers_cut_off_total 0.0" in metrics
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5


def test_sigusr1_writes_the_state_to_the_log(tmp_path: Path) -> None:
    with running(tmp_path, "none", log_format="json") as server:
        server.process.send_signal(signal.SIGUSR1)
        _ask(server, "GET", "/v1/hosts")  # answered after the signal was
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.log.splitlines()]
    (state,) = [line for line in lines if line["event"].startswith("state")]
    assert (state["watchers"], state["hosts"], state["commands_queued"]) == (0, 0, 0)
    assert any(task.startswith("upkeep at upkeep.py:") for task in state["tasks"])
