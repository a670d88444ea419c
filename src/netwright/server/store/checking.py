"""Looks a database over: its version and sizes, and whether its rows agree with one another.

A port's body is the truth; allocations and binding rows are written from it. Both are read side by
side in the order of the ports' ids, a page at a time, on one snapshot.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NamedTuple

import msgspec

from netwright.db.transaction import Row, Transaction
from netwright.ipam.addresses import from_key, to_text
from netwright.model.resources import Port
from netwright.model.routing import (
    FLOATING_IP,
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    FloatingIp,
    Router,
)
from netwright.server.counted import COUNTED
from netwright.server.ports.giving_back import held_addresses
from netwright.server.ports.lifecycle import due_at
from netwright.server.security.members import groups_of
from netwright.server.store import schema
from netwright.server.store.claims import claim_row
from netwright.server.store.existing import existing, has_of, nothing_there, place_of
from netwright.server.store.quotas import count
from netwright.server.store.versions import reads_from, require_known, version_of

PAGE = 5_000
NAMED_MAX = 10


class Findings(NamedTuple):
    """`rows` by table. `wrong`: the first of what does not agree, in words; `wrong_count`: all."""

    version: str
    epoch: str
    rows: dict[str, int]
    wrong: list[str]
    wrong_count: int


class Page(NamedTuple):
    """Ports that follow one another, and all rows that say they belong to one of them."""

    ports: Sequence[Port]
    allocations: Sequence[Row]  # port_id, subnet_id, address
    bindings: Sequence[Row]  # port_id, host, state, due_at
    claims: Sequence[Row] = ()  # whole


async def check(url: str) -> Findings:
    """Raises SchemaMismatch, DatabaseNotFound, Unavailable."""
    async with existing(url) as database:
        return await database.read(lambda tx: _check(tx, url))


async def _check(tx: Transaction, url: str) -> Findings:
    version = await version_of(tx, has_of(url))
    if version is None:
        raise nothing_there(url)
    require_known(version, place_of(url), await reads_from(tx))
    (epoch,) = await tx.row("SELECT value FROM meta WHERE key = 'epoch'")
    rows = {}
    for table in schema.metadata.sorted_tables:
        (rows[table.name],) = await tx.row(f"SELECT count(*) FROM {table.name}")  # noqa: S608 - our names
    wrong: list[str] = []
    wrong_count = 0
    for found in [
        *[one async for one in _strays(tx)],
        *[one async for one in _miscounts(tx)],
        *await _wrong_interfaces(tx),
        *await _wrong_floating(tx),
    ]:
        wrong_count += 1
        wrong.append(found)
    memberships = 0
    async for page in _pages(tx):
        memberships += sum(len(groups_of(port)) for port in page.ports)
        for found in disagreements(page):
            wrong_count += 1
            if len(wrong) < NAMED_MAX:
                wrong.append(found)
    if memberships != rows["membership"]:
        wrong_count += 1
        wrong.append(
            f"ports say that they are {memberships} times in a security group,"
            f" and {rows['membership']} rows say so"
        )
    return Findings(version, epoch, rows, wrong[:NAMED_MAX], wrong_count)


_PARENTLESS = (
    ("port {0} is in network {1}, which is not there", "port", "id", "network_id", "network"),
    ("subnet {0} is in network {1}, which is not there", "subnet", "id", "network_id", "network"),
    ("segment {0} is of network {1}, which is not there", "segment", "id", "network_id", "network"),
    ("subnet {0} is on segment {1}, which is not there", "subnet", "id", "segment_id", "segment"),
    (
        "subnet {0} is of subnet pool {1}, which is not there",
        "subnet", "id", "subnetpool_id", "subnetpool",
    ),
    (
        "subnet pool {0} is in address scope {1}, which is not there",
        "subnetpool", "id", "address_scope_id", "address_scope",
    ),
    (
        "port {0} holds an address of subnet {1}, which is not there",
        "allocation", "port_id", "subnet_id", "subnet",
    ),
    (
        "port {0} is in security group {1}, which is not there",
        "membership", "port_id", "group_id", "security_group",
    ),
    (
        "security group {0} has port {1} in it, which is not there",
        "membership", "group_id", "port_id", "port",
    ),
    (
        "security group rule {0} is of group {1}, which is not there",
        "security_group_rule", "id", "security_group_id", "security_group",
    ),
)  # fmt: skip


async def _strays(tx: Transaction) -> AsyncIterator[str]:
    """Rows whose parent is not there: the first few of each kind."""
    for words, table, name, parent_id, parent in _PARENTLESS:
        strays = await tx.rows(
            f"SELECT it.{name}, it.{parent_id} FROM {table} AS it "  # noqa: S608 - our names
            f"LEFT JOIN {parent} AS parent ON parent.id = it.{parent_id} "
            f"WHERE it.{parent_id} IS NOT NULL AND parent.id IS NULL "
            f"ORDER BY 1, 2 LIMIT {NAMED_MAX}"
        )
        for stray in strays:
            yield words.format(*stray)


async def _miscounts(tx: Transaction) -> AsyncIterator[str]:
    """What quotas have counted otherwise than there is."""
    sql = "SELECT project_id, resource, used FROM quota_usage ORDER BY 1, 2"
    for project_id, resource, used in await tx.rows(sql):
        there = await count(tx, project_id, resource) if resource in COUNTED else used
        if there != used:
            yield f"project {project_id} has {there} {resource}, but its quota has {used} counted"


async def _wrong_interfaces(tx: Transaction) -> list[str]:
    """Interfaces and gateways that a router has and no port is, or in other subnets."""
    decode = msgspec.json.Decoder(Router).decode
    routers = [decode(body) for (body,) in await tx.rows("SELECT body FROM router ORDER BY id")]
    held = {
        (port.device_owner, port.device_id, port.id, ip.subnet_id, ip.ip_address)
        for port in await _ports_of(tx, ROUTER_INTERFACE, ROUTER_GATEWAY)
        for ip in port.fixed_ips
    }
    said = [
        (owner, router, each)
        for router in routers
        for owner, places in (
            (ROUTER_INTERFACE, router.interfaces),
            (ROUTER_GATEWAY, router.gateway.addresses if router.gateway else ()),
        )
        for each in places
    ]
    return [
        f"router {router.id} has {each.ip_address} of subnet {each.subnet_id} by port "
        f"{each.port_id}, which does not say so"
        for owner, router, each in said
        if (owner, router.id, each.port_id, each.subnet_id, each.ip_address) not in held
    ]


async def _wrong_floating(tx: Transaction) -> list[str]:
    """Floating IPs whose address no port holds for them, and those that lead to no port's."""
    decode = msgspec.json.Decoder(FloatingIp).decode
    floating = [decode(body) for (body,) in await tx.rows("SELECT body FROM floatingip ORDER BY 1")]
    held = {
        (port.device_id, port.id, ip.ip_address)
        for port in await _ports_of(tx, FLOATING_IP)
        for ip in port.fixed_ips
    }
    wrong = [
        f"floating IP {each.id} is {each.floating_ip_address}, which port {each.floating_port_id} "
        "does not hold for it"
        for each in floating
        if (each.id, each.floating_port_id, each.floating_ip_address) not in held
    ]
    rows = await tx.rows(
        "SELECT port.id, port.body FROM floatingip JOIN port ON port.id = floatingip.port_id"
    )
    ports = {id_: msgspec.json.decode(body, type=Port) for id_, body in rows}
    for each in floating:
        port = ports.get(each.port_id or "")
        addresses = () if port is None else tuple(ip.ip_address for ip in port.fixed_ips)
        if each.port_id is not None and each.fixed_ip_address not in addresses:
            wrong.append(
                f"floating IP {each.id} leads to {each.fixed_ip_address} of port {each.port_id}, "
                "which has no such address"
            )
    return wrong


async def _ports_of(tx: Transaction, *owners: str) -> list[Port]:
    """The ports whose device is one of these."""
    found: list[Port] = []
    for owner in owners:
        rows = await tx.rows("SELECT body FROM port WHERE device_owner = $1", owner)
        found += [msgspec.json.decode(body, type=Port) for (body,) in rows]
    return found


async def _pages(tx: Transaction) -> AsyncIterator[Page]:
    decode = msgspec.json.Decoder(Port).decode
    after: str | None = None
    more = True
    while more:
        low, given = ("", []) if after is None else (" AND {0} > $1", [after])
        found = await tx.rows(
            f"SELECT id, body FROM port WHERE 1 = 1{low.format('id')} "  # noqa: S608 - our names
            f"ORDER BY id LIMIT {PAGE}",
            *given,
        )
        more = len(found) == PAGE
        last = found[-1][0] if more else None
        high = f" AND {{0}} <= ${len(given) + 1}" if more else ""  # the last page takes the rest
        between = (low + high).format("port_id")
        bounds = [*given, last] if more else given
        allocations = await tx.rows(
            "SELECT port_id, subnet_id, address FROM allocation "  # noqa: S608 - our names
            f"WHERE port_id IS NOT NULL{between}",
            *bounds,
        )
        bindings = await tx.rows(
            f"SELECT port_id, host, state, due_at FROM binding WHERE 1 = 1{between}",  # noqa: S608 - our names
            *bounds,
        )
        claims = await tx.rows(
            f"SELECT * FROM container_claim WHERE 1 = 1{between}",  # noqa: S608 - our names
            *bounds,
        )
        yield Page([decode(body) for _, body in found], allocations, bindings, claims)
        after = last


def disagreements(page: Page) -> Iterator[str]:
    """What the ports' bodies and the rows about them say differently. Pure."""
    held: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for port_id, subnet_id, address in page.allocations:
        held[port_id].add((subnet_id, to_text(from_key(address))))
    bound: dict[str, set[Row]] = defaultdict(set)
    for port_id, *binding in page.bindings:
        bound[port_id].add(tuple(binding))
    for port in page.ports:
        said = {(ip.subnet_id, ip.ip_address) for ip in held_addresses(port)}
        rows = held.pop(port.id, set())
        for subnet_id, address in sorted(said - rows):
            yield f"port {port.id} has {address} of subnet {subnet_id}, but no allocation says so"
        for subnet_id, address in sorted(rows - said):
            yield f"{address} of subnet {subnet_id} is allocated to port {port.id}, which lacks it"
        if bound.pop(port.id, set()) != {(b.host, b.state, due_at(b)) for b in port.bindings}:
            hosts = ", ".join(sorted(b.host for b in port.bindings)) or "none"
            yield f"port {port.id} has other bindings (hosts: {hosts}) than its binding rows"
    for port_id, addresses in sorted(held.items()):
        named = ", ".join(sorted(address for _, address in addresses))
        yield f"{named} is allocated to port {port_id}, which is not there"
    for port_id in sorted(bound):
        yield f"binding rows name port {port_id}, which is not there"
    yield from _miskept(page)


def _miskept(page: Page) -> Iterator[str]:
    claimed = {claim[0]: tuple(claim) for claim in page.claims}
    for port in page.ports:
        if claimed.pop(port.id, None) != claim_row(port):
            yield f"port {port.id} is kept otherwise than its row in container_claim says"
    for port_id in sorted(claimed):
        yield f"a claim's row names port {port_id}, which is not there"
