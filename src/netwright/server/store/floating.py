"""Finds what decisions about gateways and floating IPs need: those of ports and routers, and ports.

What holds outer addresses is a port of no project; a router or a floating IP names it.
"""

from collections.abc import Iterable

import msgspec

from netwright.db.transaction import Transaction
from netwright.model.routing import (
    FLOATING_IP,
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    FloatingIp,
    Router,
)
from netwright.server.needs import Needs
from netwright.server.store.plain import load_of
from netwright.server.world import World

_floating = msgspec.json.Decoder(FloatingIp).decode


def holding_ports(world: World, needs: Needs) -> set[str]:
    """The ports of gateways and floating IPs that change or go."""
    routers = (world.of(Router).loaded(id_) for id_ in needs.changed_gateways)
    found = {each.gateway.port_id for each in routers if each is not None and each.gateway}
    floating = (world.of(FloatingIp).loaded(id_) for id_ in needs.deleted_floating)
    return found | {each.floating_port_id for each in floating if each is not None}


async def load_floating(tx: Transaction, world: World, needs: Needs) -> None:
    """Once ports are loaded: the floating IPs of those that may go, and what else is asked for."""
    ports = set(needs.floating_ports)
    if needs.deletes or needs.floating_routers:
        ports.update(port.id for port in world.ports.values())
    routers = {id_: world.of(Router).loaded(id_) for id_ in needs.floating_routers}
    led_in = {id_ for id_, router in routers.items() if router is not None and router.gateway}
    await load_floating_of(tx, world, ports, led_in)
    world.floating.of_routers |= routers.keys()  # without a gateway there are none
    await _load_holders(tx, world)
    await _load_routers_to(tx, world, needs.floating_targets)
    await _count_outside(tx, world, needs.internal_networks)


async def load_floating_of(
    tx: Transaction, world: World, ports: Iterable[str], routers: Iterable[str]
) -> None:
    """All floating IPs of these ports and routers."""
    known = world.floating
    of_ports, of_routers = set(ports) - known.of_ports, set(routers) - known.of_routers
    for column, wanted in (("port_id", of_ports), ("router_id", of_routers)):
        if wanted:
            sql = f"SELECT body FROM floatingip WHERE {column} = ANY($1)"  # noqa: S608 - our names
            for (body,) in await tx.rows(sql, list(wanted)):
                floating = _floating(body)
                world.of(FloatingIp).load(floating.id, floating)
    known.of_ports |= of_ports
    known.of_routers |= of_routers


async def _load_holders(tx: Transaction, world: World) -> None:
    """Who has the ports that say to be a gateway's, or a floating IP's."""
    ports = list(world.ports.values())
    routers = {port.device_id for port in ports if port.device_owner == ROUTER_GATEWAY}
    floating = {port.device_id for port in ports if port.device_owner == FLOATING_IP}
    await load_of(tx, world, Router, routers)
    await load_of(tx, world, FloatingIp, floating)


async def _load_routers_to(tx: Transaction, world: World, port_ids: Iterable[str]) -> None:
    """All routers with interfaces in these ports' networks."""
    ports = (world.ports.get(id_) for id_ in port_ids)
    networks = {port.network_id for port in ports if port is not None}
    if not networks:
        return
    sql = (
        "SELECT device_id FROM port WHERE device_owner = $1 AND device_owner <> '' "
        "AND network_id = ANY($2)"
    )
    found = await tx.rows(sql, ROUTER_INTERFACE, list(networks))
    await load_of(tx, world, Router, {router_id for (router_id,) in found})
    world.floating.routed_networks |= networks


async def _count_outside(tx: Transaction, world: World, network_ids: Iterable[str]) -> None:
    """Whether gateways and floating IPs are in networks that are to be external no more."""
    for network_id in network_ids:
        sql = (
            "SELECT count(*) FROM (SELECT 1 FROM port WHERE network_id = $1 "
            "AND device_owner IN ($2, $3) LIMIT 1) AS counted"
        )
        (uses,) = await tx.row(sql, network_id, ROUTER_GATEWAY, FLOATING_IP)
        world.floating.external_uses.load(network_id, uses)
