"""Decisions about routers' external gateways: a port of no project in an external network."""

from collections.abc import Iterable

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from netwright.ipam.addresses import cidr_range
from netwright.ipam.prefixes import overlap
from netwright.model.errors import BadRequest, NetworkNotFound
from netwright.model.resources import FixedIp, Network, Port, Subnet
from netwright.model.routing import Router, RouterGateway, RouterInterface
from netwright.model.routing_errors import RouterExternalGatewayInUseByFloatingIp
from netwright.model.sharing import is_external_to
from netwright.server.commands import AddressWish, Caller
from netwright.server.floating.holding import gateway_draft, give_up, hold, readdress
from netwright.server.floating.known import of_router
from netwright.server.routing_commands import GatewayWish
from netwright.server.sharing.keeping import may_use
from netwright.server.world import World


def with_gateway(world: World, caller: Caller, router: Router, wish: GatewayWish | None) -> Router:
    """The router with its gateway as it is wished for; None: without one."""
    if wish is None:
        return without_gateway(world, router)
    network = _external(world, caller, wish.network_id)
    _check_addresses(world, network, wish)
    standing = router.gateway
    if standing is not None and standing.network_id == network.id:
        gateway = replace(standing, enable_snat=_or(wish.enable_snat, standing.enable_snat))
        if wish.fixed_ips is not UNSET and not _has(standing, wish.fixed_ips):
            is_known = _is_known(router)
            port = readdress(world, standing.port_id, wish.fixed_ips, rests=is_known)
            gateway = replace(gateway, addresses=_addresses(world, port))
        return replace(router, gateway=gateway)
    router = without_gateway(world, router)
    _check_overlap(router, world.subnets_of(network.id))
    port = hold(world, gateway_draft(router.id, wish))
    gateway = RouterGateway(
        network_id=network.id,
        port_id=port.id,
        enable_snat=_or(wish.enable_snat, otherwise=True),
        addresses=_addresses(world, port),
    )
    return replace(router, gateway=gateway)


def without_gateway(world: World, router: Router) -> Router:
    """The router without its gateway. Raises RouterExternalGatewayInUseByFloatingIp."""
    gateway = router.gateway
    if gateway is None:
        return router
    floating = of_router(world, router.id)
    if floating:
        addresses = ", ".join(sorted(each.floating_ip_address for each in floating))
        raise RouterExternalGatewayInUseByFloatingIp(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external "
            f"network {gateway.network_id} is required by one or more floating IPs ({addresses}).",
            next="take them off their ports first: openstack floating ip unset --port",
        )
    give_up(world, gateway.port_id, f"router {router.id}", rests=_is_known(router))
    return replace(router, gateway=None)


def _is_known(router: Router) -> bool:
    """Whether a border may have had the gateway: it has had what it needs to lead out."""
    return router.vni is not None


def _or(wanted: bool | UnsetType, otherwise: bool) -> bool:  # noqa: FBT001 - a value, no switch
    return otherwise if wanted is UNSET else wanted


def _external(world: World, caller: Caller, network_id: str) -> Network:
    network = world.networks.get(network_id)
    is_usable = network is not None and may_use(caller, network)
    is_known = is_usable or (network is not None and is_external_to(network, caller.project_id))
    if network is not None and network.external and is_known:
        return network
    if network is None or not is_usable:
        raise NetworkNotFound(f"Network {network_id} could not be found.")
    raise _bad(
        f"Network {network_id} is not an external network",
        "choose one: openstack network list --external",
    )


def _check_addresses(world: World, network: Network, wish: GatewayWish) -> None:
    """Raises BadRequest for an address that the network's own gateway has."""
    wishes = () if wish.fixed_ips is UNSET else wish.fixed_ips
    gateways = {subnet.gateway_ip for subnet in world.subnets_of(network.id)}
    for each in wishes:
        if each.ip_address is not None and each.ip_address in gateways:
            raise _bad(
                f"External IP {each.ip_address} is the same as the gateway IP",
                "choose another address of the subnet",
            )


def _check_overlap(router: Router, subnets: Iterable[Subnet]) -> None:
    """Raises BadRequest for an external subnet that overlaps with one that the router is in."""
    for subnet in subnets:
        for each in router.interfaces:
            if overlap(cidr_range(each.cidr), cidr_range(subnet.cidr)):
                raise _bad(
                    f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {each.cidr} of "
                    f"subnet {each.subnet_id}",
                    "choose another external network",
                )


def _has(gateway: RouterGateway, wishes: tuple[AddressWish, ...]) -> bool:
    """Whether just these addresses are wished for."""
    has = {(each.subnet_id, each.ip_address) for each in gateway.addresses}
    return len(has) == len(wishes) and has == {(w.subnet_id, w.ip_address) for w in wishes}


def _addresses(world: World, port: Port) -> tuple[RouterInterface, ...]:
    return tuple(_address(world, port, fixed_ip) for fixed_ip in port.fixed_ips)


def _address(world: World, port: Port, fixed_ip: FixedIp) -> RouterInterface:
    subnet = world.subnets.get(fixed_ip.subnet_id)
    assert subnet is not None, f"subnet {fixed_ip.subnet_id} of port {port.id} was not loaded"
    return RouterInterface(
        port_id=port.id,
        network_id=port.network_id,
        subnet_id=subnet.id,
        ip_address=fixed_ip.ip_address,
        cidr=subnet.cidr,
        mac_address=port.mac_address,
    )


def _bad(reason: str, what_next: str) -> BadRequest:
    return BadRequest(f"Bad router request: {reason}.", next=what_next)
