"""Loads what a batch needs, with a fixed number of statements whatever its size."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from netwright.ipam.addresses import Address, cidr_range, from_text, to_key
from netwright.ipam.resting import Allocation, FormerMac
from netwright.model.resources import Attachment, Host, Network, Port, Subnet
from netwright.model.segments import segment_key
from netwright.model.states import PortState
from netwright.server.needs import Needs
from netwright.server.ports.addressing import eui64, is_slaac
from netwright.server.ports.giving_back import held_addresses
from netwright.server.store.schema import REVOCATIONS
from netwright.server.world import World

T = TypeVar("T")

_USES_MAX = 100_000

_networks = msgspec.json.Decoder(Network)
_subnets = msgspec.json.Decoder(Subnet)
_ports = msgspec.json.Decoder(Port)
_hosts = msgspec.json.Decoder(Host)
_attachments = msgspec.json.Decoder(Attachment)


def load(connection: sqlite3.Connection, world: World, needs: Needs) -> None:
    """Fill the world with what is needed. Runs in the batch's own transaction."""
    _load_ports(connection, world, needs)
    ports = list(world.ports.values())
    of_subnets = _networks_of_subnets(connection, needs.changed_subnets)
    changed = needs.changed_networks | of_subnets
    network_ids = changed | needs.networks | {port.network_id for port in ports}
    _load_networks(connection, world, network_ids)
    _load_subnets(connection, world, network_ids)
    _load_segments(connection, world, needs)
    hosts = needs.hosts | {binding.host for port in ports for binding in port.bindings}
    _load_hosts(connection, world, hosts)
    attachments = needs.attachments | {
        (port.network_id, host)
        for port in ports
        for host in {binding.host for binding in port.bindings} | needs.hosts
    }
    _load_attachments(connection, world, attachments)
    _load_all_attachments(connection, world, changed)
    macs = needs.macs | _in_networks(world, needs.port_macs)
    _load_macs(connection, world, macs)
    _load_former_macs(connection, world, macs | _remnant_macs(ports))
    _load_allocations(connection, world, _addresses(world, needs, macs))
    _load_revocations(connection, world, needs.revocations)
    used = needs.deleted_networks | (of_subnets if needs.deletes_subnets else set())
    _load_uses(connection, world, used)


def subnets(connection: sqlite3.Connection, ids: Iterable[str]) -> list[Subnet]:
    """The subnets with these ids that exist."""
    sql = "SELECT body FROM subnet WHERE id IN (SELECT value FROM json_each(?))"
    return [_subnets.decode(body) for (body,) in _select(connection, sql, ids)]


def _load_ports(connection: sqlite3.Connection, world: World, needs: Needs) -> None:
    ids = set(needs.ports)
    if needs.unique_names:
        found = _select(
            connection,
            "SELECT p.project_id, p.unique_name, p.id FROM json_each(?) AS wanted JOIN port AS p "
            "ON p.project_id = wanted.value ->> 0 AND p.unique_name = wanted.value ->> 1",
            list(needs.unique_names),
        )
        for project_id, name, port_id in found:
            world.unique_names.load((project_id, name), port_id)
            ids.add(port_id)
    if needs.ports_on:
        sql = "SELECT port_id FROM binding WHERE host IN (SELECT value FROM json_each(?))"
        ids.update(port_id for (port_id,) in _select(connection, sql, needs.ports_on))
    if needs.refused_on:
        sql = (
            "SELECT port_id FROM binding WHERE host IN (SELECT value FROM json_each(?)) "
            "AND state IN ('refused', 'fenced')"
        )
        ids.update(port_id for (port_id,) in _select(connection, sql, needs.refused_on))
    sql = "SELECT body, event_seq FROM port WHERE id IN (SELECT value FROM json_each(?))"
    for body, seq in _select(connection, sql, ids):
        port = _ports.decode(body)
        world.ports.load(port.id, port)
        world.port_seqs[port.id] = seq
        world.macs.load((port.network_id, port.mac_address), port.id)
        if port.unique_name is not None and port.state is not PortState.RELEASING:
            world.unique_names.load((port.project_id, port.unique_name), port.id)


def _networks_of_subnets(connection: sqlite3.Connection, ids: set[str]) -> set[str]:
    sql = "SELECT network_id FROM subnet WHERE id IN (SELECT value FROM json_each(?))"
    return {network_id for (network_id,) in _select(connection, sql, ids)}


def _load_networks(connection: sqlite3.Connection, world: World, ids: set[str]) -> None:
    sql = "SELECT body FROM network WHERE id IN (SELECT value FROM json_each(?))"
    for (body,) in _select(connection, sql, ids):
        network = _networks.decode(body)
        world.networks.load(network.id, network)
        world.segments.load(segment_key(network.segment), network.id)


def _load_subnets(connection: sqlite3.Connection, world: World, network_ids: set[str]) -> None:
    sql = "SELECT body FROM subnet WHERE network_id IN (SELECT value FROM json_each(?))"
    for (body,) in _select(connection, sql, network_ids):
        subnet = _subnets.decode(body)
        world.subnets.load(subnet.id, subnet)


def _load_segments(connection: sqlite3.Connection, world: World, needs: Needs) -> None:
    """Those asked about; all, when one is to be chosen: no more than there are VLANs."""
    if needs.every_segment:
        rows: Iterator[tuple[Any, ...]] = connection.execute("SELECT segment_key, id FROM network")
    else:
        sql = (
            "SELECT segment_key, id FROM network "
            "WHERE segment_key IN (SELECT value FROM json_each(?))"
        )
        rows = _select(connection, sql, needs.segments)
    for key, network_id in rows:
        world.segments.load(key, network_id)


def _load_hosts(connection: sqlite3.Connection, world: World, names: set[str]) -> None:
    sql = "SELECT body FROM host WHERE name IN (SELECT value FROM json_each(?))"
    for (body,) in _select(connection, sql, names):
        host = _hosts.decode(body)
        world.hosts.load(host.name, host)


def revocations(connection: sqlite3.Connection) -> dict[str, int]:
    """How often each host's credential was revoked; those never revoked are left out."""
    sql = "SELECT substr(key, ?), value FROM meta WHERE key GLOB ?"
    rows = connection.execute(sql, (len(REVOCATIONS) + 1, f"{REVOCATIONS}*"))
    return {name: int(count) for name, count in rows}


def _load_revocations(connection: sqlite3.Connection, world: World, names: set[str]) -> None:
    if names:
        for name, count in revocations(connection).items():
            world.revocations.load(name, count)


def _load_attachments(
    connection: sqlite3.Connection, world: World, keys: set[tuple[str, str]]
) -> None:
    sql = (
        "SELECT a.body FROM json_each(?) AS wanted JOIN attachment AS a "
        "ON a.network_id = wanted.value ->> 0 AND a.host = wanted.value ->> 1"
    )
    for (body,) in _select(connection, sql, keys):
        attachment = _attachments.decode(body)
        world.attachments.load((attachment.network_id, attachment.host), attachment)
    sql = (
        "SELECT b.network_id, b.host, count(*) FROM json_each(?) AS wanted JOIN binding AS b "
        "ON b.network_id = wanted.value ->> 0 AND b.host = wanted.value ->> 1 "
        "GROUP BY b.network_id, b.host"
    )
    for network_id, host, count in _select(connection, sql, keys):
        world.binding_counts.load((network_id, host), count)


def _load_all_attachments(
    connection: sqlite3.Connection, world: World, network_ids: set[str]
) -> None:
    sql = "SELECT body FROM attachment WHERE network_id IN (SELECT value FROM json_each(?))"
    for (body,) in _select(connection, sql, network_ids):
        attachment = _attachments.decode(body)
        world.attachments.load((attachment.network_id, attachment.host), attachment)


def _load_macs(connection: sqlite3.Connection, world: World, keys: set[tuple[str, str]]) -> None:
    sql = (
        "SELECT p.network_id, p.mac_address, p.id FROM json_each(?) AS wanted JOIN port AS p "
        "ON p.network_id = wanted.value ->> 0 AND p.mac_address = wanted.value ->> 1"
    )
    for network_id, mac, port_id in _select(connection, sql, keys):
        world.macs.load((network_id, mac), port_id)


def _load_former_macs(
    connection: sqlite3.Connection, world: World, keys: set[tuple[str, str]]
) -> None:
    sql = (
        "SELECT f.network_id, f.mac_address, f.project_id, f.port_id, f.rests_until "
        "FROM json_each(?) AS wanted JOIN former_mac AS f "
        "ON f.network_id = wanted.value ->> 0 AND f.mac_address = wanted.value ->> 1"
    )
    for network_id, mac, project_id, port_id, rests_until in _select(connection, sql, keys):
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
    slaac: dict[str, list[Subnet]] = {}
    for subnet in filter(is_slaac, world.subnets.values()):
        slaac.setdefault(subnet.network_id, []).append(subnet)
    if slaac:
        for network_id, mac in macs | {(port.network_id, port.mac_address) for port in ports}:
            for subnet in slaac.get(network_id, ()):
                wanted.add((subnet.id, from_text(eui64(subnet.cidr, mac))))
    return wanted


def _load_allocations(
    connection: sqlite3.Connection, world: World, keys: set[tuple[str, Address]]
) -> None:
    sql = (
        "SELECT project_id, port_id, rests_until FROM allocation "
        "WHERE subnet_id = ? AND address = ?"
    )
    for subnet_id, address in keys:
        row = connection.execute(sql, (subnet_id, to_key(address))).fetchone()
        if row is None:
            continue
        project_id, port_id, rests_until = row
        allocation = Allocation(
            subnet_id=subnet_id,
            address=address,
            project_id=project_id,
            port_id=port_id,
            rests_until=rests_until,
        )
        world.allocations.load((subnet_id, address), allocation)


def _load_uses(connection: sqlite3.Connection, world: World, network_ids: set[str]) -> None:
    """How many ports and addresses keep a network and its subnets from being deleted.

    Counted up to a bound that no batch can undercut (1,000 ports of 32 addresses, and the fences of
    some hundred hosts): whether there is any is what decides.
    """
    for network_id in network_ids:
        (ports,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM port WHERE network_id = ? LIMIT ?)",
            (network_id, _USES_MAX),
        ).fetchone()
        world.port_counts.load(network_id, ports)
        for subnet in world.subnets_of(network_id):
            (uses,) = connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM allocation WHERE subnet_id = ? "
                "AND port_id IS NOT NULL LIMIT ?)",
                (subnet.id, _USES_MAX),
            ).fetchone()
            world.subnet_uses.load(subnet.id, uses)


def _select(
    connection: sqlite3.Connection, sql: str, keys: Iterable[Any]
) -> Iterator[tuple[Any, ...]]:
    """Rows for a set of keys, passed as one JSON array; no statement for an empty set."""
    wanted = list(keys)
    if not wanted:
        return iter(())
    return connection.execute(sql, (msgspec.json.encode(wanted).decode(),))
