"""Finds the ports, MACs and addresses that decisions about routers' interfaces need."""

from collections.abc import Iterable

import msgspec

from netwright.db.transaction import Transaction
from netwright.ipam.addresses import Address, cidr_range, from_text, to_key
from netwright.model.resources import Port, Subnet
from netwright.model.routing import ROUTER_INTERFACE, Router
from netwright.server.needs import Needs
from netwright.server.ports.macs import mac_candidates
from netwright.server.store import schema
from netwright.server.store.plain import load_of
from netwright.server.world import World

_subnet = msgspec.json.Decoder(Subnet).decode


async def ports_of_routers(tx: Transaction, world: World, needs: Needs) -> set[str]:
    """The ports to load: those that may get or lose an address, or that have a gateway's."""
    found: set[str] = set()
    for wish in needs.interfaces:
        router = world.of(Router).loaded(wish.router_id)
        for each in router.interfaces if router is not None else ():
            is_gone = wish.new_port_id is None and each.subnet_id == wish.subnet_id
            may_get = wish.new_port_id is not None and ":" in each.ip_address
            if is_gone or may_get:
                found.add(each.port_id)
    if needs.gateways:
        sql = "SELECT body FROM subnet WHERE id = ANY($1)"
        rows = await tx.rows(sql, list(needs.gateways))
        keys = [
            (subnet_id, to_key(address))
            for subnet_id, address in map(_gateway, (_subnet(body) for (body,) in rows))
            if address is not None
        ]
        holders = await tx.find(schema.allocation, ("port_id",), keys)
        found.update(port_id for (port_id,) in holders if port_id is not None)
    return found


async def load_routers_of(tx: Transaction, world: World, ports: Iterable[Port]) -> None:
    """The routers whose interfaces the ports say to be."""
    ids = {port.device_id for port in ports if port.device_owner == ROUTER_INTERFACE}
    if ids:
        await load_of(tx, world, Router, ids)


def subnets_of_interfaces(needs: Needs) -> set[str]:
    """The subnets that routers get interfaces in."""
    return {wish.subnet_id for wish in needs.interfaces if wish.new_port_id is not None}


def macs_of_interfaces(world: World, needs: Needs) -> set[tuple[str, str]]:
    """The first choice of each port that may be made."""
    found = ((world.subnets.get(wish.subnet_id), wish.new_port_id) for wish in needs.interfaces)
    return {
        (subnet.network_id, mac_candidates(new_port_id)[0])
        for subnet, new_port_id in found
        if subnet is not None and new_port_id is not None
    }


def gateways_of_interfaces(world: World, needs: Needs) -> set[tuple[str, Address]]:
    """The addresses that the ports may get."""
    subnets = (world.subnets.get(subnet_id) for subnet_id in subnets_of_interfaces(needs))
    found = (_gateway(subnet) for subnet in subnets if subnet is not None)
    return {(subnet_id, address) for subnet_id, address in found if address is not None}


def _gateway(subnet: Subnet) -> tuple[str, Address | None]:
    """Its address, where it is one of the subnet's own."""
    if subnet.gateway_ip is None:
        return subnet.id, None
    address = from_text(subnet.gateway_ip)
    return subnet.id, address if address in cidr_range(subnet.cidr) else None
