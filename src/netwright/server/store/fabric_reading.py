"""Reads what operators are shown of the fabric: switches, links, what leaves hold."""

from collections.abc import Sequence

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.fabric import LeafLink, SwitchState
from netwright.model.resources import Host
from netwright.model.routing import Router
from netwright.model.topology import Topology
from netwright.server.overlay.capacity import Usage, limits_of, room_of
from netwright.server.overlay.inventory import Inventory
from netwright.server.overlay.room import Room
from netwright.server.queries import FabricLinks, FabricSwitches

_topology = msgspec.json.Decoder(Topology).decode
_state = msgspec.json.Decoder(SwitchState).decode
_link = msgspec.json.Decoder(LeafLink).decode
_host = msgspec.json.Decoder(Host).decode
_router = msgspec.json.Decoder(Router).decode

_PORTS = (  # a refused binding brings nothing to any leaf
    "SELECT b.network_id, count(DISTINCT b.port_id) FROM binding AS b JOIN network AS n "
    "ON n.id = b.network_id AND n.network_type = 'vxlan' WHERE b.state <> 'refused' "
)
_ADDRESSES = (
    "SELECT b.network_id, count(DISTINCT a.address) FROM binding AS b JOIN network AS n "
    "ON n.id = b.network_id AND n.network_type = 'vxlan' JOIN allocation AS a "
    "ON a.port_id = b.port_id WHERE b.state <> 'refused' "
)
_OF_EACH = "GROUP BY b.network_id"
_OF_THESE = "AND b.network_id = ANY($1) "
_AT_ONCE = 500
"""Networks whose ports one statement counts: it must end in time, however many there are."""

_ATTACHED = (
    "SELECT a.network_id, a.host FROM attachment AS a JOIN network AS n "
    "ON n.id = a.network_id AND n.network_type = 'vxlan'"
)


async def links(tx: Transaction) -> FabricLinks:
    """One consistent view, with three statements."""
    hosts = [_host(body) for (body,) in await tx.rows("SELECT body FROM host")]
    rows = await tx.rows("SELECT id, body FROM leaf_link")
    return FabricLinks(await _inventory(tx), hosts, {id_: _link(body) for id_, body in rows})


async def switches(tx: Transaction) -> FabricSwitches:
    """One consistent view, with a statement for each part, however much there is."""
    rows = await tx.rows("SELECT id, body FROM switch_state")
    states = {name: _state(body) for name, body in rows}
    return FabricSwitches(await _inventory(tx), states, await _usage(tx))


async def room(tx: Transaction) -> Room | None:
    """What leaves have left of what is counted; None: no leaf says what it can hold."""
    inventory = Inventory(await _inventory(tx))
    limits = limits_of(inventory).values()
    if not limits:
        return None
    usage = await _placed(tx)
    networks = sorted({network_id for network_id, _ in (*usage.attached, *usage.access)})
    ports, addresses = dict[str, int](), dict[str, int]()
    for start in range(0, len(networks), _AT_ONCE):
        these = networks[start : start + _AT_ONCE]
        ports |= await _counted(tx, _PORTS, these)
        if any(each.arp_entries is not None for each in limits):  # most of the work
            addresses |= await _counted(tx, _ADDRESSES, these)
    return room_of(inventory, usage._replace(ports=ports, addresses=addresses))


async def _usage(tx: Transaction) -> Usage:
    return (await _placed(tx))._replace(
        ports=await _counted(tx, _PORTS), addresses=await _counted(tx, _ADDRESSES)
    )


async def _placed(tx: Transaction) -> Usage:
    """Which networks are where, nothing counted yet."""
    return Usage(
        attached=[(network_id, host) for network_id, host in await tx.rows(_ATTACHED)],
        access=[tuple(row) for row in await tx.rows("SELECT network_id, switch FROM access_port")],
        ports={},
        addresses={},
        routers=[_router(body) for (body,) in await tx.rows("SELECT body FROM router")],
    )


async def _counted(
    tx: Transaction, what: str, networks: Sequence[str] | None = None
) -> dict[str, int]:
    """By network, of all or of these."""
    if networks is None:
        rows = await tx.rows(what + _OF_EACH)
    else:
        rows = await tx.rows(what + _OF_THESE + _OF_EACH, list(networks))
    return {network_id: int(count) for network_id, count in rows}


async def _inventory(tx: Transaction) -> Topology:
    rows = await tx.rows("SELECT body FROM topology")
    return _topology(rows[0][0]) if rows else Topology()
