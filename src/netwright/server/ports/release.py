"""The end of a port: deleted, and its last binding proven gone."""

from netwright.model.resources import Port
from netwright.model.states import Event, PortState
from netwright.server.ports.giving_back import release_address, release_mac
from netwright.server.ports.lifecycle import happen
from netwright.server.world import World


def release_if_unbound(world: World, port: Port) -> None:
    """Let a deleted port go once its last binding is proven gone."""
    if port.state is not PortState.RELEASING or port.bindings:
        return
    port = happen(world, port, Event.RESTED, actor="server")
    for fixed_ip in port.fixed_ips:
        release_address(world, port, fixed_ip)
    world.ports.put(port.id, None)
    release_mac(world, port)
    count = world.port_counts.get(port.network_id) or 0
    world.port_counts.put(port.network_id, max(count - 1, 0))
