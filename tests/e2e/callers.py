"""Clients of servers under load: what they were told, and what failed."""

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from tests.e2e.conftest import Server

NETWORK = {
    "name": "n",
    "provider:network_type": "vlan",
    "provider:physical_network": "physnet1",
    "provider:segmentation_id": 101,
}
BREATH_S = 0.05
PAUSE_S = 1.2  # longer than a stopping worker waits for an idle client's next request


class Refused(Exception):
    """An answer that is none of success."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(f"{status}: {content.decode(errors='replace')}")
        self.status = status


class Made(NamedTuple):
    """A port that was acknowledged."""

    id: str
    address: str


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
        if status >= 300:
            raise Refused(status, content)
        return json.loads(content) if content else None

    def create_port(self, network: str) -> Made:
        return _made(self.ask("POST", "/v2.0/ports", {"port": {"network_id": network}})["port"])

    def worker(self) -> int:
        _, content = self.send("GET", "/metrics")
        found = re.search(rb'netwright_process\{pid="(\d+)"\} 1', content)
        assert found
        return int(found[1])

    def close(self) -> None:
        self._http.close()


def make_network(connection: Connection, cidr: str = "10.0.0.0/16") -> str:
    made: str = connection.ask("POST", "/v2.0/networks", {"network": NETWORK})["network"]["id"]
    subnet = {"network_id": made, "ip_version": 4, "cidr": cidr}
    connection.ask("POST", "/v2.0/subnets", {"subnet": subnet})
    return made


def ports_of(server: Server, token: str = "") -> set[Made]:
    """All ports; no address has two holders."""
    connection = Connection(server, token)
    try:
        ports = connection.ask("GET", "/v2.0/ports?fields=id&fields=fixed_ips")["ports"]
    finally:
        connection.close()
    found = set(map(_made, ports))
    assert len({port.address for port in found}) == len(ports), "an address has two holders"
    return found


def _made(port: dict[str, Any]) -> Made:
    (fixed_ip,) = port["fixed_ips"]
    return Made(port["id"], fixed_ip["ip_address"])


class Load:
    """Threads that create ports until told to end: what was acknowledged, what failed."""

    def __init__(self, server: Server, network: str, clients: ExitStack, token: str = "") -> None:
        self.made: list[Made] = []
        self.failed: list[Exception] = []
        self.closings = 0  # of a connection that was idle: seen, and its request sent anew
        self._server = server
        self._network = network
        self._clients = clients
        self._token = token
        self._ending = threading.Event()

    def unexpected(self) -> list[Exception]:
        """Failures that a death does not explain: neither a cut connection nor 503."""
        return [
            error
            for error in self.failed
            if not isinstance(error, ConnectionError | http.client.HTTPException)
            and not (isinstance(error, Refused) and error.status == 503)
        ]

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
        connection = Connection(self._server, self._token)
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
        connection = Connection(self._server, self._token)
        self._clients.callback(connection.close)
        return connection

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._ending.is_set():
            try:
                act()
            except (OSError, http.client.HTTPException, Refused) as error:
                self.failed.append(error)
