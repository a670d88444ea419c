"""What leaves hold of what they can hold: MACs, VNIs, VRFs, ARP entries. Pure.

A leaf has the VNIs of the networks attached over it; with asymmetric routing also those of the
other networks of their VPCs, and VPCs' transit VNIs. It learns the MACs and addresses of all ports
in these networks, wherever they are (RFC 7432, type-2 routes).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from netwright.model.resources import Attachment, Port, Value
from netwright.model.routing import Router
from netwright.model.states import BindingState
from netwright.model.topology import Capacities, Irb, Switch, SwitchKind
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.room import Counts, Room
from netwright.server.world import World


class Use(Value, frozen=True, kw_only=True):
    """`capacity` None: the inventory does not say."""

    used: int
    capacity: int | None = None


class SwitchCapacity(Value, frozen=True, kw_only=True):
    switch: str
    kind: SwitchKind
    macs: Use
    vnis: Use
    vrfs: Use
    arp_entries: Use

    def exceeded(self) -> dict[str, str]:
        """What it has more of than it can hold, as conditions with their causes."""
        uses = {
            "MACs": self.macs,
            "VNIs": self.vnis,
            "VRFs": self.vrfs,
            "ARP entries": self.arp_entries,
        }
        return {
            f"{name} exceeded": f"switch {self.switch} has {use.used} {name} and room for"
            f" {use.capacity}"
            for name, use in uses.items()
            if use.capacity is not None and use.used > use.capacity
        }


class Usage(NamedTuple):
    """What is stored: fabric networks by (network, host) and (network, leaf); counts by network."""

    attached: Iterable[tuple[str, str]]
    access: Iterable[tuple[str, str]]
    ports: Mapping[str, int]
    addresses: Mapping[str, int]
    routers: Iterable[Router]


class Held(NamedTuple):
    """What a leaf has: networks, with those of its VPCs; how many VPCs, and transit VNIs."""

    networks: set[str]
    vrfs: int
    transit: int


def capacities(inventory: Inventory, usage: Usage) -> Iterator[SwitchCapacity]:
    """Of every leaf and border, in the order of the inventory."""
    for switch, (networks, vrfs, transit) in _held(inventory, usage):
        can = switch.capacities
        yield SwitchCapacity(
            switch=switch.name,
            kind=switch.kind,
            macs=Use(used=_sum(usage.ports, networks), capacity=can.macs),
            vnis=Use(used=len(networks) + transit, capacity=can.vnis),
            vrfs=Use(used=vrfs, capacity=can.vrfs),
            arp_entries=Use(used=_sum(usage.addresses, networks), capacity=can.arp_entries),
        )


def room_of(inventory: Inventory, usage: Usage) -> Room:
    """What is left of MACs and ARP entries on the leaves that say how many they can hold."""
    limits = limits_of(inventory)
    networks = {
        network_id: Counts(count, usage.addresses.get(network_id, 0))
        for network_id, count in usage.ports.items()
    }
    used, on = dict.fromkeys(limits, Counts()), dict[str, frozenset[str]]()
    for switch, held in _held(inventory, usage):
        if switch.name in limits:
            used[switch.name] = Counts(
                _sum(usage.ports, held.networks), _sum(usage.addresses, held.networks)
            )
            for network_id in held.networks:
                on[network_id] = on.get(network_id, frozenset()) | {switch.name}
    return Room(limits, used, on, networks)


def limits_of(inventory: Inventory) -> Mapping[str, Capacities]:
    """The leaves whose MACs or ARP entries are counted."""
    return {
        each.name: each.capacities
        for each in inventory.topology.switches
        if inventory.is_leaf(each.name)
        and (each.capacities.macs is not None or each.capacities.arp_entries is not None)
    }


def room_refusal(world: World, port: Port, ends: Mapping[str, str]) -> str:
    """Why a leaf cannot hold the port; "" when all can, or nobody has counted.

    `ends` are the interfaces that it is to hang on, by their leaf.
    """
    room = world.fabric.room
    return room.refusal(port.network_id, ends, brings(port)) if room is not None else ""


def brings(port: Port) -> Counts:
    """What the port brings to the leaves; nothing, when it is counted and only moves."""
    if any(binding.state is not BindingState.REFUSED for binding in port.bindings):
        return Counts()
    return Counts(1, len(port.fixed_ips))


def vni_refusal(world: World, inventory: Inventory, network_id: str, leaves: Iterable[str]) -> str:
    """Why a leaf cannot hold one VNI more; "" when all can, or nobody says what they can."""
    for switch in inventory.topology.switches:
        limit = switch.capacities.vnis
        if switch.name not in leaves or limit is None:
            continue
        networks = networks_on(world, inventory, switch.name)
        if network_id not in networks and len(networks) >= limit:
            return (
                f"leaf {switch.name} has room for {limit} VNIs (capacities.vnis in the inventory), "
                f"and that of network {network_id} would be one more: bind to a host on other "
                "leaves, or unbind what is not needed there"
            )
    return ""


def networks_on(world: World, inventory: Inventory, leaf: str) -> set[str]:
    """The networks attached over the leaf, with what the batch has added."""
    hosts = inventory.hosts_on(leaf)
    here = {each.network_id for each in world.attachments.values() if _is_over(each, leaf, hosts)}
    return world.fabric.networks_on.get(leaf, set()) | here


def _is_over(attachment: Attachment, leaf: str, hosts: tuple[str, ...]) -> bool:
    if any(each.switch == leaf for each in attachment.access):
        return True
    return attachment.generation > 0 and attachment.host in hosts


def _held(inventory: Inventory, usage: Usage) -> Iterator[tuple[Switch, Held]]:
    on_leaf: dict[str, set[str]] = {}
    for network_id, host in usage.attached:
        for leaf in inventory.leaves_of(host):
            on_leaf.setdefault(leaf, set()).add(network_id)
    for network_id, leaf in usage.access:
        on_leaf.setdefault(leaf, set()).add(network_id)
    fabric = {network_id for network_id, _ in (*usage.attached, *usage.access)}
    for switch in inventory.topology.switches:
        if inventory.is_leaf(switch.name):
            attached = on_leaf.get(switch.name, set())
            yield switch, _with_vpcs(inventory, attached, fabric, usage.routers)


def _with_vpcs(
    inventory: Inventory, attached: set[str], fabric: set[str], routers: Iterable[Router]
) -> Held:
    networks, vrfs, transit = set(attached), 0, 0
    is_symmetric = inventory.topology.fabric.irb is Irb.SYMMETRIC
    for router in routers:
        of_router = {each.network_id for each in router.interfaces}
        if attached.isdisjoint(of_router):
            continue
        vrfs += 1
        transit += router.vni is not None
        if not is_symmetric:
            networks |= of_router & fabric
    return Held(networks, vrfs, transit)


def _sum(counts: Mapping[str, int], networks: Iterable[str]) -> int:
    return sum(counts.get(network_id, 0) for network_id in networks)
