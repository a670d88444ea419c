"""A real Neutron with integrations/neutron in it, and the Netwright that it hands its networks to.

Neutron is one process on loopback with a database of its own in SQLite, without keystone or agents;
its environment is what `scripts/install-tempest neutron` makes. The package is installed as a user
installs it, from the tree, into a directory of the test's. Netwright is asked for what it has; its
hosts are simulated (`Agent`), and a fabric controller of the test's own may act.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.conftest import Server, free_ports, running
from tests.e2e.fabric_scene import Scene
from tests.tempest.keystone import environment

from netwright.lab.orchestrator import eventually

HOST = "host1"
EPOCH = "life1"
MARK = "neutron"
WAIT_S = 60.0
_START_S = 120.0
_STOP_S = 10.0
_TREE = Path(__file__).parents[2]
_PACKAGE = _TREE / "integrations" / "neutron"
_INSTALL_S_MAX = 120.0

# The tables as Neutron's models have them: its migrations are for MariaDB alone.
_CREATE = """
import sys
import sqlalchemy
from neutron.db.migration.models import head
head.get_metadata().create_all(sqlalchemy.create_engine(sys.argv[1]))
"""

_SERVE = """
import sys
port = int(sys.argv.pop())
import sqlalchemy
import waitress

# In SQLite a transaction that has read, and then writes, fails at once if another wrote meanwhile.
# Each waits for its turn when it begins. MariaDB knows no such thing.
@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute", retval=True)
def begin(connection, cursor, statement, parameters, context, many):
    return ("BEGIN IMMEDIATE" if statement == "BEGIN" else statement), parameters

from neutron.wsgi.api import application
waitress.serve(application, host="127.0.0.1", port=port, threads=1)
"""

_CONFIGURATION = """
[DEFAULT]
auth_strategy = noauth
core_plugin = ml2
service_plugins = netwright-router
transport_url = fake://
state_path = {directory}
api_paste_config = {environment}/etc/neutron/api-paste.ini
log_file = {directory}/neutron.log
[database]
connection = sqlite:///{database}
sqlite_synchronous = false
[oslo_concurrency]
lock_path = {directory}/locks
[quotas]
default_quota = -1
quota_network = -1
quota_port = -1
[ml2]
type_drivers = flat,vlan,vxlan
project_network_types = vlan
mechanism_drivers = netwright
extension_drivers = port_security
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:3999
[ml2_type_vxlan]
vni_ranges = 5000:5099
[netwright]
url = {url}
token_file = {token_file}
poll_s = 0.2
retry_s_max = 1.0
resync_s = 4.0
hosts_s = 0.2
lease_s = 3.0
"""


class PortStep(NamedTuple):
    """As the package records it: how the port stood in Neutron, what Netwright said, how it is."""

    stood: str
    seen: str
    stands: str


class Neutron:
    """`url` ends with the port."""

    def __init__(self, directory: Path, port: int, netwright_url: str, token_file: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._directory = directory
        self._database = directory / "neutron.db"
        self._programs = environment("neutron")
        directory.mkdir(parents=True)
        configuration = _CONFIGURATION.format(
            directory=directory,
            environment=self._programs,
            database=self._database,
            url=netwright_url,
            token_file=token_file,
        )
        (directory / "neutron.conf").write_text(configuration)
        self._python("-c", _CREATE, f"sqlite:///{self._database}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [str(self._programs / "bin/python"), "-W", "ignore", "-c", _SERVE, str(self._port)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(),
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"Neutron did not start: {self.log}"
            try:
                with urllib.request.urlopen(self.url, timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"Neutron did not serve within {_START_S} s: {self.log}")

    def kill(self) -> None:
        """As a machine's loss of power does: nothing is said or finished."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_STOP_S)
            self.process = None

    @property
    def log(self) -> str:
        files = (self._directory / "output", self._directory / "neutron.log")
        return "\n".join(file.read_text()[-6_000:] for file in files if file.exists())

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Of Neutron's database, as it is committed."""
        with closing(sqlite3.connect(self._database, timeout=30)) as connection, connection:
            return list(connection.execute(sql, parameters))

    def steps(self, port_id: str) -> list[PortStep]:
        """A port's steps, as the package recorded them."""
        sql = "SELECT stood, seen, stands FROM netwright_step WHERE port_id = ? ORDER BY seq"
        return [PortStep(*row) for row in self.rows(sql, port_id)]

    def causes(self, port_id: str) -> list[str]:
        sql = "SELECT cause FROM netwright_step WHERE port_id = ? ORDER BY seq"
        return [str(cause) for (cause,) in self.rows(sql, port_id)]

    def marks(self) -> list[tuple[str, str, str]]:
        """Kind, id and error of what is yet to be handed over."""
        sql = "SELECT kind, resource_id, error FROM netwright_mark ORDER BY seq"
        return [(kind, id_, error) for kind, id_, error in self.rows(sql)]

    def _python(self, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / "bin/python"), "-W", "ignore", *arguments],
            capture_output=True, text=True, check=False, timeout=_START_S, env=self._environment(),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "OS_NEUTRON_CONFIG_DIR": str(self._directory),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
            "PYTHONPATH": str(_installed(self._directory.parent)),
        }


class Agent:
    """The word of an agent on a host: it is heard, and says of ports what the test tells it to."""

    def __init__(self, ask: Callable[..., Any], host: str) -> None:
        self._ask = ask
        self.host = host
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def register(self) -> None:
        body = {"epoch": EPOCH, "driver": "ovs", "physical_networks": {"physnet1": "br-bond"}}
        self._ask("PUT", f"/v1/hosts/{self.host}", body)
        self._thread.start()

    def say(self, port_id: str, status: str, cause: str = "", generation: int = 0) -> None:
        """Of the port's underlay, for its newest generation unless another is named."""
        if not generation:
            history = self._ask("GET", f"/v1/ports/{port_id}/history")["history"]
            generation = history[-1]["generation"]
        report = {"port_id": port_id, "plane": "underlay", "generation": generation}
        report |= {"status": status, **({"cause": cause} if cause else {})}
        body = {"host": self.host, "epoch": EPOCH, "reports": [report]}
        said = self._ask("POST", "/v1/reports", body)["results"]
        assert [each["result"] for each in said] == ["applied"], said

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def _beat(self) -> None:
        while not self._stopping.wait(2.0):
            try:
                self._ask("POST", f"/v1/hosts/{self.host}/heartbeat", {"epoch": EPOCH})
            except OSError:
                continue  # it is away, as tests have it


class FabricController:
    """A controller of in-memory switches, with an event loop of its own beside the test."""

    def __init__(self, server: Server, directory: Path) -> None:
        self._server = server
        self._directory = directory

    def describe(self) -> None:
        """Tell the server which switches and links there are; nobody acts on it yet."""
        asyncio.run(self._describe())

    async def _describe(self) -> None:
        scene = Scene(self._server, self._directory)
        async with scene.admin:
            await scene.admin.replace_topology(scene.topology)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """It acts within the block."""
        stopping = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._act(stopping)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join(_STOP_S)

    async def _act(self, stopping: threading.Event) -> None:
        scene = Scene(self._server, self._directory)
        async with scene.admin:
            scene.credential = await scene.admin.fabric_credential()
            async with scene.controller():
                await asyncio.to_thread(stopping.wait)


class Cloud:
    """Both, and what a test asks of either."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ports = free_ports(2)
        self._stack = ExitStack()
        self._netwright: Server | None = None
        url, token_file = f"http://127.0.0.1:{self._ports[0]}", directory / "netwright/admin.token"
        self.neutron = Neutron(directory / "neutron", self._ports[1], url, token_file)
        self.agent = Agent(self.ask, HOST)
        self._agents = [self.agent]

    def start(self) -> None:
        self.start_netwright()
        self.agent.register()
        self.neutron.start()

    @cached_property
    def network(self) -> Any:
        """The SDK's Networking API of Neutron."""
        import openstack

        url = self.neutron.url
        return openstack.connection.Connection(
            auth_type="none", endpoint=url, auth={"endpoint": url}
        ).network

    @property
    def netwright(self) -> Server:
        assert self._netwright is not None
        return self._netwright

    def start_netwright(self) -> None:
        settings = {
            "vlan_ranges": "physnet1:100:3999",
            "vni_ranges": "6000:6099",
            "fabric": "false",  # a test's own controller acts
            "log_format": "json",
        }
        listen = f"127.0.0.1:{self._ports[0]}"
        served = running(self._directory / "netwright", "token", listen=listen, **settings)
        self._netwright = self._stack.enter_context(served)

    def stop_netwright(self) -> None:
        self.netwright.stop()
        self._stack.close()

    def another_agent(self, host: str) -> Agent:
        agent = Agent(self.ask, host)
        self._agents.append(agent)
        agent.register()
        return agent

    def stop(self) -> None:
        for agent in self._agents:
            agent.stop()
        self.neutron.kill()
        self._stack.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Netwright's answer to an administrator; raises HTTPError."""
        request = urllib.request.Request(
            self.netwright.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-Auth-Token": self.netwright.admin_token},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def requests(self) -> list[tuple[str, str]]:
        """Method and path of all that Netwright was asked for at /v2.0, in their order."""
        lines = (json.loads(line) for line in self.netwright.log.splitlines() if line[:1] == "{")
        asked = ((str(line.get("method")), str(line.get("path"))) for line in lines)
        return [each for each in asked if each[1].startswith("/v2.0/")]

    def held(self, collection: str, id_: str) -> dict[str, Any] | None:
        """What Netwright has under this id; None: nothing."""
        found = self.ask("GET", f"/v2.0/{collection.replace('_', '-')}?id={id_}")[collection]
        return found[0] if found else None

    def until(self, what: str, holds: Callable[[], Any]) -> Any:
        """Wait for it, and give what it is; fails with what both say."""
        found: list[Any] = []

        def is_so() -> bool:
            found[:] = [holds()]
            return bool(found[0])

        assert eventually(is_so, WAIT_S), (
            f"not so: {what}\n{self.neutron.marks()}\n{self.neutron.log}"
        )
        return found[0]

    def until_handed_over(self) -> None:
        self.until("nothing is left to hand over", lambda: not self.neutron.marks())

    def status(self, port_id: str) -> str:
        return str(self.network.get_port(port_id).status)

    def until_status(self, port_id: str, status: str) -> None:
        self.until(f"port {port_id} {status}", lambda: self.status(port_id) == status)

    def until_seen(self, port_id: str, step: Sequence[str]) -> None:
        """The port's newest step is this one."""
        wanted = PortStep(*step)
        self.until(f"{wanted}", lambda: self.neutron.steps(port_id)[-1:] == [wanted])


@contextmanager
def cloud(directory: Path) -> Iterator[Cloud]:
    """One with both running and one host; gone when this ends."""
    one = Cloud(directory)
    try:
        one.start()
        yield one
    finally:
        one.stop()


def _installed(directory: Path) -> Path:
    """The package as pip installs it, here."""
    place = directory / "installed"
    if not place.exists():
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--no-build-isolation", "--target", str(place), str(_PACKAGE)],
            capture_output=True, text=True, check=False, timeout=_INSTALL_S_MAX,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return place
