"""Decisions about the interfaces of routers: ports that are on no host.

An interface is a port whose device is the router. Made for a subnet, it has the gateway's address;
made of a port, that port's. The router's own list of interfaces is what counts.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from netwright.ipam.addresses import cidr_range, from_text
from netwright.ipam.prefixes import overlap
from netwright.model.errors import BadRequest, PortNotFound, SubnetNotFound
from netwright.model.resources import Network, Port, Subnet
from netwright.model.routing import ROUTER_INTERFACE, Router, RouterInterface
from netwright.model.routing_errors import (
    PortBound,
    PortInUse,
    RouterInterfaceInUseByFloatingIP,
    RouterInterfaceInUseByRoute,
    RouterInterfaceNotFound,
    RouterInterfaceNotFoundForSubnet,
    SubnetMismatchForPort,
)
from netwright.model.sharing import is_shared_with
from netwright.model.states import PortState
from netwright.server.commands import AddressWish, Caller, CreatePorts, PortChange, PortDraft
from netwright.server.floating.known import of_router
from netwright.server.network_segments.reach import require_own_segment
from netwright.server.overlay.transit import with_transit
from netwright.server.ports import decisions as ports
from netwright.server.ports.lifecycle import ADMIN_DOWN_CAUSE
from netwright.server.routers import leads_over, owned, touched
from netwright.server.routing_commands import AddInterface, InterfaceChanged, RemoveInterface
from netwright.server.world import World


def add(world: World, command: AddInterface) -> InterfaceChanged:
    router = owned(world, command.caller, command.router_id)
    if command.port_id is not None:
        port, subnets = _take_port(world, command.caller, router, command.port_id)
    else:
        subnet = _subnet(world, command.caller, str(command.subnet_id))
        _check_subnets(router, [subnet])
        port, subnets = _enter(world, router, subnet, command.new_port_id), [subnet]
    addresses = {ip.subnet_id: ip.ip_address for ip in port.fixed_ips}
    new = tuple(
        RouterInterface(
            port_id=port.id,
            network_id=port.network_id,
            subnet_id=subnet.id,
            ip_address=addresses[subnet.id],
            cidr=subnet.cidr,
            mac_address=port.mac_address,
        )
        for subnet in subnets
    )
    router = replace(router, interfaces=(*router.interfaces, *new))
    touched(world, with_transit(world, router))
    return _changed(router, port, new)


def remove(world: World, command: RemoveInterface) -> InterfaceChanged:
    router = owned(world, command.caller, command.router_id)
    gone = _named(router, command)
    for each in gone:
        for route in router.routes:
            if leads_over(route, each.cidr):
                raise RouterInterfaceInUseByRoute(
                    f"Router interface for subnet {each.subnet_id} on router {router.id} cannot be "
                    f"deleted, as it is required by one or more routes ({route.destination} via "
                    f"{route.nexthop}).",
                    next="take the route away first: openstack router unset --route",
                )
    _require_no_floating(world, router, gone)
    port = world.ports.get(gone[0].port_id)
    if port is None:
        raise RouterInterfaceNotFound(_no_interface(router, gone[0].port_id))
    rest = tuple(each for each in router.interfaces if each not in gone)
    touched(world, replace(router, interfaces=rest))
    if any(each.port_id == port.id for each in rest):
        _leave(world, port, gone)
    else:
        ports.remove(world, port, actor=f"router {router.id}")
    return _changed(router, port, gone)


def activate(world: World, port_id: str, router_id: str) -> None:
    """An interface that was attached by an older server, as it is to be since."""
    port, router = world.ports.get(port_id), world.of(Router).get(router_id)
    if port is None or router is None or port.state is not PortState.ALLOCATED:
        return
    if any(each.port_id == port_id for each in router.interfaces):
        _attached(world, replace(port, revision_number=port.revision_number + 1), router)


def _require_no_floating(world: World, router: Router, gone: Sequence[RouterInterface]) -> None:
    """Raises RouterInterfaceInUseByFloatingIP when one leads to a port over the interface."""
    for floating in of_router(world, router.id):
        address = from_text(str(floating.fixed_ip_address))
        for each in gone:
            if address in cidr_range(each.cidr):
                raise RouterInterfaceInUseByFloatingIP(
                    f"Router interface for subnet {each.subnet_id} on router {router.id} cannot "
                    "be deleted, as it is required by one or more floating IPs "
                    f"({floating.floating_ip_address}).",
                    next="take it off its port first: openstack floating ip unset --port "
                    f"{floating.id}",
                )


def _take_port(
    world: World, caller: Caller, router: Router, port_id: str
) -> tuple[Port, list[Subnet]]:
    """Make the port the router's."""
    port = world.ports.get(port_id)
    if port is None or port.state is PortState.RELEASING or not caller.may_touch(port.project_id):
        raise PortNotFound(f"Port {port_id} could not be found.")
    _check_free(port)
    require_own_segment(world, ROUTER_INTERFACE, port.fixed_ips)
    subnets = [_of_port(world, ip.subnet_id) for ip in port.fixed_ips]
    _check_addresses(router, port, subnets)
    _check_subnets(router, subnets)
    _check_range(caller, port, subnets)
    port = replace(
        port,
        port_security_enabled=False,
        security_groups=(),
        allowed_address_pairs=(),
        revision_number=port.revision_number + 1,
    )
    return _attached(world, port, router), subnets


def _check_free(port: Port) -> None:
    if port.device_id or port.device_owner not in {"", ROUTER_INTERFACE}:
        raise PortInUse(
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port "
            f"already has an attached device {port.device_id or port.device_owner}.",
            next="name another port, or a subnet to have one made",
        )
    if port.bindings:
        hosts = ", ".join(binding.host for binding in port.bindings)
        raise PortBound(
            f"Unable to complete operation on port {port.id}, port is already bound ({hosts}).",
            next="unbind it first, and wait until its host has confirmed",
        )
    if not port.fixed_ips:
        raise _bad("Router port must have at least one fixed IP", "give the port an address")


def _check_addresses(router: Router, port: Port, subnets: Sequence[Subnet]) -> None:
    """One subnet of IPv4 a port; one port with IPv6 a network."""
    if sum(subnet.ip_version == 4 for subnet in subnets) > 1:  # noqa: PLR2004
        raise _bad("Cannot have multiple IPv4 subnets on router port", "make a port for each")
    if len({subnet.id for subnet in subnets}) < len(subnets):
        raise _bad(
            f"Port {port.id} has two addresses in one subnet", "a router has one in a subnet"
        )
    existing = _ipv6_port(router, port.network_id)
    if existing is not None and any(subnet.ip_version == 6 for subnet in subnets):  # noqa: PLR2004
        raise _bad(
            "Cannot have multiple router ports with the same network id if both contain IPv6 "
            f"subnets. Existing port {existing} has IPv6 subnet(s) and network id "
            f"{port.network_id}",
            "name the subnet instead, to have its address added to that port",
        )


def _check_range(caller: Caller, port: Port, subnets: Sequence[Subnet]) -> None:
    """Who does not own a subnet has only what its pools give in it."""
    for subnet, ip in zip(subnets, port.fixed_ips, strict=True):
        address = from_text(ip.ip_address)
        in_pools = any(
            from_text(pool.start) <= address <= from_text(pool.end)
            for pool in subnet.allocation_pools
        )
        if not (in_pools or caller.may_touch(subnet.project_id)):
            raise _bad(
                f"Cannot add interface to router because specified port {port.id} has an IP "
                f"address out of the allocation pool of subnet {subnet.id}, which is not owned by "
                "the project making the request",
                "give the port another address",
            )


def _subnet(world: World, caller: Caller, subnet_id: str) -> Subnet:
    """The subnet, if a router of the caller's may have its gateway's address."""
    subnet = world.subnets.get(subnet_id)
    network = world.networks.get(subnet.network_id) if subnet is not None else None
    if subnet is None or not _may_see(caller, subnet, network):
        raise SubnetNotFound(f"Subnet {subnet_id} could not be found.")
    if subnet.gateway_ip is None:
        raise _bad(
            f"Subnet for router interface must have a gateway IP, and {subnet.id} has none",
            "set its gateway_ip, or add a port of the subnet",
        )
    if not caller.may_touch(subnet.project_id):
        raise _bad(
            f"Cannot add interface to router because subnet {subnet.id} is not owned by project "
            "making the request",
            "add a port of the subnet",
        )
    if subnet.ipv6_ra_mode is None and subnet.ipv6_address_mode is not None:
        raise _bad(
            f"IPv6 subnet {subnet.id} configured to receive RAs from an external router cannot be "
            "added to Neutron Router",
            "use a subnet with ipv6_ra_mode",
        )
    return subnet


def _may_see(caller: Caller, subnet: Subnet, network: Network | None) -> bool:
    is_shared = network is not None and is_shared_with(network, caller.project_id)
    return is_shared or caller.may_touch(subnet.project_id)


def _check_subnets(router: Router, subnets: Sequence[Subnet]) -> None:
    """Raises BadRequest for a subnet that the router has, and one that overlaps with one it has."""
    for subnet in subnets:
        outside = () if router.gateway is None else router.gateway.addresses
        for each in (*router.interfaces, *outside):
            if each.subnet_id == subnet.id:
                raise _bad(f"Router already has a port on subnet {subnet.id}", "it is there")
            if overlap(cidr_range(each.cidr), cidr_range(subnet.cidr)):
                raise _bad(
                    f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {each.cidr} of "
                    f"subnet {each.subnet_id}",
                    "add it to another router",
                )


def _enter(world: World, router: Router, subnet: Subnet, new_port_id: str) -> Port:
    """The port that has the gateway's address: the router's in the network for IPv6, or a new one.

    What the caller may do was decided, so that it is done as an administrator would.
    """
    caller = Caller(project_id=router.project_id, is_admin=True)
    wish = AddressWish(subnet_id=subnet.id, ip_address=subnet.gateway_ip)
    existing = _ipv6_port(router, subnet.network_id) if subnet.ip_version == 6 else None  # noqa: PLR2004
    port = world.ports.get(existing) if existing is not None else None
    if port is not None:
        return ports.change(world, caller, PortChange(id=port.id, fixed_ips=(*_wishes(port), wish)))
    draft = PortDraft(
        id=new_port_id,
        project_id=router.project_id,
        network_id=subnet.network_id,
        device_id=router.id,
        device_owner=ROUTER_INTERFACE,
        fixed_ips=(wish,),
        port_security_enabled=False,
    )
    (port,) = ports.create(world, CreatePorts(caller=caller, drafts=(draft,)))
    return _attached(world, replace(port, security_groups=()), router)


def _attached(world: World, port: Port, router: Router) -> Port:
    """The port as an interface is, which is at once what it is to be: no event leads there."""
    port = replace(
        port,
        device_id=router.id,
        device_owner=ROUTER_INTERFACE,
        state=PortState.ACTIVE if port.admin_state_up else PortState.DEGRADED,
        state_since=world.now,
        cause="" if port.admin_state_up else ADMIN_DOWN_CAUSE,
        updated_at=world.now,
    )
    world.ports.put(port.id, port)
    return port


def _leave(world: World, port: Port, gone: Sequence[RouterInterface]) -> None:
    """The port of several IPv6 subnets without these."""
    left = {each.subnet_id for each in gone}
    kept = tuple(wish for wish in _wishes(port) if wish.subnet_id not in left)
    caller = Caller(project_id=port.project_id, is_admin=True)
    ports.change(world, caller, PortChange(id=port.id, fixed_ips=kept))


def _wishes(port: Port) -> tuple[AddressWish, ...]:
    return tuple(
        AddressWish(subnet_id=ip.subnet_id, ip_address=ip.ip_address) for ip in port.fixed_ips
    )


def _named(router: Router, command: RemoveInterface) -> tuple[RouterInterface, ...]:
    """The interfaces that are to go."""
    if command.port_id is None:
        found = tuple(each for each in router.interfaces if each.subnet_id == command.subnet_id)
        if not found:
            raise RouterInterfaceNotFoundForSubnet(
                f"Router {router.id} has no interface on subnet {command.subnet_id}."
            )
        return found
    found = tuple(each for each in router.interfaces if each.port_id == command.port_id)
    if not found:
        raise RouterInterfaceNotFound(_no_interface(router, command.port_id))
    if command.subnet_id not in {None, *(each.subnet_id for each in found)}:
        raise SubnetMismatchForPort(
            f"Subnet on port {command.port_id} does not match the requested subnet "
            f"{command.subnet_id}.",
            next="name the port or the subnet alone",
        )
    return found


def _ipv6_port(router: Router, network_id: str) -> str | None:
    """The router's port with IPv6 in a network."""
    for each in router.interfaces:
        if each.network_id == network_id and ":" in each.ip_address:
            return each.port_id
    return None


def _of_port(world: World, subnet_id: str) -> Subnet:
    subnet = world.subnets.get(subnet_id)
    if subnet is None:
        raise SubnetNotFound(f"Subnet {subnet_id} could not be found.")
    return subnet


def _changed(router: Router, port: Port, interfaces: Sequence[RouterInterface]) -> InterfaceChanged:
    return InterfaceChanged(
        router_id=router.id,
        project_id=port.project_id,
        port_id=port.id,
        network_id=port.network_id,
        subnet_ids=tuple(each.subnet_id for each in interfaces),
    )


def _no_interface(router: Router, port_id: str) -> str:
    return f"Router {router.id} does not have an interface with id {port_id}."


def _bad(reason: str, what_next: str) -> BadRequest:
    return BadRequest(f"Bad router request: {reason}.", next=what_next)
