"""Servers on two machines, on one PostgreSQL over TCP: a state each, with the same secrets."""

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.doubles.postgres import postgres
from tests.e2e.callers import Connection, Load, make_network, ports_of, within
from tests.e2e.conftest import Server, free_port, running

SECRETS = ("admin.token", "agents.secret")
REGISTRATION = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}}
LOAD = 50  # ports that show that a server serves


@contextmanager
def machines(root: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers as README tells to run them on two machines."""
    with postgres(port=free_port()) as database, ExitStack() as servers:
        url = database.new_database()
        a = servers.enter_context(running(root / "a", "token", database=url))
        (root / "b").mkdir()
        for name in SECRETS:
            shutil.copy(root / "a" / name, root / "b")
        yield a, servers.enter_context(running(root / "b", "token", database=url))


class Watch:
    """A watch of ports, read line by line."""

    def __init__(self, server: Server, clients: ExitStack, after: str = "") -> None:
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        clients.callback(connection.close)
        place = f"&after={after}" if after else ""
        headers = {"X-Auth-Token": server.admin_token}
        connection.request("GET", f"/v1/watch?kinds=port{place}", headers=headers)
        self._lines = connection.getresponse()
        assert self._lines.status == 200
        self.types: list[str] = []
        self.cursor = after

    def until(self, *port_ids: str) -> None:
        """Read on until it has told of all of them."""
        unseen = set(port_ids)
        while unseen:
            unseen.discard(self._next().get("id", ""))

    def until_snapshot(self) -> None:
        while self._next()["type"] != "snapshot_end":
            pass

    def _next(self) -> dict[str, str]:
        line: dict[str, str] = json.loads(self._lines.readline())
        self.types.append(line["type"])
        self.cursor = line.get("cursor", self.cursor)
        return line


def test_what_one_machine_does_another_tells_and_knows(tmp_path: Path) -> None:
    with machines(tmp_path) as (a, b), ExitStack() as clients:
        at_a, at_b = (Connection(each, each.admin_token) for each in (a, b))
        for each in (at_a, at_b):
            clients.callback(each.close)
        watches = [Watch(each, clients) for each in (a, b)]
        for watch in watches:
            watch.until_snapshot()
        network = make_network(at_a)
        for each in (at_a, at_b):
            made = each.create_port(network)
            for watch in watches:
                watch.until(made.id)
        token = at_a.ask("POST", "/v1/hosts/h1/credential")["token"]
        agent = Connection(b, token)
        clients.callback(agent.close)
        agent.ask("PUT", "/v1/hosts/h1", REGISTRATION)
        assert at_a.ask("GET", "/v1/hosts/h1")["epoch"] == REGISTRATION["epoch"]
        assert agent.send("PUT", "/v1/hosts/h2", REGISTRATION)[0] == 403
        assert [each.stop() for each in (a, b)] == [0, 0]


def test_a_machine_dies_under_load_and_the_other_serves_on(tmp_path: Path) -> None:
    with machines(tmp_path) as (a, b), ExitStack() as clients:
        at_b = Connection(b, b.admin_token)
        clients.callback(at_b.close)
        network = make_network(at_b)
        watch = Watch(a, clients)
        watch.until_snapshot()
        loads = [Load(each, network, clients, each.admin_token) for each in (a, b)]
        with ExitStack() as running_loads:
            for load in loads:
                running_loads.enter_context(load.running([load.keeping(), load.anew]))
            within(20, lambda: all(len(load.made) > LOAD for load in loads))
            a.process.kill()
            a.process.wait(10)
            done = len(loads[1].made)
            within(20, lambda: len(loads[1].made) > done + LOAD)
        first, second = loads
        assert first.failed
        assert not first.unexpected()
        assert not second.failed
        assert {*first.made, *second.made} <= ports_of(b, b.admin_token)
        resumed = Watch(b, clients, watch.cursor)  # whoever watched at A misses nothing at B
        resumed.until(*(port.id for load in loads for port in load.made))
        assert "snapshot_end" not in resumed.types
