"""The ports of no project that hold addresses in external networks, for routers and floating IPs.

A draft of one is what a batch must load for it, too (`noting`).
"""

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from netwright.model.resources import Port
from netwright.model.routing import FLOATING_IP, NO_PROJECT, ROUTER_GATEWAY
from netwright.server.commands import AddressWish, Caller, CreatePorts, PortChange, PortDraft
from netwright.server.ports import decisions as ports
from netwright.server.routing_commands import FloatingIpDraft, GatewayWish
from netwright.server.world import World

SERVER = Caller(project_id=NO_PROJECT, is_admin=True)
"""What the caller may do was decided; the port is made as an administrator would."""


def gateway_draft(router_id: str, wish: GatewayWish) -> PortDraft:
    """The port of a router's gateway."""
    return _draft(wish.new_port_id, wish.network_id, router_id, ROUTER_GATEWAY, wish.fixed_ips)


def floating_draft(draft: FloatingIpDraft) -> PortDraft:
    """The port that holds a floating address."""
    wish = AddressWish(subnet_id=draft.subnet_id, ip_address=draft.floating_ip_address)
    wishes = UNSET if wish == AddressWish() else (wish,)
    return _draft(draft.new_port_id, draft.floating_network_id, draft.id, FLOATING_IP, wishes)


def hold(world: World, draft: PortDraft) -> Port:
    """Make the port. Raises what is wrong with the addresses that it wants."""
    (port,) = ports.create(world, CreatePorts(caller=SERVER, drafts=(draft,)))
    port = replace(port, security_groups=())
    world.ports.put(port.id, port)
    return port


def give_up(world: World, port_id: str, actor: str, *, rests: bool) -> None:
    """The end of such a port. `rests`: a border may have answered for its addresses (law 2)."""
    port = world.ports.get(port_id)
    if port is not None:
        ports.remove(world, _that_rests(port) if rests else port, actor=actor)


def readdress(world: World, port_id: str, wishes: tuple[AddressWish, ...], *, rests: bool) -> Port:
    """Have the port have these addresses; `rests`, of those that go, as of `give_up`."""
    port = world.ports.get(port_id)
    if port is not None and rests:
        world.ports.put(port.id, _that_rests(port))
    return ports.change(world, SERVER, PortChange(id=port_id, fixed_ips=wishes))


def _that_rests(port: Port) -> Port:
    """Known on the wire, as ports of hosts are once they were bound."""
    return replace(port, ever_bound=True)


def _draft(
    port_id: str,
    network_id: str,
    device_id: str,
    device_owner: str,
    wishes: tuple[AddressWish, ...] | UnsetType,
) -> PortDraft:
    return PortDraft(
        id=port_id,
        project_id=NO_PROJECT,
        network_id=network_id,
        device_id=device_id,
        device_owner=device_owner,
        fixed_ips=wishes,
        port_security_enabled=False,
    )
