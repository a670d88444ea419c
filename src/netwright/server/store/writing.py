"""Writes what a batch has changed: rows, history and events, each table with one statement.

One event a changed resource, in the order topology, plain ones, networks, subnets, hosts,
attachments, ports, members of groups, so that a watcher knows a port's network before the port. The
events are also handed back, for the hub.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from netwright.db import statements
from netwright.db.transaction import Transaction
from netwright.ipam.addresses import Address, to_key
from netwright.model.resources import EVERYBODY, Network, Port, Subnet, Transition, VifType
from netwright.model.security import AddressGroup
from netwright.model.segments import NetworkSegment, segment_key
from netwright.model.sharing import is_external_to
from netwright.model.states import Event, PortState
from netwright.model.wire import Kind
from netwright.server.plain import PLAIN
from netwright.server.ports.lifecycle import due_at
from netwright.server.security import members
from netwright.server.store import schema
from netwright.server.store.claims import write_claims
from netwright.server.store.event_rows import EventRow
from netwright.server.store.leasing import forget_blocks, open_blocks
from netwright.server.store.outbox import write_notices
from netwright.server.store.overlay_writing import write_overlay
from netwright.server.store.plain import write_plain
from netwright.server.store.prefixes import write_gaps
from netwright.server.store.qos import write_policy_users
from netwright.server.store.quotas import write_usage
from netwright.server.store.security import write_memberships
from netwright.server.store.tags import write_tags
from netwright.server.world import World

_encode = msgspec.json.Encoder().encode


Draft = tuple[Kind, str, frozenset[str] | None, frozenset[str], bytes | None]
"""An event whose place in the log is not known yet."""


def drafts(world: World) -> list[Draft]:
    """The events of all changes: made ready, since others wait for the turn that writing takes."""
    return list(_drafts(world))


async def write(
    tx: Transaction, world: World, drafts: Sequence[Draft], last: int
) -> list[EventRow]:
    """Write all changes; returns the events, which follow the one at `last`. Raises KeyTaken."""
    events = [EventRow(seq, *draft) for seq, draft in enumerate(drafts, start=last + 1)]
    rows = [_event_row(event) for event in events]
    told = {row[_ID]: row for row in rows if row[_KIND] is Kind.PORT}
    await _write_networks(tx, world)
    await _write_subnets(tx, world)
    await _write_hosts(tx, world)
    await _write_topologies(tx, world)
    await write_plain(tx, world)
    await write_usage(tx, world)
    await write_tags(tx, world)
    await write_gaps(tx, world)
    await _write_allocations(tx, world)
    await _write_ports(tx, world, told)
    await write_claims(tx, world)
    await write_policy_users(tx, world)
    await write_memberships(tx, world)
    await _write_former_macs(tx, world)
    await _write_attachments(tx, world)
    await write_overlay(tx, world, last + len(events))
    await _write_transitions(tx, world)
    seqs = {port_id: row[_SEQ] for port_id, row in told.items()} if world.notices else {}
    await write_notices(tx, world.notices, seqs, world.now)
    await tx.insert(schema.event, rows)
    return events


_NOBODY: frozenset[str] = frozenset()
_SEQ, _KIND, _ID, _BODY = 0, 1, 2, 5  # of an event's row


def _drafts(world: World) -> Iterator[Draft]:
    for name, _, topology in world.topologies.changed():
        yield Kind.TOPOLOGY, name, _NOBODY, _NOBODY, _body(topology)
    for type_ in world.touched():
        kind = PLAIN[type_]
        if kind is None:
            continue
        for resource_id, _, value in world.of(type_).changed():
            hosts = None if kind is Kind.QOS_POLICY else _NOBODY  # every agent may have its ports
            yield kind, resource_id, hosts, _NOBODY, _body(value)
    for group_id, before_group, group in world.changes_of(AddressGroup):
        for subject, member in members.address_changes(group_id, before_group, group):
            yield Kind.GROUP_MEMBER, subject, _NOBODY, _NOBODY, _body(member)
    for network_id, _, network in world.networks.changed():
        hosts = _hosts_of_network(world, network_id, is_gone=network is None)
        yield Kind.NETWORK, network_id, hosts, _NOBODY, _body(network)
    for subnet_id, before, subnet in world.subnets.changed():
        known = subnet or before
        assert known is not None, "nothing has changed"
        hosts = _hosts_of_network(world, known.network_id, is_gone=subnet is None)
        yield Kind.SUBNET, subnet_id, hosts, _NOBODY, _body(subnet)
    for name, _, host in world.hosts.changed():
        yield Kind.HOST, name, frozenset({name}), _NOBODY, _body(host)
    yield from _attachment_drafts(world)
    yield from _port_drafts(world)


def _port_drafts(world: World) -> Iterator[Draft]:
    """Ports, then who came into a security group or left it."""
    for port_id, before_port, port in world.ports.changed():
        before_hosts = _hosts_of_port(before_port)
        hosts = _hosts_of_port(port)
        yield Kind.PORT, port_id, hosts, before_hosts - hosts, _body(port)
    for port_id, before_port, port in world.ports.changed():
        if not (port and port.bindings) and not (before_port and before_port.bindings):
            continue  # it was no member, and is none
        for group_id, member in members.changes(before_port, port):
            subject = members.id_of(port_id, group_id)
            yield Kind.GROUP_MEMBER, subject, _NOBODY, _NOBODY, _body(member)


def _attachment_drafts(world: World) -> Iterator[Draft]:
    """A new attachment brings its network and subnets into the host's view, its end takes them."""
    for (network_id, name), before, attachment in world.attachments.changed():
        host = frozenset({name})
        subject = f"{network_id}@{name}"
        network = world.networks.get(network_id)
        if attachment is not None and before is None and network is not None:
            yield Kind.NETWORK, network_id, host, _NOBODY, _body(network)
            for subnet in world.subnets_of(network_id):
                yield Kind.SUBNET, subnet.id, host, _NOBODY, _body(subnet)
        if attachment is not None:
            yield Kind.ATTACHMENT, subject, host, _NOBODY, _body(attachment)
        else:
            yield Kind.ATTACHMENT, subject, _NOBODY, host, None
            if network is not None:
                for subnet in world.subnets_of(network_id):
                    yield Kind.SUBNET, subnet.id, _NOBODY, host, _body(subnet)
                yield Kind.NETWORK, network_id, _NOBODY, host, _body(network)


def _hosts_of_port(port: Port | None) -> frozenset[str]:
    if port is None or not port.bindings:
        return _NOBODY
    return frozenset(binding.host for binding in port.bindings)


def _hosts_of_network(world: World, network_id: str, *, is_gone: bool) -> frozenset[str]:
    """Hosts with an attachment; all of a changed network's attachments are loaded.

    What is gone concerns also those whose attachment ended in this batch: they know it still.
    """
    hosts = {one.host for one in world.attachments.values() if one.network_id == network_id}
    if is_gone:
        ended = world.attachments.changed()
        hosts |= {host for (of_network, host), _, _ in ended if of_network == network_id}
    return frozenset(hosts)


def _body(value: msgspec.Struct | None) -> bytes | None:
    return None if value is None else _encode(value)


def _event_row(event: EventRow) -> tuple[Any, ...]:
    hosts = None if event.hosts is None else _words(event.hosts)
    body = None if event.body is None else event.body.decode()
    return (event.seq, event.kind, event.id, hosts, _words(event.left_hosts), body)


def _words(names: frozenset[str]) -> str:
    return " ".join(sorted(names)) if names else ""


async def _write_networks(tx: Transaction, world: World) -> None:
    if not world.networks.is_touched:
        return
    puts, gone, labels, relabelled, lost = [], [], [], [], []
    for network_id, before, network in world.networks.changed():
        if network is None:
            gone.append((network_id,))
        else:
            puts.append(network_row(network))
            lost += _lost_segments(world, before, network)
        had, has = before.labels if before else {}, network.labels if network else {}
        if had != has:
            relabelled.append((network_id,))
            labels += [(network_id, key, value) for key, value in has.items()]
    await tx.delete(schema.network, gone)
    await tx.delete(schema.segment, gone, by=("network_id",))
    await tx.delete(schema.segment, lost)
    await tx.upsert(schema.network, puts)
    await tx.delete(schema.network_label, relabelled, by=("network_id",))
    await tx.insert(schema.network_label, labels)


def _lost_segments(world: World, before: Network | None, now: Network) -> list[tuple[str]]:
    """Of a network that is made anew under its id: those rows of the former's that were not read.

    What was read is a plain row, and goes as such.
    """
    stay = {one.id for one in now.further_segments}
    known = world.of(NetworkSegment)
    return [
        (one.id,)
        for one in (before.further_segments if before is not None else ())
        if one.id not in stay and known.loaded(one.id) is None
    ]


async def _write_subnets(tx: Transaction, world: World) -> None:
    if not world.subnets.is_touched:
        return
    puts, gone, recut = [], [], []
    for subnet_id, before, subnet in world.subnets.changed():
        if subnet is None:
            gone.append((subnet_id,))
        else:
            puts.append(subnet_row(subnet))
        if before is None or subnet is None or before.allocation_pools != subnet.allocation_pools:
            recut.append(subnet_id)
    await tx.delete(schema.subnet, gone)
    await tx.upsert(schema.subnet, puts)
    # Other pools: which blocks are full is not known any more. Gone: what rests goes with it.
    await forget_blocks(tx, recut)
    await tx.delete(schema.allocation, gone, by=("subnet_id",))


async def _write_hosts(tx: Transaction, world: World) -> None:
    if not (world.hosts.is_touched or world.revocations.is_touched):
        return
    puts = [(name, _encode(host).decode()) for name, _, host in world.hosts.changed() if host]
    await tx.upsert(schema.host, puts)
    gone = sorted((name,) for name, _, host in world.hosts.changed() if host is None)
    await tx.delete(schema.host, gone)
    await tx.delete(schema.heard, gone)
    revoked = [(name, count) for name, _, count in world.revocations.changed()]
    await tx.upsert(schema.revocation, revoked)


async def _write_topologies(tx: Transaction, world: World) -> None:
    if not world.topologies.is_touched:
        return
    puts = [(name, _encode(one).decode()) for name, _, one in world.topologies.changed() if one]
    await tx.upsert(schema.topology, puts)


async def _write_allocations(tx: Transaction, world: World) -> None:
    if not world.allocations.is_touched:
        return
    # Only what the batch has read is changed: what rested may be another's by now (law 1).
    inserts, updates, deletes, reclaimed = [], [], [], []
    freed: dict[str, list[Address]] = {}
    for (subnet_id, address), before, now in world.allocations.changed():
        key = (subnet_id, to_key(address))
        if now is None and before is not None and before.port_id is None:
            reclaimed.append((*key, before.rests_until))
            freed.setdefault(subnet_id, []).append(address)
        elif now is None:
            deletes.append(key)
            freed.setdefault(subnet_id, []).append(address)
        elif before is None:
            inserts.append((*key, now.project_id, now.port_id, now.rests_until))
        elif before.port_id is None:
            reclaimed.append((*key, before.rests_until))
            inserts.append((*key, now.project_id, now.port_id, now.rests_until))
        else:
            updates.append((*key, now.project_id, now.port_id, now.rests_until))
    await tx.delete(schema.allocation, deletes)
    await tx.delete(schema.allocation, reclaimed, by=("subnet_id", "address", "rests_until"))
    await tx.update(schema.allocation, ("project_id", "port_id", "rests_until"), updates)
    await tx.insert(schema.allocation, inserts)
    for subnet_id, addresses in freed.items():
        subnet = world.subnets.get(subnet_id)
        if subnet is not None:
            await open_blocks(tx, subnet, addresses)


async def _write_ports(tx: Transaction, world: World, told: Mapping[str, tuple[Any, ...]]) -> None:
    """The ports as the rows of their events tell of them."""
    if not world.ports.is_touched:
        return
    inserts: list[tuple[Any, ...]] = []
    updates: list[tuple[Any, ...]] = []
    gone, bindings, unbound = [], [], []
    for port_id, before, port in world.ports.changed():
        if before is not None and (port is None or before.bindings != port.bindings):
            unbound.append((port_id,))
        if port is None:
            gone.append((port_id,))
            continue
        event = told[port_id]
        row = port_row(port, event[_SEQ], event[_BODY])
        if before is None:
            inserts.append(row)
        elif _keys(before) == _keys(port):
            updates.append(row)
        else:  # made anew, after all that goes has gone: a key may pass from port to port
            gone.append((port_id,))
            inserts.append(row)
        if before is None or before.bindings != port.bindings:
            bindings += [
                (port_id, each.host, port.network_id, each.state, due_at(each))
                for each in port.bindings
            ]
    await tx.delete(schema.port, gone)
    await tx.insert(schema.port, inserts)
    await tx.update(schema.port, _PORT_COLUMNS, updates)
    await tx.delete(schema.binding, unbound, by=("port_id",))
    await tx.insert(schema.binding, bindings)


async def _write_former_macs(tx: Transaction, world: World) -> None:
    if not world.former_macs.is_touched:
        return
    puts, gone = [], []
    for key, _, former in world.former_macs.changed():
        if former is None:
            gone.append(key)
        else:
            puts.append((*key, former.project_id, former.port_id, former.rests_until))
    await tx.delete(schema.former_mac, gone)
    await tx.upsert(schema.former_mac, puts)


async def _write_transitions(tx: Transaction, world: World) -> None:
    """The history's new entries; a port that has its fill loses as many of its oldest."""
    if not world.transitions:
        return
    rows = [
        (each.port_id, each.number, _ended_at(each), _encode(each).decode())
        for each in world.transitions
    ]
    await tx.insert(schema.transition, rows)
    kept = world.history_kept.per_port_max
    full = {one.port_id: one.number - kept for one in world.transitions if one.number > kept}
    if full:
        await tx.run(
            "DELETE FROM transition WHERE (port_id, number) IN (SELECT entry.port_id, entry.number "
            "FROM PAIRS($1) AS given JOIN transition AS entry "
            "ON entry.port_id = given.a AND entry.number <= CAST(given.b AS INTEGER))",
            list(full.items()),
        )


def _ended_at(transition: Transition) -> float | None:
    return transition.at if transition.event == Event.RESTED else None


async def _write_attachments(tx: Transaction, world: World) -> None:
    if not world.attachments.is_touched:
        return
    puts, gone = [], []
    for (network_id, host), _, attachment in world.attachments.changed():
        if attachment is None:
            gone.append((network_id, host))
        else:
            puts.append((network_id, host, _encode(attachment).decode()))
    await tx.delete(schema.attachment, gone)
    await tx.upsert(schema.attachment, puts)


def network_row(network: Network) -> tuple[Any, ...]:
    segment = network.segment
    is_external = is_external_to(network, EVERYBODY)  # to all; others are found by their policies
    return (
        network.id, network.project_id, network.name, network.description, segment.network_type,
        segment.physical_network, segment.segmentation_id, network.shared, network.admin_state_up,
        network.port_security_enabled, network.mtu, network.revision_number, network.created_at,
        network.updated_at, segment_key(segment), _encode(network).decode(), is_external,
    )  # fmt: skip


def subnet_row(subnet: Subnet) -> tuple[Any, ...]:
    return (
        subnet.id, subnet.project_id, subnet.network_id, subnet.name, subnet.description,
        subnet.cidr, subnet.ip_version, subnet.gateway_ip, subnet.enable_dhcp,
        subnet.ipv6_address_mode, subnet.ipv6_ra_mode, subnet.revision_number, subnet.created_at,
        subnet.updated_at, _encode(subnet).decode(), subnet.subnetpool_id, subnet.segment_id,
    )  # fmt: skip


_PORT_COLUMNS = statements.columns_of(schema.port)[1:]


def _keys(port: Port) -> tuple[str, str | None]:
    """What a port holds that no other may: its MAC, and, until it is deleted, its unique name."""
    return port.mac_address, None if port.state is PortState.RELEASING else port.unique_name


def port_row(port: Port, seq: int, body: str) -> tuple[Any, ...]:
    active = port.active_binding
    mac_address, unique_name = _keys(port)
    return (
        port.id, port.project_id, port.network_id, port.name, unique_name, port.description,
        mac_address, port.device_id, port.device_owner, port.admin_state_up,
        port.port_security_enabled, port.vnic_type, port.state, active.host if active else None,
        active.vif_type if active else VifType.UNBOUND, port.revision_number, port.created_at,
        port.updated_at, seq, body, port.ip_allocation,
    )  # fmt: skip
