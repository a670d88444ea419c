"""The orchestrator's double, with the API: what Nova does from "schedule" to "running".

It asks for a port, makes the vNIC and plugs it, and says on which host the port is, in the order of
the design's thirteen steps. Requests go out from the management node's namespace.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from netwright.client.api import Client
from netwright.client.mirror import Mirror
from netwright.client.networking import Collection, Networking, Resource
from netwright.lab import containers, instances, migration, netns, networks
from netwright.lab.containers import Pod
from netwright.lab.errors import LabError, SpecError
from netwright.lab.places import Instance, find_instance
from netwright.lab.spec import MANAGEMENT_NODE
from netwright.lab.state import Lab
from netwright.model.errors import NetwrightError
from netwright.model.planes import planes_on
from netwright.model.resources import Host, Transition
from netwright.model.states import AttachmentState, BindingState, Plane, PortState
from netwright.model.wire import Kind

T = TypeVar("T")

ACTIVE_TIMEOUT_S = 20.0
_POLL_S = 0.05
_MIGRATION_LOOKED_AT_S = 0.5
"""How often Nova's libvirt driver looks whether a migration has ended; the source is cleared then.

Here both hosts are one machine: clearing the one would take the other's processor while it opens.
"""


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

        async def work(client: Client) -> list[Resource]:
            names = (*spec.fabric_networks, *spec.networks)
            return [await networks.create_described(client, spec, name) for name in names]

        return [self._remember(network) for network in self.ask(work)]

    def create_fabric_network(self, name: str, gateways: Sequence[str]) -> Resource:
        """A VXLAN network with a subnet for each gateway (address with prefix length)."""
        self._let_all_in()
        return self._remember(
            self.ask(lambda client: networks.create_fabric_network(client, name, gateways))
        )

    def create_vpc(
        self, name: str, inside: Sequence[str], ways_out: Sequence[str] = ()
    ) -> Resource:
        """A router of these fabric networks, with ways out into these provider networks."""
        ids = [str(self.network(each)["id"]) for each in inside]
        out = [str(self.network(each)["id"]) for each in ways_out]
        return self.ask(lambda client: networks.create_vpc(client, name, ids, out))

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

    def run(self, pods: Iterable[Pod]) -> list[Spawned]:
        """Run containers, all at once: their runtimes get their ports, which nobody here asked for.

        Raises ContainerRefusedError; the others run then.
        """
        wanted = list(pods)
        self._let_all_in()
        placed = containers.start(self.lab, wanted)
        ports = {str(port["device_id"]): port for port in self.ports()}
        made = [
            (pod, one.instance, ports[one.instance.id])
            for pod, one in zip(wanted, placed, strict=True)
        ]
        return [
            Spawned(pod.name, pod.host, self._name_of_network(port), port, instance)
            for pod, instance, port in made
        ]

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

    def live_migrate(
        self, port_id: str, to: str, *, planes: frozenset[Plane] = frozenset(Plane)
    ) -> None:
        """Live migration, as Nova's API calls have it: its guest loses what is between two lines.

        An inactive binding, the device there; the guest stops, is activated, and goes on there; the
        old device is unplugged once Nova has looked again, its binding deleted. Memory is copied
        for as long as these `planes` need to be ready there.
        """
        source = find_instance(self.lab, port_id).node
        self.ask(lambda client: Networking(client).prepare_binding(port_id, to))
        migration.receive(self.lab, to, port_id)
        self.await_prepared(port_id, to, planes)
        with migration.handover(self.lab, port_id, to) as guest:

            async def go(client: Client) -> None:
                api = Networking(client)
                await api.show(Collection.PORTS, port_id)  # connected while it still runs
                guest.pause()
                await api.activate_binding(port_id, to)
                guest.resume()

            self.ask(go)
        time.sleep(_MIGRATION_LOOKED_AT_S)
        migration.finish(self.lab, port_id, to)
        self.ask(lambda client: Networking(client).delete_binding(port_id, source))

    def await_prepared(self, port_id: str, host: str, planes: frozenset[Plane]) -> None:
        """Wait until a port's inactive binding is ready on its host. Raises LabError."""
        missing = frozenset[Plane]()

        def is_ready() -> bool:
            nonlocal missing
            kinds = (Kind.PORT, Kind.NETWORK, Kind.ATTACHMENT)
            missing = planes & _not_up(
                self.ask(lambda client: client.snapshot(kinds)), port_id, host
            )
            return not missing

        if not eventually(is_ready, ACTIVE_TIMEOUT_S):
            raise LabError(
                f"lab {self.lab.name}: port {port_id} is not ready on {host} after "
                f"{ACTIVE_TIMEOUT_S:.0f} s: {', '.join(sorted(missing))}"
            )

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
        """End instances and delete their ports, as Nova does; containers, as their runtime does."""
        found = [find_instance(self.lab, one) for one in port_ids]
        containers.end(self.lab, [one for one in found if one.attachment is not None])
        machines = [one.instance.id for one in found if one.attachment is None]
        instances.kill(self.lab, machines)

        async def work(client: Client) -> None:
            for port_id in machines:
                await Networking(client).delete(Collection.PORTS, port_id)

        if machines:
            self.ask(work)

    def _baremetal_binding(self, node: str) -> dict[str, Any]:
        """As Ironic says where a machine hangs; switches of the classic tree are set by hand."""
        wish: dict[str, Any] = {"binding:vnic_type": "baremetal"}
        port = instances.baremetal_port(self.lab, node)
        if self.lab.node(port.node).has_frr:
            link = {"switch_info": port.node, "port_id": port.interface}
            wish["binding:profile"] = {"local_link_information": [link]}
        return wish

    def _remember(self, network: Resource) -> Resource:
        self._networks[str(network["name"])] = network
        return network

    def _let_all_in(self) -> None:
        if not self._lets_all_in:
            self.ask(networks.let_all_in)
            self._lets_all_in = True

    def _require_machine(self, name: str) -> None:
        """Raises SpecError before anything is made for a node that can run nothing."""
        kind = self.lab.node(name).kind
        if kind not in {"host", "baremetal"}:
            machines = ", ".join(self.lab.nodes("host", "baremetal"))
            raise SpecError(
                f"lab {self.lab.name}: {name} is a node of kind {kind}, which runs no instances; "
                f"these do: {machines}"
            )

    def _name_of_network(self, port: Resource) -> str:
        network_id = str(port["network_id"])
        known = {str(each["id"]): name for name, each in self._networks.items()}
        if network_id in known:
            return known[network_id]
        found = self.ask(lambda client: Networking(client).show(Collection.NETWORKS, network_id))
        return str(self._remember(found)["name"])

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


def _not_up(told: Mirror, port_id: str, host: str) -> frozenset[Plane]:
    """The planes that a port needs on a host and that are not up there."""
    port = told.ports[port_id]
    binding = port.binding_on(host)
    if binding is None:
        return frozenset(Plane)
    attachment = told.attachments.get(f"{port.network_id}@{host}")
    up = {
        Plane.UNDERLAY: binding.state is BindingState.UP,
        Plane.OVERLAY: attachment is not None and attachment.state is AttachmentState.UP,
    }
    needed = planes_on(binding, port, told.networks[port.network_id])
    return frozenset(plane for plane in needed if not up[plane])


def eventually(holds: Callable[[], bool], timeout_s: float) -> bool:
    """Whether it comes to hold within the time; asked every 50 ms, since nothing tells."""
    give_up = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > give_up:
            return False
        time.sleep(_POLL_S)
    return True
