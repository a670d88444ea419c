"""`netwright server --workers`: what clients see as workers serve, die, and are renewed."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.doubles.postgres import Postgres
from tests.e2e.conftest import Server, running

WORKERS = 2
NETWORK = {
    "name": "n",
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": 101,
}
CONNECTIONS_MAX = 300
BREATH_S = 0.05
PAUSE_S = 1.2  # longer than a stopping worker waits for an idle client's next request


@contextmanager
def workers(
    state: Path,
    postgres_server: Postgres,
    auth: str = "none",
    count: int = WORKERS,
    **settings: str,
) -> Iterator[Server]:
    url = postgres_server.new_database()
    with running(state, auth, "--workers", str(count), database=url, **settings) as server:
        within(20, lambda: len(pids_of(server)) == count == server.log.count(" serving"))
        yield server


def pids_of(server: Server) -> set[int]:
    """The worker processes, by the kernel's word."""
    pid = server.process.pid
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def within(seconds: float, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.05)


class Connection:
    """A client that keeps its connection, and opens another only when a reply ended it."""

    def __init__(self, server: Server, token: str = "") -> None:
        self._http = http.client.HTTPConnection(server.host, server.port, timeout=10)
        self._headers = {"Content-Type": "application/json", "X-Auth-Token": token}

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        content = None if body is None else json.dumps(body)
        try:
            self._http.request(method, path, content, self._headers)
            reply = self._http.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, content = self.send(method, path, body)
        assert status < 300, content
        return json.loads(content) if content else None

    def create_port(self, network: str) -> str:
        made: str = self.ask("POST", "/v2.0/ports", {"port": {"network_id": network}})["port"]["id"]
        return made

    def worker(self) -> int:
        _, content = self.send("GET", "/metrics")
        found = re.search(rb'netwright_process\{pid="(\d+)"\} 1', content)
        assert found
        return int(found[1])

    def close(self) -> None:
        self._http.close()


def to_each_worker(
    server: Server, clients: ExitStack, token: str = "", count: int = WORKERS
) -> list[Connection]:
    """One connection to each worker."""
    found: dict[int, Connection] = {}
    for _ in range(CONNECTIONS_MAX):
        connection = Connection(server, token)
        clients.callback(connection.close)
        found.setdefault(connection.worker(), connection)
        if len(found) == count:
            return list(found.values())
    raise AssertionError(f"{CONNECTIONS_MAX} connections all went to worker {list(found)}")


def make_network(connection: Connection, cidr: str = "10.0.0.0/16") -> str:
    made: str = connection.ask("POST", "/v2.0/networks", {"network": NETWORK})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": cidr}
    connection.ask("POST", "/v2.0/subnets", {"subnet": subnet})
    return made


def ports_of(server: Server) -> set[str]:
    connection = Connection(server)
    try:
        return {port["id"] for port in connection.ask("GET", "/v2.0/ports?fields=id")["ports"]}
    finally:
        connection.close()


class Load:
    """Threads that create ports until told to end: what was acknowledged, what failed."""

    def __init__(self, server: Server, network: str, clients: ExitStack) -> None:
        self.made: list[str] = []
        self.failed: list[str] = []
        self.closings = 0  # of a connection that was idle: seen, and its request sent anew
        self._server = server
        self._network = network
        self._clients = clients
        self._ending = threading.Event()

    @contextmanager
    def running(self, actors: Sequence[Callable[[], None]]) -> Iterator[None]:
        threads = [threading.Thread(target=self._repeat, args=(actor,)) for actor in actors]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in threads:
                thread.join(30)

    def keeping(self) -> Callable[[], None]:
        """One connection for all, idle for a moment after each; nothing is sent twice."""
        connection = self._connection()

        def create() -> None:
            self.made.append(connection.create_port(self._network))
            self._ending.wait(BREATH_S)

        return create

    def anew(self) -> None:
        """A connection a request; nothing is sent twice."""
        connection = Connection(self._server)
        try:
            self.made.append(connection.create_port(self._network))
        finally:
            connection.close()

    def pausing(self) -> Callable[[], None]:
        """Idle for long between requests; one that meets a closed connection is sent once more."""
        connection = self._connection()

        def read() -> None:
            self._ending.wait(PAUSE_S)
            try:
                connection.ask("GET", "/v2.0/networks")
            except (http.client.RemoteDisconnected, ConnectionError):
                self.closings += 1
                connection.close()
                connection.ask("GET", "/v2.0/networks")

        return read

    def _connection(self) -> Connection:
        connection = Connection(self._server)
        self._clients.callback(connection.close)
        return connection

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._ending.is_set():
            try:
                act()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(repr(error))


def test_all_workers_serve_and_a_watcher_hears_of_what_each_does(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server, ExitStack() as clients:
        one, other = to_each_worker(server, clients)
        network = make_network(one)
        watch = http.client.HTTPConnection(server.host, server.port, timeout=10)
        clients.callback(watch.close)
        watch.request("GET", "/v1/watch?kinds=port")
        lines = watch.getresponse()
        made = {each.create_port(network) for _ in range(20) for each in (one, other)}
        assert len(made) == 40
        unseen = set(made)
        while unseen:
            unseen.discard(json.loads(lines.readline()).get("id"))
        before = pids_of(server)
        assert server.stop() == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in before)
        assert "Traceback" not in server.log


def test_a_killed_worker_is_replaced_and_nothing_acknowledged_is_lost(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server, ExitStack() as clients:
        network = make_network(to_each_worker(server, clients)[0])
        load = Load(server, network, clients)
        before = pids_of(server)
        victim = min(before)
        with load.running([load.keeping(), load.keeping(), load.anew, load.anew]):
            within(20, lambda: len(load.made) > 50)
            os.kill(victim, signal.SIGKILL)
            within(20, lambda: len(pids_of(server) - before) == 1)
            within(20, lambda: server.log.count(" serving") == 3)
            done = len(load.made)
            within(20, lambda: len(load.made) > done + 50)
        assert set(load.made) <= ports_of(server)
        assert re.search(rf"a worker died .*exit=-9.*pid={victim}", server.log), server.log
        assert server.stop() == 0


def test_workers_are_renewed_without_a_failed_request(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server, ExitStack() as clients:
        network = make_network(to_each_worker(server, clients)[0])
        load = Load(server, network, clients)
        actors = [*(load.keeping() for _ in range(4)), *[load.anew] * 2, load.pausing()]
        with load.running(actors):
            for round_ in (1, 2):
                before = pids_of(server)
                server.process.send_signal(signal.SIGHUP)
                within(40, lambda: not before & pids_of(server))  # noqa: B023 - used at once
                assert server.log.count(" serving") == WORKERS * (1 + round_)
        assert load.failed == []
        assert len(load.made) > 100
        assert set(load.made) == ports_of(server)
        assert len(pids_of(server)) == WORKERS
        assert server.stop() == 0
        assert "Traceback" not in server.log


def test_four_workers_find_the_last_address_of_a_small_subnet_and_none_twice(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server, count=4) as server, ExitStack() as clients:
        each = to_each_worker(server, clients, count=4)
        network = make_network(each[0], "10.0.0.0/28")
        body = {"port": {"network_id": network}}
        with ThreadPoolExecutor(len(each)) as pool:
            answers = [
                answer
                for _ in range(4)
                for answer in pool.map(lambda one: one.send("POST", "/v2.0/ports", body), each)
            ]
        made = [json.loads(content)["port"] for status, content in answers if status == 201]
        addresses = {port["fixed_ips"][0]["ip_address"] for port in made}
        assert addresses == {f"10.0.0.{n}" for n in range(2, 15)}
        assert len(made) == len(addresses)
        refused = [content for status, content in answers if status != 201]
        assert len(refused) == 3
        assert all(b"IpAddressGenerationFailure" in content for content in refused), refused
        for one in each:  # whoever frees it, whoever asks finds the one address that is left
            freed = made.pop()
            each[0].ask("DELETE", f"/v2.0/ports/{freed['id']}")
            again = one.ask("POST", "/v2.0/ports", body)["port"]
            assert again["fixed_ips"] == freed["fixed_ips"]
            made.insert(0, again)
        assert server.stop() == 0


def test_a_credential_that_one_worker_revokes_is_refused_by_all(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server, "token") as server, ExitStack() as clients:
        one, other = to_each_worker(server, clients, server.admin_token)
        token = one.ask("POST", "/v1/hosts/h1/credential")["token"]
        registration = {"epoch": "e", "driver": "ovs", "physical_networks": {"physnet1": "b"}}
        agents = to_each_worker(server, clients, token)
        agents[0].ask("PUT", "/v1/hosts/h1", registration)
        assert agents[1].ask("GET", "/v1/hosts/h1")["epoch"] == "e"
        one.ask("POST", "/v1/hosts/h1/fence", {"reason": "gone"})
        other.ask("DELETE", "/v1/hosts/h1")
        for agent in agents:
            within(3, lambda: agent.send("GET", "/v1/hosts/h1")[0] == 401)  # noqa: B023 - used at once
        fresh = {each.ask("POST", "/v1/hosts/h1/credential")["token"] for each in (one, other)}
        assert len(fresh) == 1
        assert token not in fresh
        assert server.stop() == 0


def test_workers_end_when_their_supervisor_is_killed(
    tmp_path: Path, postgres_server: Postgres
) -> None:
    with workers(tmp_path, postgres_server) as server:
        before = pids_of(server)
        server.process.kill()
        server.process.wait(10)
        within(10, lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))
        assert server.log.count("the supervisor is gone") == WORKERS
        assert server.log.count(" stopped") == WORKERS


@pytest.mark.parametrize(
    ("database", "code", "words"),
    [
        ("postgresql://me@/nw?host=/nonexistent", 4, "PostgreSQL at postgresql://me@/nw"),
        ("sqlite:///nw.db", 2, "workers above 1 need PostgreSQL"),
    ],
)
def test_workers_that_cannot_start_end_the_supervisor(
    tmp_path: Path, database: str, code: int, words: str
) -> None:
    program = str(Path(sys.executable).with_name("netwright"))
    arguments = ("--workers", "2", "--listen", "127.0.0.1:0", "--database", database)
    done = subprocess.run(
        [program, "server", *arguments],
        env={"NETWRIGHT_SERVER_STATE_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
