"""Names that last, asked for at four worker processes at once, as agents of four hosts do."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.e2e.callers import Connection, make_network, ports_of, within
from tests.e2e.conftest import Server
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
