"""The orchestrator's double, with the API: what Nova does from "schedule" to "running".

It asks for a port, makes the vNIC and plugs it, and says on which host the port is, in the order of
the design's thirteen steps. Requests go out from the management node's namespace.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_interface
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from netwright.client.api import Client
from netwright.client.networking import Collection, Networking, Resource
from netwright.lab import instances, migration, netns
from netwright.lab.errors import LabError, SpecError
from netwright.lab.places import Instance, find_instance
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab
from netwright.model.errors import NetwrightError
from netwright.model.resources import Host, Transition
from netwright.model.security_errors import SecurityGroupRuleExists
from netwright.model.states import PortState
from netwright.server.auth import DEFAULT_PROJECT

T = TypeVar("T")

ACTIVE_TIMEOUT_S = 20.0
_POLL_S = 0.05


class Wanted(Struct, frozen=True):
    """An instance to be made: its name, its host (or bare-metal node) and its network's name."""

    name: str
    host: str
    network: str
    attributes: Mapping[str, Any] = {}


class Spawned(Struct, frozen=True):
    """An instance that was made: its port as the API has it, and what runs in the lab."""

    name: str
    host: str
    network: str
    port: Resource
    instance: Instance

    def address(self, version: int = 4) -> str:
        """Its first address of an IP version. Raises LabError when it has none."""
        mark = "." if version == 4 else ":"  # noqa: PLR2004 - IP's own version number
        for fixed in self.port["fixed_ips"]:
            if mark in fixed["ip_address"]:
                return str(fixed["ip_address"])
        raise LabError(f"lab: instance {self.name} has no IPv{version} address")


class Orchestrator:
    """Asks a lab's server, and makes what was asked for in the lab."""

    def __init__(self, lab: Lab, server: str, token_file: Path) -> None:
        self.lab = lab
        self.server = server
        self.token_file = token_file
        self._networks: dict[str, Resource] = {}
        self._subnets: dict[str, Resource] = {}
        self._lets_all_in = False

    def ask(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """The answer of requests that `work` makes, from the management node."""

        async def session() -> T:
            token = self.token_file.read_text().strip()
            async with Client(self.server, token=token) as client:
                return await work(client)

        return netns.run_in(self.lab.namespace(MANAGEMENT_NODE), lambda: asyncio.run(session()))

    def is_served(self) -> bool:
        try:
            self.ask(lambda client: client.hosts())
        except NetwrightError:
            return False
        return True

    def hosts(self) -> tuple[Host, ...]:
        return self.ask(lambda client: client.hosts())

    def host_credential(self, host: str) -> str:
        return self.ask(lambda client: client.host_credential(host))

    def history(self, port_id: str) -> tuple[Transition, ...]:
        return self.ask(lambda client: client.port_history(port_id))

    def ports(self) -> list[Resource]:
        return self.ask(lambda client: Networking(client).list(Collection.PORTS))

    def create_networks(self) -> list[Resource]:
        """The lab's networks with their subnets: its fabric's, and the VLANs of its core router."""
        self._let_all_in()
        spec = self.lab.spec
        made = [self._create_network(name) for name in (*spec.fabric_networks, *spec.networks)]
        self._networks |= {str(network["name"]): network for network in made}
        return made

    def network(self, name: str) -> Resource:
        if name not in self._networks:
            self._networks[name] = self.ask(
                lambda client: Networking(client).find(Collection.NETWORKS, name)
            )
        return self._networks[name]

    def spawn(self, wanted: Iterable[Wanted]) -> list[Spawned]:
        """Make instances: ports (one bulk request), vNICs plugged, then bound to their hosts."""
        asked = list(wanted)
        for host in {one.host for one in asked}:
            self._require_machine(host)
        self._let_all_in()
        drafts = [
            {
                "name": one.name,
                "network_id": self.network(one.network)["id"],
                "device_id": one.name,
                "device_owner": "compute:lab",
                **one.attributes,
            }
            for one in asked
        ]
        ports = self.ask(lambda client: Networking(client).create_all(Collection.PORTS, drafts))
        made = [
            Spawned(one.name, one.host, one.network, port, self._instance(port))
            for one, port in zip(asked, ports, strict=True)
        ]
        for host in dict.fromkeys(one.host for one in made):
            here = [one for one in made if one.host == host]
            if self.lab.node(host).kind == "baremetal":
                for one in here:
                    described = self.lab.spec.networks.get(one.network)
                    vlan = described.vlan if described else None
                    instances.attach_baremetal(self.lab, host, vlan, one.instance)
            else:
                instances.spawn(self.lab, host, [one.instance for one in here])
        self.bind({str(one.port["id"]): one.host for one in made})
        return made

    def bind(self, hosts: Mapping[str, str]) -> None:
        """Say on which host each port is."""

        async def work(client: Client) -> None:
            api = Networking(client)
            for port_id, host in hosts.items():
                wish: dict[str, Any] = {"binding:host_id": host}
                if host and self.lab.node(host).kind == "baremetal":
                    wish |= self._baremetal_binding(host)
                await api.update(Collection.PORTS, port_id, wish)

        self.ask(work)

    def live_migrate(self, port_id: str, to: str) -> None:
        """Live migration, as Nova's API calls have it: its guest loses what is between two lines.

        An inactive binding, the device there, switch-over and activation, the old device unplugged,
        its binding deleted.
        """
        source = find_instance(self.lab, port_id).node
        self.ask(lambda client: Networking(client).prepare_binding(port_id, to))
        migration.receive(self.lab, to, port_id)
        migration.switch_over(self.lab, port_id, to)
        self.ask(lambda client: Networking(client).activate_binding(port_id, to))
        migration.finish(self.lab, port_id, to)
        self.ask(lambda client: Networking(client).delete_binding(port_id, source))

    def refusal(self, spawned: Spawned) -> str:
        """Why the port's binding was refused at once; "" when it was not."""
        history = self.history(str(spawned.port["id"]))
        return history[-1].cause if history and history[-1].to_state is PortState.ERROR else ""

    def await_status(
        self,
        spawned: Sequence[Spawned],
        status: str = "ACTIVE",
        timeout_s: float = ACTIVE_TIMEOUT_S,
    ) -> float:
        """Seconds until all of the ports have the status. Raises LabError naming those without."""
        wanted = {str(one.port["id"]) for one in spawned}
        began = time.monotonic()
        states: dict[str, str] = {}

        def reached() -> bool:
            states.clear()
            states.update({p["id"]: p["status"] for p in self.ports() if p["id"] in wanted})
            return wanted == states.keys() and set(states.values()) <= {status}

        if not eventually(reached, timeout_s):
            late = ", ".join(
                f"{one.name} ({states.get(str(one.port['id']), 'gone')})"
                for one in spawned
                if states.get(str(one.port["id"])) != status
            )
            raise LabError(
                f"lab {self.lab.name}: not {status} after {timeout_s:.0f} s: {late}; ask "
                "`netwright port explain`"
            )
        return time.monotonic() - began

    def end(self, port_ids: Sequence[str]) -> None:
        """End instances and delete their ports, as Nova does."""
        instances.kill(self.lab, port_ids)

        async def work(client: Client) -> None:
            for port_id in port_ids:
                await Networking(client).delete(Collection.PORTS, port_id)

        self.ask(work)

    def _baremetal_binding(self, node: str) -> dict[str, Any]:
        """As Ironic says where a machine hangs; switches of the classic tree are set by hand."""
        wish: dict[str, Any] = {"binding:vnic_type": "baremetal"}
        port = instances.baremetal_port(self.lab, node)
        if self.lab.node(port.node).has_frr:
            link = {"switch_info": port.node, "port_id": port.interface}
            wish["binding:profile"] = {"local_link_information": [link]}
        return wish

    def _let_all_in(self) -> None:
        if not self._lets_all_in:
            self.ask(let_all_in)
            self._lets_all_in = True

    def _create_network(self, name: str) -> Resource:
        spec = self.lab.spec
        segment: dict[str, Any] = {"name": name}
        if name in spec.fabric_networks:
            gateways = spec.fabric_networks[name].gateways
            segment["provider:network_type"] = "vxlan"
        else:
            gateways = spec.networks[name].gateways
            segment |= {
                "provider:network_type": "vlan",
                "provider:physical_network": spec.physical_network,
                "provider:segmentation_id": spec.networks[name].vlan,
            }

        async def work(client: Client) -> Resource:
            api = Networking(client)
            network = await api.create(Collection.NETWORKS, segment)
            for gateway in gateways:
                subnet = subnet_of(gateway) | {"network_id": network["id"], "name": name}
                await api.create(Collection.SUBNETS, subnet)
            return network

        return self.ask(work)

    def _require_machine(self, name: str) -> None:
        """Raises SpecError before anything is made for a node that can run nothing."""
        kind = self.lab.node(name).kind
        if kind not in {"host", "baremetal"}:
            machines = ", ".join(self.lab.nodes("host", "baremetal"))
            raise SpecError(
                f"lab {self.lab.name}: {name} is a node of kind {kind}, which runs no instances; "
                f"these do: {machines}"
            )

    def _instance(self, port: Resource) -> Instance:
        """What the port's machine is told: as cloud-init or DHCP would tell it, from the API."""
        addresses: list[str] = []
        gateways: dict[int, str] = {}
        for fixed in port["fixed_ips"]:
            subnet = self._subnet(str(fixed["subnet_id"]))
            _, _, prefix = str(subnet["cidr"]).partition("/")
            addresses.append(f"{fixed['ip_address']}/{prefix}")
            if subnet["gateway_ip"]:
                gateways.setdefault(int(subnet["ip_version"]), str(subnet["gateway_ip"]))
        return Instance(
            id=str(port["id"]),
            mac=str(port["mac_address"]),
            addresses=tuple(addresses),
            gateways=tuple(gateways.values()),
            device_id=str(port["device_id"]),
        )

    def _subnet(self, subnet_id: str) -> Resource:
        if subnet_id not in self._subnets:
            self._subnets[subnet_id] = self.ask(
                lambda client: Networking(client).show(Collection.SUBNETS, subnet_id)
            )
        return self._subnets[subnet_id]


async def let_all_in(client: Client) -> None:
    """Have the default security group let everything in, as users do who filter elsewhere.

    Else the instances would hear nobody but each other: no gateway, and no probe of a test.
    """
    api = Networking(client)
    ours = {"name": "default", "project_id": DEFAULT_PROJECT}
    (group,) = await api.list(Collection.SECURITY_GROUPS, ours)
    for ethertype in ("IPv4", "IPv6"):
        rule = {"security_group_id": group["id"], "direction": "ingress", "ethertype": ethertype}
        with suppress(SecurityGroupRuleExists):
            await api.create(Collection.SECURITY_GROUP_RULES, rule)


def subnet_of(gateway: str) -> dict[str, Any]:
    """A subnet's attributes from its gateway's address with prefix."""
    interface = ip_interface(gateway)
    return {
        "cidr": str(interface.network),
        "ip_version": interface.version,
        "gateway_ip": str(interface.ip),
    }


def eventually(holds: Callable[[], bool], timeout_s: float) -> bool:
    """Whether it comes to hold within the time; asked every 50 ms, since nothing tells."""
    give_up = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > give_up:
            return False
        time.sleep(_POLL_S)
    return True
