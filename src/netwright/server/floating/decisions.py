"""Decisions about floating IPs: addresses of external networks, and the ports they lead to.

    none ──create──▶ held ──associate──▶ associated ──delete──▶ none
                          ◀── disassociate; its port, or the port's address, goes

It is associated through the router that has an interface in the port's subnet and its gateway in
the floating IP's network; while it is, neither can be taken from that router.
"""

from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from netwright.ipam.resting import Exhausted
from netwright.model.errors import BadRequest, PortNotFound
from netwright.model.resources import FixedIp, Network, Port
from netwright.model.routing import FloatingIp, FloatingStatus, Router
from netwright.model.routing_errors import (
    ExternalGatewayForFloatingIPNotFound,
    ExternalIpAddressExhausted,
    FloatingIPNotFound,
    FloatingIPPortAlreadyAssociated,
)
from netwright.model.sharing import is_external_to
from netwright.model.states import PortState
from netwright.model.topology import SwitchKind
from netwright.server.commands import AddressWish, Caller
from netwright.server.each import each
from netwright.server.floating.holding import floating_draft, give_up, hold
from netwright.server.floating.known import disassociated, of_port, touched
from netwright.server.handed_over import require_free
from netwright.server.networks import check_revision
from netwright.server.ports.decisions import actor_of
from netwright.server.routing_commands import (
    CreateFloatingIps,
    DeleteFloatingIp,
    FloatingIpDraft,
    UpdateFloatingIp,
)
from netwright.server.sharing.keeping import may_use
from netwright.server.world import World

NO_DATA_PLANE = (
    "no border translates addresses: the inventory has none that is configured from here"
)
"""Why an associated floating IP is in error (law 11)."""

NOT_YET = "no border has confirmed that it translates the address"
"""Why it is down until the fabric controller has read it back."""


def create(world: World, command: CreateFloatingIps) -> tuple[FloatingIp, ...]:
    return each("floatingips", command.drafts, partial(_create, world, command.caller))


def update(world: World, command: UpdateFloatingIp) -> tuple[FloatingIp, ...]:
    floating = owned(world, command.caller, command.id)
    check_revision(floating.revision_number, command.if_match)
    after = floating
    if command.description is not UNSET:
        after = replace(after, description=command.description)
    if command.fixed_ip_address not in {UNSET, None} and command.port_id in {UNSET, None}:
        raise _bad("fixed_ip_address cannot be specified without a port_id", "name the port too")
    if command.port_id is None:
        after = disassociated(after)
    elif command.port_id is not UNSET:
        fixed = None if command.fixed_ip_address is UNSET else command.fixed_ip_address
        after = _associated(world, command.caller, after, command.port_id, fixed)
    return (floating if after == floating else touched(world, after),)


def delete(world: World, command: DeleteFloatingIp) -> tuple[()]:
    floating = owned(world, command.caller, command.id)
    check_revision(floating.revision_number, command.if_match)
    world.of(FloatingIp).put(floating.id, None)
    give_up(world, floating.floating_port_id, actor_of(command.caller), rests=floating.was_led)
    return ()


def owned(world: World, caller: Caller, floating_id: str) -> FloatingIp:
    """The floating IP, if it is the caller's; another project's does not exist for it."""
    floating = world.of(FloatingIp).get(floating_id)
    if floating is None or not caller.may_touch(floating.project_id):
        raise FloatingIPNotFound(f"Floating IP {floating_id} could not be found")
    return floating


def _may_float(caller: Caller, network: Network) -> bool:
    return may_use(caller, network) or is_external_to(network, caller.project_id)


def _create(world: World, caller: Caller, draft: FloatingIpDraft) -> FloatingIp:
    require_free(world.of(FloatingIp), "Floating IP", draft.id)
    network = world.networks.get(draft.floating_network_id)
    is_external = network is not None and network.external
    if network is None or not is_external or not _may_float(caller, network):
        raise _bad(
            f"Network {draft.floating_network_id} is not a valid external network",
            "choose one: openstack network list --external",
        )
    if draft.fixed_ip_address is not None and draft.port_id is None:
        raise _bad("fixed_ip_address cannot be specified without a port_id", "name the port too")
    port, address = _held(world, network, draft)
    floating = FloatingIp(
        id=draft.id,
        project_id=draft.project_id,
        floating_network_id=network.id,
        floating_ip_address=address,
        floating_port_id=port.id,
        dns_name=draft.dns_name,
        dns_domain=draft.dns_domain,
        description=draft.description,
        tags=draft.tags,
        revision_number=1,
        created_at=world.now,
        updated_at=world.now,
    )
    if draft.port_id is not None:
        fixed = draft.fixed_ip_address
        floating = _associated(world, caller, floating, draft.port_id, fixed)
    world.of(FloatingIp).put(floating.id, floating)
    return floating


def _held(world: World, network: Network, draft: FloatingIpDraft) -> tuple[Port, str]:
    """The port that holds the floating address, and the address, which is one of IPv4."""
    port_draft = floating_draft(draft)
    if port_draft.fixed_ips is not UNSET:
        port = hold(world, port_draft)
        return port, _ipv4(network, port.fixed_ips)
    subnets = [subnet for subnet in world.subnets_of(network.id) if subnet.ip_version == 4]  # noqa: PLR2004
    for subnet in subnets:
        try:
            with world.trial():
                wishes = (AddressWish(subnet_id=subnet.id),)
                port = hold(world, replace(port_draft, fixed_ips=wishes))
            return port, port.fixed_ips[0].ip_address
        except Exhausted:
            if subnet is subnets[-1]:
                raise
    raise _exhausted(network)


def _ipv4(network: Network, fixed_ips: tuple[FixedIp, ...]) -> str:
    for fixed_ip in fixed_ips:
        if ":" not in fixed_ip.ip_address:
            return fixed_ip.ip_address
    raise _exhausted(network)


def _associated(
    world: World, caller: Caller, floating: FloatingIp, port_id: str, fixed_ip: str | None
) -> FloatingIp:
    """The floating IP, leading to the port's address. Raises what is in the way of that."""
    port = world.ports.get(port_id)
    if port is None or port.state is PortState.RELEASING or not caller.may_touch(port.project_id):
        raise PortNotFound(f"Port {port_id} could not be found.")
    fixed = _fixed_ip(port, fixed_ip)
    _require_single(world, floating, port, fixed)
    led = (floating.port_id, floating.fixed_ip_address) == (port.id, fixed.ip_address)
    router = _router_to(world, floating, port, fixed)
    if led and floating.router_id == router.id:
        return floating
    has_border = _has_border(world)
    return replace(
        floating,
        port_id=port.id,
        fixed_ip_address=fixed.ip_address,
        router_id=router.id,
        status=FloatingStatus.DOWN if has_border else FloatingStatus.ERROR,
        cause=NOT_YET if has_border else NO_DATA_PLANE,
        was_led=floating.was_led or has_border,
    )


def _require_single(world: World, floating: FloatingIp, port: Port, fixed: FixedIp) -> None:
    """Raises FloatingIPPortAlreadyAssociated when the address has another of the same network."""
    place = (fixed.ip_address, floating.floating_network_id)
    for other in of_port(world, port.id):
        is_there = (other.fixed_ip_address, other.floating_network_id) == place
        if is_there and other.id != floating.id:
            raise FloatingIPPortAlreadyAssociated(
                f"Cannot associate floating IP {floating.floating_ip_address} ({floating.id}) "
                f"with port {port.id} using fixed IP {fixed.ip_address}, as that fixed IP already "
                f"has a floating IP on external network {floating.floating_network_id}.",
                next=f"take the other off it first: openstack floating ip list --port {port.id}",
            )


def _has_border(world: World) -> bool:
    """Whether the fabric controller has a border to translate addresses on."""
    inventory = world.fabric.inventory
    switches = () if inventory is None else inventory.topology.switches
    return any(each.kind is SwitchKind.BORDER and each.driver for each in switches)


def _fixed_ip(port: Port, wanted: str | None) -> FixedIp:
    """The address of the port that the floating one stands for."""
    own = [fixed_ip for fixed_ip in port.fixed_ips if ":" not in fixed_ip.ip_address]
    if wanted is not None:
        for fixed_ip in own:
            if fixed_ip.ip_address == wanted:
                return fixed_ip
        raise _bad(
            f"Port {port.id} does not have fixed ip {wanted} of IPv4",
            f"choose one of {', '.join(ip.ip_address for ip in own) or 'another port'}",
        )
    if not own:
        raise _bad(
            f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses",
            "give the port one",
        )
    if len(own) > 1:
        raise _bad(
            f"Port {port.id} has multiple fixed IPv4 addresses. Must provide a specific IPv4 "
            "address when assigning a floating IP",
            f"name one as fixed_ip_address: {', '.join(ip.ip_address for ip in own)}",
        )
    return own[0]


def _router_to(world: World, floating: FloatingIp, port: Port, fixed: FixedIp) -> Router:
    """The router between the two: that with the subnet's gateway address, else the oldest."""
    subnet = world.subnets.get(fixed.subnet_id)
    gateway_ip = None if subnet is None else subnet.gateway_ip
    found = []
    for router in world.of(Router).values():
        outside = router.gateway.network_id if router.gateway is not None else None
        if outside != floating.floating_network_id or port.device_id == router.id:
            continue
        at = [one.ip_address for one in router.interfaces if one.subnet_id == fixed.subnet_id]
        if at:
            found.append((gateway_ip not in at, router.created_at, router.id, router))
    if not found:
        raise ExternalGatewayForFloatingIPNotFound(
            f"External network {floating.floating_network_id} is not reachable from subnet "
            f"{fixed.subnet_id}.  Therefore, cannot associate Port {port.id} with a Floating IP.",
            next="give a router an interface in the subnet and its gateway in the network",
        )
    return min(found, key=lambda one: one[:3])[3]


def _exhausted(network: Network) -> ExternalIpAddressExhausted:
    return ExternalIpAddressExhausted(
        f"Unable to find any IP address on external network {network.id}.",
        next="give the network a subnet of IPv4, or name an address of IPv4",
    )


def _bad(reason: str, what_next: str) -> BadRequest:
    return BadRequest(f"Bad floatingip request: {reason}.", next=what_next)
