"""What time brings about in the store."""

from collections.abc import Mapping, Sequence

import msgspec

from netwright.db.transaction import Transaction
from netwright.ipam.addresses import Address, from_key
from netwright.model.fabric import LEASE
from netwright.model.routing import ROUTER_INTERFACE
from netwright.model.states import PortState
from netwright.model.wire import CONTAINER_OWNER
from netwright.server.operation_work import OperationWork
from netwright.server.overlay.reporting import OVERLAY_DEADLINE_S
from netwright.server.store.events import prune
from netwright.server.store.leasing import open_blocks, renew_leases
from netwright.server.store.loading import subnets
from netwright.server.world import World

_OVERDUE_MAX = 500
_REFUSED_MAX = 200
_LATE_MAX = 100
_INTERFACES_MAX = 200
_ATTACHMENTS_MAX = 20
_RESTED_MAX = 2_000
_TRANSITIONS_MAX = 10_000
_OPERATIONS_MAX = 1_000

_work = msgspec.json.Decoder(OperationWork).decode


async def overdue_ports(tx: Transaction, now: float) -> tuple[str, ...]:
    """Ports with a binding whose deadline has passed."""
    rows = await tx.rows(
        "SELECT DISTINCT port_id FROM binding WHERE due_at <= $1 LIMIT $2", now, _OVERDUE_MAX
    )
    return tuple(port_id for (port_id,) in rows)


async def interfaces_that_are_down(tx: Transaction, after: str) -> tuple[tuple[str, str], ...]:
    """Ports said to be interfaces of routers, with these, that were never ACTIVE; by id."""
    rows = await tx.rows(
        "SELECT id, device_id FROM port WHERE device_owner = $1 AND device_owner <> '' "
        "AND state = $2 AND device_id <> '' AND id > $3 ORDER BY id LIMIT $4",
        ROUTER_INTERFACE,
        PortState.ALLOCATED,
        after,
        _INTERFACES_MAX,
    )
    return tuple((port_id, router_id) for port_id, router_id in rows)


async def overdue_attachments(tx: Transaction, now: float) -> tuple[tuple[str, str], ...]:
    """Attachments that a controller, which lives as long, has not brought up in time, some of them.

    A lease's token is the time at which its tenure began, or a little later.
    """
    rows = await tx.rows(
        "SELECT network_id, host FROM attachment_due WHERE due_at <= $1 AND EXISTS "
        "(SELECT 1 FROM lease WHERE name = $2 AND expires_at > $1 AND token <= $3) "
        "ORDER BY due_at LIMIT $4",
        now,
        LEASE,
        now - OVERLAY_DEADLINE_S,
        _ATTACHMENTS_MAX,
    )
    return tuple((network_id, host) for network_id, host in rows)


async def ports_left_behind(tx: Transaction, hosts: Sequence[str]) -> list[tuple[str, str]]:
    """Containers' ports of fabric networks that are withdrawn on these hosts, and bound elsewhere.

    As (port, host), by host.
    """
    rows = await tx.rows(
        "SELECT b.port_id, b.host FROM binding AS b JOIN port AS p ON p.id = b.port_id "
        "JOIN network AS n ON n.id = b.network_id WHERE b.host = ANY($1) "
        "AND b.state = 'withdrawing' AND p.device_owner = $2 AND p.host <> b.host "
        "AND n.network_type = 'vxlan' ORDER BY b.host, b.port_id",
        list(hosts),
        CONTAINER_OWNER,
    )
    return [(port_id, host) for port_id, host in rows]


async def late_operations(tx: Transaction, accepted_until: float) -> tuple[str, ...]:
    """Operations of the fabric's that were accepted by then and have not ended.

    They have no work of this server's to do.
    """
    rows = await tx.rows(
        "SELECT o.id FROM operation AS o LEFT JOIN operation_work AS work ON work.id = o.id "
        "WHERE o.finished_at IS NULL AND o.created_at <= $1 AND work.id IS NULL LIMIT $2",
        accepted_until,
        _LATE_MAX,
    )
    return tuple(operation_id for (operation_id,) in rows)


async def refused_ports(tx: Transaction, after: str) -> tuple[str, ...]:
    """Ports of fabric networks with a refused binding, by id after the one given, some of them."""
    rows = await tx.rows(
        "SELECT DISTINCT b.port_id FROM binding AS b JOIN network AS n ON n.id = b.network_id "
        "WHERE b.state = 'refused' AND b.port_id > $1 AND n.network_type = 'vxlan' "
        "ORDER BY b.port_id LIMIT $2",
        after,
        _REFUSED_MAX,
    )
    return tuple(port_id for (port_id,) in rows)


async def pending_operations(
    tx: Transaction, accepted_until: float, limit: int
) -> list[OperationWork]:
    """The work of operations that were accepted by then and have not ended, oldest first."""
    rows = await tx.rows(
        "SELECT work.body FROM operation AS o JOIN operation_work AS work ON work.id = o.id "
        "WHERE o.finished_at IS NULL AND o.created_at <= $1 ORDER BY o.created_at LIMIT $2",
        accepted_until,
        limit,
    )
    return [_work(body) for (body,) in rows]


async def old_operations(tx: Transaction, ended_until: float) -> tuple[str, ...]:
    """Operations that had ended by then."""
    rows = await tx.rows(
        "SELECT id FROM operation WHERE finished_at <= $1 ORDER BY finished_at LIMIT $2",
        ended_until,
        _OPERATIONS_MAX,
    )
    return tuple(operation_id for (operation_id,) in rows)


async def note_heard(tx: Transaction, heard: Mapping[str, float]) -> None:
    """Store when hosts were last heard. Nobody is told: to watchers it is no change."""
    if heard:
        await tx.run(
            "INSERT INTO heard (host, heard_at) SELECT a, CAST(b AS FLOAT) "
            "FROM PAIRS($1) AS given WHERE TRUE ON CONFLICT (host) DO UPDATE "
            "SET heard_at = excluded.heard_at WHERE heard.heard_at < excluded.heard_at",
            sorted(heard.items()),
        )


async def heard(tx: Transaction) -> dict[str, float]:
    """When hosts were last heard, by whichever process, as far as it is stored."""
    return dict(await tx.rows("SELECT host, heard_at FROM heard"))


async def chores(tx: Transaction, world: World, heard: Mapping[str, float]) -> None:
    """Free what has rested, renew leases in use, forget what is old, note when hosts were heard."""
    await note_heard(tx, heard)
    rows = await tx.rows(
        "DELETE FROM allocation WHERE (subnet_id, address) IN (SELECT subnet_id, address "
        "FROM allocation WHERE rests_until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED) "
        "RETURNING subnet_id, address",
        world.now,
        _RESTED_MAX,
    )
    freed: dict[str, list[Address]] = {}
    for subnet_id, key in rows:
        freed.setdefault(subnet_id, []).append(from_key(key))
    for subnet in await subnets(tx, freed):
        await open_blocks(tx, subnet, freed[subnet.id])
    await _forget_rested_macs(tx, world.now)
    await renew_leases(tx, world.ledger, world.now)
    await prune(tx)
    await _forget_histories(tx, world.now - world.history_kept.after_delete_s)


async def _forget_rested_macs(tx: Transaction, now: float) -> None:
    await tx.run(
        "DELETE FROM former_mac WHERE (network_id, mac_address) IN (SELECT network_id, mac_address "
        "FROM former_mac WHERE rests_until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
        now,
        _RESTED_MAX,
    )


async def _forget_histories(tx: Transaction, ended_until: float) -> None:
    """Forget the histories of ports that were gone by then, oldest first.

    A bounded number of entries at a time; that which says when the port went is its last.
    """
    await tx.run(
        "DELETE FROM transition WHERE (port_id, number) IN ("
        "SELECT entry.port_id, entry.number FROM transition AS final "
        "JOIN transition AS entry ON entry.port_id = final.port_id WHERE final.ended_at <= $1 "
        "ORDER BY final.ended_at, final.port_id, entry.number LIMIT $2)",
        ended_until,
        _TRANSITIONS_MAX,
    )
