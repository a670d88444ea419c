"""A lab's cloud for tests that spawn as an orchestrator does, and all that is recorded of it.

orchestrator   the real `openstack` command line on the management node, Nova's double
server         its log, its resources with their times, the port's history
controller     its own store
OVSDB          the host's transactions
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tests.doubles.nova import TOKEN, NovaDouble, nova
from tests.e2e.openstack_cli import Cli

from netwright.fabric.store import Step, read_history
from netwright.lab import down, instances, netns, spec, start, up
from netwright.lab.nodes import ovs
from netwright.lab.orchestrator import Orchestrator, eventually
from netwright.lab.places import Instance
from netwright.lab.services import FABRIC_CONTROLLER
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab
from netwright.model.resources import Attachment, Port, Transition
from netwright.model.states import PortState
from netwright.model.wire import Kind

NETWORK = "red"
WAIT_S = 30.0


class Request(NamedTuple):
    """One line of the server's log; `asked_at` is reckoned from how long the request took."""

    status: int
    asked_at: float
    answered_at: float


class Cloud:
    """A lab of the preset `evpn` with all that runs in it."""

    def __init__(self, orchestrator: Orchestrator, openstack: Cli, told: NovaDouble) -> None:
        self.openstack = openstack
        self.nova = told
        self.lab = orchestrator.lab
        self.network_id = str(orchestrator.network(NETWORK)["id"])
        self._orchestrator = orchestrator

    # What an orchestrator does.

    def create(self, device: str, *options: str) -> dict[str, Any]:
        """Ask for a port; what was replied."""
        command = ["port create", f"vif-{device[:8]}", "--network", NETWORK]
        command += ["--device", device, "--device-owner", "compute:nova", *options]
        return dict(self.openstack(" ".join(command)))

    def plug(self, host: str, port: dict[str, Any]) -> Instance:
        """Make the instance and its vNIC, and plug that into br-int."""
        instance = self.instance(port)
        instances.spawn(self.lab, host, [instance])
        return instance

    def instance(self, port: dict[str, Any]) -> Instance:
        """What the machine is told, from the API."""
        fixed = port["fixed_ips"]
        subnets = [self.openstack(f"subnet show {one['subnet_id']}") for one in fixed]
        lengths = [subnet["cidr"].partition("/")[2] for subnet in subnets]
        return Instance(
            id=port["id"],
            mac=port["mac_address"],
            addresses=tuple(
                f"{one['ip_address']}/{length}" for one, length in zip(fixed, lengths, strict=True)
            ),
            gateways=tuple(subnet["gateway_ip"] for subnet in subnets),
            device_id=port["device_id"],
        )

    def bind(self, host: str, port_id: str) -> None:
        self.openstack(f"port set --host {host} {port_id}")

    def status(self, port_id: str) -> str:
        return str(self.openstack(f"port show {port_id}")["status"])

    def until_active(self, port_id: str) -> None:
        # By the history: a CLI that polls takes the machine from those that it waits for.
        self.until(lambda: any(e.to_state is PortState.ACTIVE for e in self.history(port_id)))
        assert self.status(port_id) == "ACTIVE"

    def until(self, holds: Callable[[], bool]) -> None:
        assert eventually(holds, WAIT_S), f"not so after {WAIT_S} s"

    # What was recorded, or is so by the lab's description.

    @property
    def gateways(self) -> tuple[str, ...]:
        """Of the network, with prefix lengths."""
        return self.lab.spec.fabric_networks[NETWORK].gateways

    def history(self, port_id: str) -> tuple[Transition, ...]:
        """`GET /v1/ports/ID/history`."""
        return self._orchestrator.history(port_id)

    def attachment(self, host: str) -> Attachment | None:
        held = self._orchestrator.ask(lambda client: client.snapshot((Kind.ATTACHMENT,)))
        return held.attachments.get(self.subject(host))

    def port(self, port_id: str) -> Port:
        """With its times to less than a millisecond, which the Networking API rounds."""
        held = self._orchestrator.ask(lambda client: client.snapshot((Kind.PORT,)))
        return held.ports[port_id]

    def place(self) -> int:
        """Of the newest event in the server's log."""
        cursor = self._orchestrator.ask(lambda client: client.snapshot((Kind.PORT,))).cursor
        assert cursor is not None
        return place_of(cursor)

    def subject(self, host: str) -> str:
        return f"{self.network_id}@{host}"

    def controllers_steps(self, host: str) -> Sequence[Step]:
        return read_history(self.controllers_directory, self.subject(host))

    def saved_place(self) -> int:
        """The place after which the controller would resume, were it to die now."""
        path = self.controllers_directory / "fabric.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
            ((cursor,),) = store.execute("SELECT value FROM fact WHERE name = 'cursor'").fetchall()
        return place_of(cursor)

    @property
    def controllers_directory(self) -> Path:
        return self.lab.node_directory(MANAGEMENT_NODE) / FABRIC_CONTROLLER

    def requests(self, method: str, path: str) -> list[Request]:
        """Of the server's log."""
        log = (self.lab.node_directory(MANAGEMENT_NODE) / "server.log").read_text()
        line = rf"^(\S+Z) .*request +method={method} path={path} status=(\d+) duration_ms=(\S+)"
        found = []
        for at, status, took_ms in re.findall(line, log, re.MULTILINE):
            answered_at = datetime.fromisoformat(at).timestamp()
            asked_at = answered_at - float(took_ms) / 1e3
            found.append(Request(int(status), asked_at, answered_at))
        return found

    def plugged_at(self, host: str, instance: Instance) -> float:
        """When OVSDB wrote down that the orchestrator plugged the device."""
        argv = ["ovsdb-tool", "show-log", str(ovs.run_directory(self.lab, host) / "conf.db")]
        log = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        line = rf"^record \d+: (\S+ \S+) \"ovs-vsctl .*add-port br-int {instance.tap} "
        (at,) = re.findall(line, log, re.MULTILINE)
        return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()

    def command(self, *arguments: str) -> Any:
        """`netwright …` on the management node, as `netwright lab exec` runs it."""
        argv = [*inside(self.lab), sys.executable, "-m", "netwright", *arguments]
        environment = {**os.environ, **start.client_environment(self.lab)}
        done = subprocess.run(
            [*argv, "--output", "json"],
            capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def place_of(cursor: str) -> int:
    """Where an event is in the server's log; only a test may look into a cursor."""
    return int(cursor.rpartition("-")[2])


def inside(lab: Lab) -> tuple[str, ...]:
    """What runs a program on the management node."""
    return ("ip", "netns", "exec", lab.namespace(MANAGEMENT_NODE))


@contextmanager
def cloud(root: Path, name: str) -> Iterator[Cloud]:
    """A lab with everything in it, the server of which tells a double of Nova; gone afterwards."""
    with ExitStack() as stack:
        stack.callback(down.take_down, name, root)
        lab = up.bring_up(spec.preset("evpn"), name, root=root)
        token = root / "nova.token"
        token.write_text(TOKEN)
        # Its socket stays in the namespace in which it was opened.
        namespace = lab.namespace(MANAGEMENT_NODE)
        double = netns.run_in(namespace, lambda: stack.enter_context(nova()))
        settings = {"NOVA_ENDPOINT": double.url, "NOVA_TOKEN_FILE": str(token)}
        variables = {f"NETWRIGHT_SERVER_{key}": value for key, value in settings.items()}
        os.environ.update(variables)
        try:
            orchestrator = start.start(lab)
        finally:
            for key in variables:
                del os.environ[key]
        orchestrator.create_networks()
        options = {
            "--os-auth-type": "admin_token",
            "--os-endpoint": orchestrator.server,
            "--os-token": orchestrator.token_file.read_text().strip(),
        }
        openstack = Cli(*(one for item in options.items() for one in item), within=inside(lab))
        stack.callback(openstack.close)
        yield Cloud(orchestrator, openstack, double)
