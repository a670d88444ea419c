"""A server as a user runs it, `netwright server` on loopback, for a benchmark to load."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

START_S_MAX = 20.0
PORTS = range(20_000, 32_000)


class Service(NamedTuple):
    """Where the server is, and its process."""

    host: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def post(self, path: str, body: Any) -> Any:
        """For setting the scene, never within a measurement."""
        return self._ask("POST", path, body)

    def get(self, path: str) -> Any:
        """As `post`."""
        return self._ask("GET", path, None)

    def delete(self, path: str, body: Any) -> None:
        """As `post`."""
        self._ask("DELETE", path, body)

    def put(self, path: str, body: Any) -> Any:
        """As `post`."""
        return self._ask("PUT", path, body)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def running(directory: Path, database: str = "", workers: int = 1) -> Iterator[Service]:
    """A server, on an empty SQLite file in this directory if no other database is named."""
    port = _free_port()
    program = str(Path(sys.executable).with_name("netwright"))
    arguments = ["server", "--listen", f"127.0.0.1:{port}", "--auth", "none"]
    if database:
        arguments += ["--database", database, "--workers", str(workers)]
    environment = {"PATH": os.environ["PATH"], "NETWRIGHT_CONFIG": "/dev/null"}
    environment["NETWRIGHT_SERVER_STATE_DIRECTORY"] = str(directory)
    if "PYTHONPATH" in os.environ:  # the code beside this benchmark, not what is installed
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    process = subprocess.Popen(
        [program, *arguments], env=environment, stderr=(directory / "log").open("wb")
    )
    try:
        service = Service("127.0.0.1", port, process.pid)
        _await_ready(service, process)
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_S_MAX)


def vlan_network(service: Service, cidr: str, vlan: int = 100) -> str:
    """A network with one subnet; its id."""
    segment = {
        "provider:network_type": "vlan",
        "provider:physical_network": "physnet1",
        "provider:segmentation_id": vlan,
    }
    network_id = str(service.post("/v2.0/networks", {"network": segment})["network"]["id"])
    subnet = {"network_id": network_id, "cidr": cidr, "ip_version": 4}
    service.post("/v2.0/subnets", {"subnet": subnet})
    return network_id


def _await_ready(service: Service, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{service.url}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the server did not become ready")


def _free_port() -> int:
    for port in PORTS[os.getpid() % 5_000 :]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
