"""Names that last: at four worker processes at once, over a crash, and as operators see them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.e2e.callers import Connection, make_network, ports_of, within
from tests.e2e.conftest import Server, running
from tests.e2e.test_workers import to_each_worker, workers

WORKERS = 4
SLOTS = 100
PROJECT = "0" * 32
REGISTRATION = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}}


@pytest.fixture
def serving(tmp_path: Path, postgres_server: Postgres) -> Iterator[tuple[Server, list[Connection]]]:
    with (
        workers(tmp_path, postgres_server, count=WORKERS) as server,
        ExitStack() as clients,
    ):
        each = to_each_worker(server, clients, count=WORKERS)
        network = make_network(each[0])
        each[0].ask("PUT", f"/v2.0/networks/{network}", {"network": {"labels": {"env": "prod"}}})
        for n, connection in enumerate(each):
            connection.ask("PUT", f"/v1/hosts/h{n}", REGISTRATION)
        yield server, each


def claimed(connection: Connection, host: int, *ports: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = [{"network_labels": "env=prod", "keep": "1h", **each} for each in ports]
    body = {"epoch": "e", "project_id": PROJECT, "ports": wanted}
    answer = connection.ask("POST", f"/v1/hosts/h{host}/container-ports", body)
    return list(answer["outcomes"])


def test_a_hundred_slots_are_given_once_each(
    serving: tuple[Server, list[Connection]],
) -> None:
    server, each = serving

    def claim(n: int) -> list[dict[str, Any]]:
        """A worker's share, one request after the other, so that all are at it at once."""
        return [
            claimed(
                each[n], n, {"unique_name": "web/{slot}", "slots": SLOTS, "device_id": f"c{n}-{k}"}
            )[0]
            for k in range(SLOTS // WORKERS)
        ]

    with ThreadPoolExecutor(WORKERS) as pool:
        shares = list(pool.map(claim, range(WORKERS)))
    names = [one["port"]["unique_name"] for share in shares for one in share]
    assert sorted(names) == sorted(f"web/{n}" for n in range(SLOTS))
    assert len(ports_of(server)) == SLOTS
    with ThreadPoolExecutor(WORKERS) as pool:
        again = list(pool.map(claim, range(WORKERS)))
    assert again == shares
    late = {"unique_name": "web/{slot}", "slots": SLOTS, "device_id": "late"}
    (refused,) = claimed(each[0], 0, late)
    assert refused["error"]["type"] == "NoSlotFree"


def test_what_is_kept_goes_by_itself_when_its_time_is_over(
    serving: tuple[Server, list[Connection]],
) -> None:
    server, each = serving
    claimed(each[0], 0, {"unique_name": "db", "device_id": "a", "keep": "3s"})
    ended = [{"unique_name": "db", "container_id": "a"}]
    body = {"epoch": "e", "project_id": PROJECT, "ended": ended}
    began = time.monotonic()
    assert each[1].ask("DELETE", "/v1/hosts/h0/container-ports", body) == {"outcomes": [{}]}
    within(60, lambda: not ports_of(server))
    assert time.monotonic() - began >= 2.9


def test_a_server_that_is_killed_forgets_nothing_of_what_is_kept(tmp_path: Path) -> None:
    with running(tmp_path, "none") as server, ExitStack() as clients:
        connection = Connection(server)
        clients.callback(connection.close)
        network = make_network(connection)
        connection.ask("PUT", f"/v2.0/networks/{network}", {"network": {"labels": {"env": "prod"}}})
        connection.ask("PUT", "/v1/hosts/h0", REGISTRATION)
        (soon,) = claimed(connection, 0, {"unique_name": "s", "device_id": "a", "keep": "1s"})
        (late,) = claimed(connection, 0, {"unique_name": "l", "device_id": "b", "keep": "1h"})
        (lives,) = claimed(connection, 0, {"unique_name": "x", "device_id": "c", "keep": "1s"})
        ended = [{"unique_name": n, "container_id": c} for n, c in (("s", "a"), ("l", "b"))]
        body = {"epoch": "e", "project_id": PROJECT, "ended": ended}
        connection.ask("DELETE", "/v1/hosts/h0/container-ports", body)
        server.process.kill()
    assert soon["port"]["unique_name"] == "s"
    with running(tmp_path, "none") as server, ExitStack() as clients:
        within(60, lambda: len(ports_of(server)) == 2)
        assert {port.id for port in ports_of(server)} == {late["port"]["id"], lives["port"]["id"]}
        connection = Connection(server)
        clients.callback(connection.close)
        connection.ask("PUT", "/v1/hosts/h1", REGISTRATION)
        (again,) = claimed(connection, 1, {"unique_name": "l", "device_id": "d"})
        assert again["port"]["fixed_ips"] == late["port"]["fixed_ips"]
        shown = said(server, "show", again["port"]["id"])
        assert "container_id=d" in shown
        told = said(server, "history", again["port"]["id"])
        assert "container b ended; its address is kept for 1h" in told
        assert "claimed by container d" in told
        assert "kept for 1h" in said(server, "explain", again["port"]["id"])


def said(server: Server, what: str, port_id: str) -> str:
    command = Path(sys.executable).with_name("netwright")
    done = subprocess.run(
        [command, "port", what, port_id, "--server", server.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
