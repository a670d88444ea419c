"""Loads what a batch needs, with a fixed number of statements whatever its size."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from netwright.db.transaction import Row, Transaction
from netwright.ipam.addresses import Address, cidr_range, from_key, from_text, to_key
from netwright.ipam.resting import Allocation, FormerMac
from netwright.model.resources import Attachment, Host, Network, NetworkType, Port, Subnet
from netwright.model.segments import NetworkSegment, segment_key, segments_of, vni_key
from netwright.model.states import PortState
from netwright.server.needs import Needs
from netwright.server.ports.addressing import eui64, is_slaac
from netwright.server.ports.giving_back import held_addresses
from netwright.server.ports.macs import is_free, mac_candidates
from netwright.server.segments import vni_candidates
from netwright.server.store import schema
from netwright.server.store.claims import note_slots
from netwright.server.store.floating import holding_ports, load_floating
from netwright.server.store.labelled import choose_networks
from netwright.server.store.memory import Memory
from netwright.server.store.overlay import (
    load_inventory,
    load_overlay,
    load_segments,
    networks_of_fabric,
    ports_of_reports,
)
from netwright.server.store.plain import load_plain
from netwright.server.store.prefixes import load_gaps, load_pools, networks_of_pools
from netwright.server.store.qos import load_policies
from netwright.server.store.quotas import load_quotas
from netwright.server.store.routers import (
    gateways_of_interfaces,
    load_routers_of,
    macs_of_interfaces,
    ports_of_routers,
    subnets_of_interfaces,
)
from netwright.server.store.security import load_rules, load_security, note_groups
from netwright.server.store.sharing import load_sharing, note_shared
from netwright.server.store.trunks import load_trunks_of, ports_of_trunks
from netwright.server.world import World

T = TypeVar("T")

_USES_MAX = 100_000

_BY_UNIQUE_NAMES = (
    "SELECT p.body, p.event_seq FROM PAIRS($2) AS wanted JOIN port AS p "
    "ON p.project_id = wanted.a AND p.unique_name = wanted.b"
)

_network = msgspec.json.Decoder(Network).decode
_subnet = msgspec.json.Decoder(Subnet).decode
_host = msgspec.json.Decoder(Host).decode
_port = msgspec.json.Decoder(Port).decode
_attachment = msgspec.json.Decoder(Attachment).decode


async def load(tx: Transaction, world: World, needs: Needs, memory: Memory) -> None:
    """Fill the world with what is needed. Runs in the batch's own transaction."""
    if needs.labelled:
        await choose_networks(tx, world, needs, memory)
    await _note(tx, needs)
    await _load_named(tx, world, needs)
    await load_pools(tx, world, needs)
    of_routers = await ports_of_routers(tx, world, needs) | holding_ports(world, needs)
    needs.ports |= of_routers | ports_of_trunks(world, needs)
    if needs.reported:
        needs.ports |= await ports_of_reports(tx, world, needs)
    await note_slots(tx, world, needs)
    await _load_ports(tx, world, needs)
    ports = list(world.ports.values())
    await load_routers_of(tx, world, ports)
    await load_floating(tx, world, needs)
    of_subnets = await _networks_of_subnets(tx, needs.changed_subnets)
    of_pools = await networks_of_pools(tx, world, needs.rescoped_pools)
    changed = needs.changed_networks | of_subnets | of_pools
    changed |= {one.network_id for one in world.values_of(NetworkSegment)}
    of_interfaces = await _networks_of_subnets(tx, subnets_of_interfaces(needs))
    known = needs.networks | of_interfaces | {port.network_id for port in ports}
    known |= await networks_of_fabric(tx, world, needs)
    network_ids = changed | known
    hosts = needs.hosts | {binding.host for port in ports for binding in port.bindings}
    _remember(world, memory, network_ids, hosts)
    unread, unread_hosts = network_ids - memory.networks.keys(), hosts - memory.hosts.keys()
    await _load_networks(tx, world, unread)
    await _load_subnets(tx, world, unread)
    await _load_hosts(tx, world, unread_hosts)
    memory.learn(world, unread, unread_hosts)
    await load_sharing(tx, world, needs)
    await _load_segments(tx, world, needs)
    attachments = needs.attachments | {
        (port.network_id, host)
        for port in ports
        for host in {binding.host for binding in port.bindings} | needs.hosts
    }
    await _load_attachments(tx, world, attachments)
    await load_overlay(tx, world, needs, memory, attachments)
    if needs.may_drift and any(network.drift_domain for network in world.networks.values()):
        await load_inventory(tx, world, memory)
    await _load_changed(tx, world, needs, changed)
    macs = needs.macs | _in_networks(world, needs.port_macs) | macs_of_interfaces(world, needs)
    await _load_macs(tx, world, macs)
    await _load_former_macs(tx, world, macs | _remnant_macs(ports))
    await _load_allocations(tx, world, _addresses(world, needs, macs))
    await _load_second_choices(tx, world, needs)
    await _load_revocations(tx, world, needs.revocations)
    await load_security(tx, world, needs, memory)
    projects = needs.projects | (world.projects() if needs.deletes else set())
    await load_quotas(tx, world, memory, projects, needs.quotas)
    await load_gaps(tx, world, needs, _gone(world, needs))
    used = needs.deleted_networks | (of_subnets if needs.deletes_subnets else set())
    await _load_uses(tx, world, used)


async def _load_changed(tx: Transaction, world: World, needs: Needs, networks: set[str]) -> None:
    """Where networks are that change; of those that may lose a segment, the hosts."""
    await _load_all_attachments(tx, world, networks)
    world.whole_networks |= networks
    if needs.deleted_segments:
        lose = {one.network_id for one in world.of(NetworkSegment).values()}
        names = {one.host for one in world.attachments.values() if one.network_id in lose}
        await _load_hosts(tx, world, {name for name in names if world.hosts.get(name) is None})


async def _load_named(tx: Transaction, world: World, needs: Needs) -> None:
    """What needs no more than its id, and what comes with it."""
    await load_plain(tx, world, needs)
    load_rules(world)
    await load_policies(tx, world, needs)


async def _note(tx: Transaction, needs: Needs) -> None:
    """What is needed besides of what is only named: of policies and rules, what they are of."""
    await note_shared(tx, needs)
    await note_groups(tx, needs)


async def load_more_macs(tx: Transaction, world: World, keys: Iterable[tuple[str, str]]) -> None:
    """Who holds these second choices (network, MAC), and the addresses that they would give."""
    macs = set(keys)
    await _load_macs(tx, world, macs)
    await _load_former_macs(tx, world, macs)
    await _load_allocations(tx, world, _given_by_macs(world, macs))
    world.more_macs |= macs


async def _load_second_choices(tx: Transaction, world: World, needs: Needs) -> None:
    """For all ports at once whose first MAC is not free: one in sixteen, beside a million."""
    if not (len(world.macs) or len(world.former_macs)):
        return
    keys = {
        (network_id, mac)
        for (network_id, first), port_id in needs.first_macs.items()
        if not is_free(world, network_id, first)
        for mac in mac_candidates(port_id)[1:]
    }
    if keys:
        await load_more_macs(tx, world, keys)


async def subnets(tx: Transaction, ids: Iterable[str]) -> list[Subnet]:
    """The subnets with these ids that exist."""
    sql = "SELECT body FROM subnet WHERE id = ANY($1)"
    return [_subnet(body) for (body,) in await _select(tx, sql, ids)]


async def _load_ports(tx: Transaction, world: World, needs: Needs) -> None:
    ids = set(needs.ports)
    if needs.ports_on:
        sql = "SELECT port_id FROM binding WHERE host = ANY($1)"
        ids.update(port_id for (port_id,) in await _select(tx, sql, needs.ports_on))
    if needs.refused_on:
        sql = "SELECT port_id FROM binding WHERE host = ANY($1) AND state IN ('refused', 'fenced')"
        ids.update(port_id for (port_id,) in await _select(tx, sql, needs.refused_on))
    if needs.chosen_ports:
        sql = "SELECT port_id, max(number) FROM transition WHERE port_id = ANY($1) GROUP BY port_id"
        world.former_ports.update(dict(await _select(tx, sql, needs.chosen_ports)))
    await _read_ports(tx, world, ids, needs.unique_names)
    await _read_ports(tx, world, await load_trunks_of(tx, world, world.ports.values()))


async def _read_ports(
    tx: Transaction, world: World, ids: Iterable[str], unique_names: Iterable[tuple[str, str]] = ()
) -> None:
    sql, named = "SELECT body, event_seq FROM port WHERE id = ANY($1)", list(unique_names)
    if named:
        found = await tx.rows(f"{sql} UNION ALL {_BY_UNIQUE_NAMES}", list(ids), named)
    else:
        found = await _select(tx, sql, ids)
    for body, seq in found:
        port = _port(body)
        world.ports.load(port.id, port)
        world.port_seqs[port.id] = seq
        world.macs.load((port.network_id, port.mac_address), port.id)
        if port.unique_name is not None and port.state is not PortState.RELEASING:
            world.unique_names.load((port.project_id, port.unique_name), port.id)


async def _networks_of_subnets(tx: Transaction, ids: set[str]) -> set[str]:
    sql = "SELECT network_id FROM subnet WHERE id = ANY($1)"
    return {network_id for (network_id,) in await _select(tx, sql, ids)}


def _remember(world: World, memory: Memory, network_ids: set[str], names: set[str]) -> None:
    for network_id in network_ids & memory.networks.keys():
        network, subnets = memory.networks[network_id]
        _put_network(world, network)
        for subnet in subnets:
            world.subnets.load(subnet.id, subnet)
    for name in names & memory.hosts.keys():
        world.hosts.load(name, memory.hosts[name])


def _put_network(world: World, network: Network) -> None:
    world.networks.load(network.id, network)
    for one in segments_of(network):
        world.segments.load(segment_key(one.segment), network.id)


async def _load_networks(tx: Transaction, world: World, ids: set[str]) -> None:
    sql = "SELECT body FROM network WHERE id = ANY($1)"
    for (body,) in await _select(tx, sql, ids):
        _put_network(world, _network(body))


async def _load_subnets(tx: Transaction, world: World, network_ids: set[str]) -> None:
    sql = "SELECT body FROM subnet WHERE network_id = ANY($1)"
    for (body,) in await _select(tx, sql, network_ids):
        subnet = _subnet(body)
        world.subnets.load(subnet.id, subnet)


async def _load_segments(tx: Transaction, world: World, needs: Needs) -> None:
    """Those asked about. When a VLAN is to be chosen, all VLANs: there are few thousands of them.

    Of VNIs there are millions: for each network those that it tries first.
    """
    rules = world.segment_rules
    choices = needs.segment_choices.items()
    kinds = {id_: rules.tenant_types if kind is None else (kind,) for id_, kind in choices}
    keys = set(needs.segments)
    for network_id, types in kinds.items():
        if NetworkType.VXLAN in types:
            keys.update(map(vni_key, vni_candidates(network_id, rules.vni_ranges)))
    await load_segments(tx, world, keys)
    rows: list[Row] = []
    if any(NetworkType.VLAN in types for types in kinds.values()):
        rows += await tx.rows(
            "SELECT segment_key, id FROM network WHERE network_type = 'vlan' "
            "UNION SELECT segment_key, network_id FROM segment WHERE network_type = 'vlan'"
        )
    for key, network_id in rows:
        world.segments.load(key, network_id)


async def _load_hosts(tx: Transaction, world: World, names: set[str]) -> None:
    sql = "SELECT body FROM host WHERE name = ANY($1)"
    for (body,) in await _select(tx, sql, names):
        host = _host(body)
        world.hosts.load(host.name, host)


async def revocations(tx: Transaction) -> dict[str, int]:
    """How often each host's credential was revoked; those never revoked are left out."""
    return dict(await tx.rows("SELECT host, revocations FROM revocation"))


async def _load_revocations(tx: Transaction, world: World, names: set[str]) -> None:
    columns = ("host", "revocations")
    for name, count in await tx.find(schema.revocation, columns, [(name,) for name in names]):
        world.revocations.load(name, count)


async def _load_attachments(tx: Transaction, world: World, keys: set[tuple[str, str]]) -> None:
    """And how many bindings stand there.

    Whether the last goes is what counts, and no more can go than there are ports in the batch.
    """
    sql = (
        "SELECT wanted.a, wanted.b, a.body, (SELECT count(*) FROM (SELECT 1 FROM binding AS b "
        "WHERE b.network_id = wanted.a AND b.host = wanted.b LIMIT $2) AS counted) "
        "FROM PAIRS($1) AS wanted LEFT JOIN attachment AS a "
        "ON a.network_id = wanted.a AND a.host = wanted.b"
    )
    if not keys:
        return
    for network_id, host, body, count in await tx.rows(sql, list(keys), len(world.ports) + 1):
        if body is not None:
            world.attachments.load((network_id, host), _attachment(body))
        if count:
            world.binding_counts.load((network_id, host), count)


async def _load_all_attachments(tx: Transaction, world: World, network_ids: set[str]) -> None:
    sql = "SELECT body FROM attachment WHERE network_id = ANY($1)"
    for (body,) in await _select(tx, sql, network_ids):
        attachment = _attachment(body)
        world.attachments.load((attachment.network_id, attachment.host), attachment)


async def _load_macs(tx: Transaction, world: World, keys: set[tuple[str, str]]) -> None:
    by, columns = ("network_id", "mac_address"), ("network_id", "mac_address", "id")
    for network_id, mac, port_id in await tx.find(schema.port, columns, list(keys), by=by):
        world.macs.load((network_id, mac), port_id)


async def _load_former_macs(tx: Transaction, world: World, keys: set[tuple[str, str]]) -> None:
    columns = ("network_id", "mac_address", "project_id", "port_id", "rests_until")
    found = await tx.find(schema.former_mac, columns, list(keys))
    for network_id, mac, project_id, port_id, rests_until in found:
        former = FormerMac(
            network_id=network_id,
            mac_address=mac,
            project_id=project_id,
            port_id=port_id,
            rests_until=rests_until,
        )
        world.former_macs.load((network_id, mac), former)


def _remnant_macs(ports: Iterable[Port]) -> set[tuple[str, str]]:
    return {
        (port.network_id, mac)
        for port in ports
        for binding in port.bindings
        if binding.remnant
        for mac in binding.remnant.macs
    }


def _in_networks(world: World, of_ports: Iterable[tuple[str, T]]) -> set[tuple[str, T]]:
    """(port, wish) as (network, wish); those of missing ports are left out."""
    found = ((world.ports.get(port_id), wish) for port_id, wish in of_ports)
    return {(port.network_id, wish) for port, wish in found if port is not None}


def _addresses(world: World, needs: Needs, macs: set[tuple[str, str]]) -> set[tuple[str, Address]]:
    """The (subnet, address) rows: those of the ports, those asked for by name or given by a MAC."""
    ports = list(world.ports.values())
    held = {ip for port in ports for ip in held_addresses(port)}
    wanted = {(ip.subnet_id, from_text(ip.ip_address)) for ip in held}
    for network_id, address in needs.addresses | _in_networks(world, needs.port_addresses):
        for subnet in world.subnets_of(network_id):
            if address in cidr_range(subnet.cidr):
                wanted.add((subnet.id, address))
    given = _given_by_macs(world, macs | {(port.network_id, port.mac_address) for port in ports})
    return wanted | given | gateways_of_interfaces(world, needs)


def _given_by_macs(world: World, macs: set[tuple[str, str]]) -> set[tuple[str, Address]]:
    slaac: dict[str, list[Subnet]] = {}
    for subnet in filter(is_slaac, world.subnets.values()):
        slaac.setdefault(subnet.network_id, []).append(subnet)
    if not slaac:
        return set()
    return {
        (subnet.id, from_text(eui64(subnet.cidr, mac)))
        for network_id, mac in macs
        for subnet in slaac.get(network_id, ())
    }


async def _load_allocations(tx: Transaction, world: World, keys: set[tuple[str, Address]]) -> None:
    columns = ("subnet_id", "address", "project_id", "port_id", "rests_until")
    wanted = [(subnet_id, to_key(address)) for subnet_id, address in keys]
    found = await tx.find(schema.allocation, columns, wanted)
    for subnet_id, key, project_id, port_id, rests_until in found:
        allocation = Allocation(
            subnet_id=subnet_id,
            address=from_key(key),
            project_id=project_id,
            port_id=port_id,
            rests_until=rests_until,
        )
        world.allocations.load((subnet_id, allocation.address), allocation)


def _gone(world: World, needs: Needs) -> list[Subnet]:
    """The subnets that may go in the batch."""
    if not (needs.deletes_subnets or needs.deleted_networks):
        return []
    named = needs.changed_subnets if needs.deletes_subnets else set()
    return [
        subnet
        for subnet in world.subnets.values()
        if subnet.id in named or subnet.network_id in needs.deleted_networks
    ]


async def _load_uses(tx: Transaction, world: World, network_ids: set[str]) -> None:
    """How many ports and addresses keep a network and its subnets from being deleted.

    Counted up to a bound that no batch can undercut (1,000 ports of 32 addresses, and the fences of
    some hundred hosts): whether there is any is what decides.
    """
    for network_id in network_ids:
        (ports,) = await tx.row(
            "SELECT count(*) FROM (SELECT 1 FROM port WHERE network_id = $1 LIMIT $2) AS counted",
            network_id,
            _USES_MAX,
        )
        world.port_counts.load(network_id, ports)
        for subnet in world.subnets_of(network_id):
            (uses,) = await tx.row(
                "SELECT count(*) FROM (SELECT 1 FROM allocation WHERE subnet_id = $1 "
                "AND port_id IS NOT NULL LIMIT $2) AS counted",
                subnet.id,
                _USES_MAX,
            )
            world.subnet_uses.load(subnet.id, uses)


async def _select(tx: Transaction, sql: str, keys: Iterable[Any]) -> Sequence[Row]:
    """Rows for a set of keys; no statement for an empty set."""
    wanted = list(keys)
    return await tx.rows(sql, wanted) if wanted else ()
