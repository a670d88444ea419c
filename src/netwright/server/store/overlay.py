"""Loads what fabric networks hold: attachments, VLANs of domains, interfaces of bare metal, VNIs.

A batch without a fabric network makes no statement here.
"""

from collections.abc import Collection, Iterable
from itertools import chain

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.fabric import LEASE, AttachmentReport, LeafLink, SwitchState
from netwright.model.resources import Attachment, Host, Port, VnicType
from netwright.model.routing import Router
from netwright.model.segments import vni_key
from netwright.model.states import AttachmentState
from netwright.model.topology import End, Topology
from netwright.model.vlan_domains import VlanDomain
from netwright.model.wire import ReportStatus
from netwright.server.needs import Needs
from netwright.server.overlay.attachments import is_fabric
from netwright.server.overlay.holds import AccessHold, HeldLease, HeldVni
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.links import named_by
from netwright.server.overlay.reporting import changes
from netwright.server.overlay.transit import RESTING, ranges_of
from netwright.server.overlay.vlans import candidates, place_of
from netwright.server.segments import vni_candidates
from netwright.server.store.memory import Memory
from netwright.server.store.plain import load_of
from netwright.server.world import World

Keys = Collection[tuple[str, str]]

_attachment = msgspec.json.Decoder(Attachment).decode
_router = msgspec.json.Decoder(Router).decode
_leaf_link = msgspec.json.Decoder(LeafLink).decode
_switch_state = msgspec.json.Decoder(SwitchState).decode
_host = msgspec.json.Decoder(Host).decode
_topology = msgspec.json.Decoder(Topology).decode


async def load_overlay(
    tx: Transaction, world: World, needs: Needs, memory: Memory, keys: Keys
) -> None:
    """What the fabric networks among these (network, host) need, or what needs the inventory."""
    of_fabric = {network.id for network in world.networks.values() if is_fabric(network)}
    fabric = {key for key in keys if key[0] in of_fabric} if of_fabric else set()
    fabric |= world.fabric.ending
    if needs.lease:
        await _load_lease(tx, world)
    held = [router.vni for router in world.values_of(Router) if router.vni is not None]
    await load_segments(tx, world, [vni_key(vni) for vni in held])
    if fabric or held or not of_fabric.isdisjoint(needs.deleted_networks):
        await _load_controller(tx, world, memory)
    if not (fabric or needs.inventory or needs.transit):
        return
    await load_inventory(tx, world, memory)
    if needs.transit or needs.new_fabric is not None:
        await _load_transit(tx, world, needs)
    if not (fabric or needs.inventory):
        return
    wanted = {
        (domain.name, network_id): domain
        for network_id, host in fabric
        if (domain := _inventory(world).domain_of(host)) is not None
    }
    await _load_vlans(tx, world, wanted)
    if needs.ended_hosts or not world.fabric.has_controller:  # what ends may be its domain's last
        await load_domain_attachments(tx, world, fabric)
    await _load_access(tx, world, needs, fabric)
    await _load_networks_on(tx, world, fabric)
    world.fabric.room = memory.room.fork() if memory.room is not None else None
    await _load_ends(tx, world, needs)
    if needs.all_attachments:
        await _load_all(tx, world)


async def _load_attachments_on(
    tx: Transaction, world: World, hosts: Collection[str]
) -> set[tuple[str, str]]:
    """The fabric networks' attachments on these hosts."""
    found = set()
    for (body,) in await tx.rows("SELECT body FROM attachment WHERE host = ANY($1)", list(hosts)):
        attachment = _attachment(body)
        if attachment.generation:  # a provider network's has none
            key = (attachment.network_id, attachment.host)
            world.attachments.load(key, attachment)
            found.add(key)
    return found


async def _load_all_attachments(tx: Transaction, world: World) -> None:
    """Those of fabric networks, also of deleted ones."""
    sql = (
        "SELECT a.body FROM attachment AS a LEFT JOIN network AS n ON n.id = a.network_id "
        "WHERE n.network_type IS NULL OR n.network_type = 'vxlan'"
    )
    for (body,) in await tx.rows(sql):
        attachment = _attachment(body)
        world.attachments.load((attachment.network_id, attachment.host), attachment)


async def _load_all(tx: Transaction, world: World) -> None:
    """Every host, every VLAN that is given, what was reported of links and switches."""
    for (body,) in await tx.rows("SELECT body FROM leaf_link"):
        link = _leaf_link(body)
        world.of(LeafLink).load(link.id, link)
    for (body,) in await tx.rows("SELECT body FROM switch_state"):
        switch = _switch_state(body)
        world.of(SwitchState).load(switch.name, switch)
    for (body,) in await tx.rows("SELECT body FROM host"):
        host = _host(body)
        world.hosts.load(host.name, host)
    for domain, network_id, vlan in await tx.rows(
        "SELECT domain, network_id, vlan FROM domain_vlan"
    ):
        _put_vlan(world, domain, network_id, vlan)


async def ports_of_reports(tx: Transaction, world: World, needs: Needs) -> set[str]:
    """The ports that are bound where something new is reported; the attachments are loaded."""
    await load_attachments(tx, world, needs.reported)
    changed = []
    for key, report in needs.reported.items():
        attachment = world.attachments.loaded(key)
        if attachment is not None and (report is None or changes(attachment, report)):
            changed.append(key)
    if not changed:
        return set()
    sql = (
        "SELECT b.network_id, b.host, b.port_id FROM PAIRS($1) AS wanted JOIN binding AS b "
        "ON b.network_id = wanted.a AND b.host = wanted.b"
    )
    for network_id, host, port_id in await tx.rows(sql, changed):
        world.fabric.ports_on.setdefault((network_id, host), set()).add(port_id)
    return set().union(*world.fabric.ports_on.values())


async def load_inventory(tx: Transaction, world: World, memory: Memory) -> None:
    """The inventory, which is remembered."""
    if memory.inventory is None:
        rows = await tx.rows("SELECT body FROM topology")
        memory.inventory = Inventory(_topology(rows[0][0]) if rows else Topology())
    world.fabric.inventory = memory.inventory


async def _load_controller(tx: Transaction, world: World, memory: Memory) -> None:
    """Whether a controller was ever there; that it was is remembered."""
    if not memory.has_controller:
        rows = await tx.rows("SELECT 1 FROM lease WHERE name = $1", LEASE)
        memory.has_controller = bool(rows)
    world.fabric.has_controller = memory.has_controller


async def load_domain_attachments(tx: Transaction, world: World, keys: Keys) -> None:
    """All attachments of these networks in these hosts' VLAN domains."""
    inventory = _inventory(world)
    wanted = {
        (network_id, other)
        for network_id, host in keys
        if (domain := inventory.domain_of(host)) is not None
        for other in domain.hosts
    }
    await load_attachments(tx, world, wanted)


async def _load_ends(tx: Transaction, world: World, needs: Needs) -> None:
    """What says whether a VLAN is free when an attachment is reported gone; hosts at links."""
    gone = [key for key, report in needs.reported.items() if report and _ends(report)]
    if gone:
        await load_domain_attachments(tx, world, gone)
        found = (
            (domain, network_id)
            for network_id, host in gone
            if (domain := _inventory(world).domain_of(host)) is not None
        )
        await _load_vlans(tx, world, {(domain.name, id_): domain for domain, id_ in found})
    if needs.linked:
        await _load_linked(tx, world, needs.linked)


async def _load_linked(tx: Transaction, world: World, ends: Collection[End]) -> None:
    """The hosts that hang on these leaf interfaces, and what was reported of all their links."""
    inventory = _inventory(world)
    names = {there.node for end in ends if (there := inventory.neighbour(end)) is not None}
    for (body,) in await tx.rows("SELECT body FROM host WHERE name = ANY($1)", list(names)):
        host = _host(body)
        world.hosts.load(host.name, host)
    uppers = {str(link.upper) for name in names for link in inventory.links_of(name)}
    await load_of(tx, world, LeafLink, uppers)


def _ends(report: AttachmentReport) -> bool:
    return report.status is ReportStatus.WITHDRAWN


async def _load_lease(tx: Transaction, world: World) -> None:
    rows = await tx.rows("SELECT holder, token FROM lease WHERE name = $1", LEASE)
    world.fabric.lease = HeldLease(*rows[0]) if rows else None


async def networks_of_fabric(tx: Transaction, world: World, needs: Needs) -> set[str]:
    """The networks of attachments that may end, whose hosts hear of it; and of routers."""
    found = {network_id for network_id, _ in needs.reported}
    if needs.ended_hosts:
        ended = await _load_attachments_on(tx, world, needs.ended_hosts)
        world.fabric.ending |= ended
        found |= {network_id for network_id, _ in ended}
    if needs.all_attachments:
        await _load_all_attachments(tx, world)
        found |= {
            one.network_id
            for one in world.attachments.values()
            if one.state is AttachmentState.WITHDRAWING
        }
    if needs.transit or needs.new_fabric is not None:
        found |= await load_routers(tx, world, needs)
    return found


async def load_routers(tx: Transaction, world: World, needs: Needs) -> set[str]:
    """The networks of the routers that may need a transit VNI; of all, for another inventory."""
    if needs.new_fabric is not None:
        for (body,) in await tx.rows("SELECT body FROM router"):
            router = _router(body)
            world.of(Router).load(router.id, router)
    routers = world.of(Router).values()
    return {each.network_id for one in routers for each in (*one.interfaces, *one.outer)}


async def load_segments(tx: Transaction, world: World, keys: Collection[str]) -> None:
    """Who has these segments: networks, and of VNIs routers, or nobody while they rest."""
    wanted = list(keys)
    if not wanted:
        return
    sql = (
        "SELECT segment_key, id FROM network WHERE segment_key = ANY($1) "
        "UNION SELECT segment_key, network_id FROM segment WHERE segment_key = ANY($1)"
    )
    for key, network_id in await tx.rows(sql, wanted):
        world.segments.load(key, network_id)
    vnis = [key for key in wanted if key.startswith(vni_key(None).removesuffix("None"))]
    if vnis:
        sql = "SELECT segment_key, vni, router_id FROM held_vni WHERE segment_key = ANY($1)"
        for key, vni, router_id in await tx.rows(sql, vnis):
            world.segments.load(key, router_id or RESTING)
            world.fabric.held_vnis.load(key, HeldVni(vni, router_id))


async def _load_transit(tx: Transaction, world: World, needs: Needs) -> None:
    """The VNIs that routers without one try first."""
    fabric = needs.new_fabric or _inventory(world).topology.fabric
    ranges = ranges_of(fabric)
    routers = [router for router in world.values_of(Router) if router.vni is None]
    keys = {vni_key(vni) for router in routers for vni in vni_candidates(router.id, ranges)}
    await load_segments(tx, world, keys)


async def load_attachments(tx: Transaction, world: World, keys: Keys) -> None:
    """These attachments, where they are; that they are not there is known then, too."""
    wanted = [key for key in keys if key not in world.fabric.read_attachments]
    if not wanted:
        return
    world.fabric.read_attachments.update(wanted)
    sql = (
        "SELECT a.body FROM PAIRS($1) AS wanted JOIN attachment AS a "
        "ON a.network_id = wanted.a AND a.host = wanted.b"
    )
    for (body,) in await tx.rows(sql, wanted):
        attachment = _attachment(body)
        world.attachments.load((attachment.network_id, attachment.host), attachment)


async def load_domain(tx: Transaction, world: World, domain: str) -> None:
    """All VLANs that are in use in a domain: 4,093 at most."""
    await _vlan_rows(tx, world, "domain = ANY($1)", [domain])
    world.fabric.whole_domains.add(domain)


async def _load_vlans(
    tx: Transaction, world: World, wanted: dict[tuple[str, str], VlanDomain]
) -> None:
    if not wanted:
        return
    sql = (
        "SELECT v.domain, v.network_id, v.vlan FROM PAIRS($1) AS wanted JOIN domain_vlan AS v "
        "ON v.domain = wanted.a AND v.network_id = wanted.b"
    )
    for domain, network_id, vlan in await tx.rows(sql, list(wanted)):
        _put_vlan(world, domain, network_id, vlan)
    places = [
        place_of(domain.name, vlan)
        for (name, network_id), domain in wanted.items()
        if world.fabric.vlans.loaded((name, network_id)) is None
        for vlan in candidates(domain, network_id)
    ]
    if places:
        await _vlan_rows(tx, world, "place = ANY($1)", places)


async def _vlan_rows(tx: Transaction, world: World, where: str, keys: list[str]) -> None:
    sql = f"SELECT domain, network_id, vlan FROM domain_vlan WHERE {where}"  # noqa: S608 - our words
    for domain, network_id, vlan in await tx.rows(sql, keys):
        _put_vlan(world, domain, network_id, vlan)


def _put_vlan(world: World, domain: str, network_id: str, vlan: int) -> None:
    world.fabric.vlans.load((domain, network_id), vlan)
    world.fabric.vlan_holders.load(place_of(domain, vlan), network_id)


async def _load_access(tx: Transaction, world: World, needs: Needs, fabric: Keys) -> None:
    """Who has the interfaces that are named, and what else the machines have in their networks."""
    metal = [port for port in world.ports.values() if _may_be_metal(port)]
    keys = needs.access | {key for port in metal for key in _named(port)}
    world.fabric.named_access |= keys
    if keys:
        await _access_rows(tx, world, "a.switch = wanted.a AND a.interface = wanted.b", keys)
    attached = (world.attachments.loaded(key) for key in fabric)
    if metal or needs.access or any(one is not None and one.access for one in attached):
        await _access_rows(tx, world, "a.network_id = wanted.a AND a.host = wanted.b", fabric)


async def _access_rows(tx: Transaction, world: World, on: str, keys: Iterable[object]) -> None:
    sql = (
        "SELECT a.switch, a.interface, a.network_id, a.host, a.port_id FROM PAIRS($1) AS wanted "  # noqa: S608 - our words
        f"JOIN access_port AS a ON {on}"
    )
    for switch, interface, network_id, host, port_id in await tx.rows(sql, list(keys)):
        world.fabric.access.load((switch, interface), AccessHold(network_id, host, port_id))


async def _load_networks_on(tx: Transaction, world: World, fabric: Keys) -> None:
    """The networks over leaves whose VNIs are counted, of the hosts and machines that are meant."""
    inventory = _inventory(world)
    counted = {
        switch.name for switch in inventory.topology.switches if switch.capacities.vnis is not None
    }
    leaves = {leaf for _, host in fabric for leaf in inventory.leaves_of(host)}
    leaves |= {switch for switch, _ in world.fabric.named_access}
    for leaf in sorted(leaves & counted):
        sql = (
            "SELECT DISTINCT a.network_id FROM attachment AS a JOIN network AS n "
            "ON n.id = a.network_id AND n.network_type = 'vxlan' WHERE a.host = ANY($1)"
        )
        rows = [*await tx.rows(sql, list(inventory.hosts_on(leaf)))]
        rows += await tx.rows("SELECT DISTINCT network_id FROM access_port WHERE switch = $1", leaf)
        world.fabric.networks_on[leaf] = {network_id for (network_id,) in rows}


def _may_be_metal(port: Port) -> bool:
    kinds = [port.vnic_type, *(each.prepared.vnic_type for each in port.bindings if each.prepared)]
    return VnicType.BAREMETAL in kinds


def _named(port: Port) -> set[tuple[str, str]]:
    prepared = (each.prepared.profile for each in port.bindings if each.prepared)
    found = chain.from_iterable(named_by(profile) for profile in (port.profile, *prepared))
    return {(each.switch, each.interface) for each in found}


def _inventory(world: World) -> Inventory:
    assert world.fabric.inventory is not None, "the inventory was not loaded"
    return world.fabric.inventory
