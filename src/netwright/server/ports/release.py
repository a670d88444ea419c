"""Giving addresses back: at once when no host ever knew them, else after a rest (law 2)."""

from netwright.ipam.addresses import from_text
from netwright.ipam.resting import Allocation, rest_end
from netwright.model.resources import FixedIp, Port
from netwright.model.states import Event, PortState
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
    world.macs.put((port.network_id, port.mac_address), None)
    count = world.port_counts.get(port.network_id) or 0
    world.port_counts.put(port.network_id, max(count - 1, 0))


def release_address(world: World, port: Port, fixed_ip: FixedIp) -> None:
    """The port's address rests, or is free when no host ever knew it."""
    key = (fixed_ip.subnet_id, from_text(fixed_ip.ip_address))
    until = rest_end(was_bound=port.ever_bound or port.was_offered, withdrawn_at=world.now)
    if until is None:
        world.allocations.put(key, None)
        world.ledger.release(*key)
    else:
        world.allocations.put(
            key,
            Allocation(
                subnet_id=key[0],
                address=key[1],
                project_id=port.project_id,
                rests_until=until,
            ),
        )
    uses = world.subnet_uses.get(fixed_ip.subnet_id) or 0
    world.subnet_uses.put(fixed_ip.subnet_id, max(uses - 1, 0))
