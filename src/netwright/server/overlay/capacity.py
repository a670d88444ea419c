"""What leaves hold of what they can hold: MACs, VNIs, VRFs, ARP entries. Pure.

A leaf has the VNIs of the networks attached over it; with asymmetric routing also those of the
other networks of their VPCs, and VPCs' transit VNIs. It learns the MACs and addresses of all ports
in these networks, wherever they are (RFC 7432, type-2 routes).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from netwright.model.resources import Attachment, Value
from netwright.model.routing import Router
from netwright.model.topology import Irb, SwitchKind
from netwright.server.overlay.inventory import Inventory
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


def capacities(inventory: Inventory, usage: Usage) -> Iterator[SwitchCapacity]:
    """Of every leaf and border, in the order of the inventory."""
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
            networks, vrfs, transit = _with_vpcs(inventory, attached, fabric, usage.routers)
            can = switch.capacities
            yield SwitchCapacity(
                switch=switch.name,
                kind=switch.kind,
                macs=Use(used=_sum(usage.ports, networks), capacity=can.macs),
                vnis=Use(used=len(networks) + transit, capacity=can.vnis),
                vrfs=Use(used=vrfs, capacity=can.vrfs),
                arp_entries=Use(used=_sum(usage.addresses, networks), capacity=can.arp_entries),
            )


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


def _with_vpcs(
    inventory: Inventory, attached: set[str], fabric: set[str], routers: Iterable[Router]
) -> tuple[set[str], int, int]:
    """A leaf's networks with those of their VPCs; how many VPCs, and transit VNIs, it has."""
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
    return networks, vrfs, transit


def _sum(counts: Mapping[str, int], networks: Iterable[str]) -> int:
    return sum(counts.get(network_id, 0) for network_id in networks)
