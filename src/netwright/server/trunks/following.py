"""What follows for a trunk from its ports: where subports are bound, and how the trunk stands.

It is decided from what is there after each command that has touched a port of a trunk, whatever it
was: an orchestrator binds the parent alone, asks for bindings of it ahead, and activates them.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from netwright.model.resources import Binding, Port, Prepared, SubPortDetail
from netwright.model.states import Event, PortState
from netwright.model.trunks import Trunk, TrunkStatus
from netwright.server.ports.bindings import bind, stand_by, withdraw
from netwright.server.ports.lifecycle import happen
from netwright.server.world import World

SUBPORT_OWNER = "trunk:subport"
_ACTOR = "trunk"
_ROUNDS_MAX = 3
"""Subports that follow are touched by that; then nothing is left to follow."""


def settle(world: World) -> None:
    """Let all follow that the command has not brought about itself."""
    for _ in range(_ROUNDS_MAX):
        touched = world.trunks.take()
        if not touched:
            return
        for trunk_id in sorted(touched):
            trunk = world.of(Trunk).get(trunk_id)
            if trunk is not None:
                _settle(world, trunk)
    world.trunks.take()


def put_port(world: World, port: Port) -> None:
    """The port with its next revision; one that is in no trunk any more is on no host, either."""
    before = world.ports.get(port.id)
    after = replace(port, revision_number=port.revision_number + 1, updated_at=world.now)
    world.ports.put(port.id, after)
    was_sub = before is not None and before.trunk is not None and before.trunk.parent_id is not None
    if was_sub and port.trunk is None and after.bindings:
        bind(world, after, "", actor=_ACTOR, cause=f"it is no subport of {before_trunk(before)}")


def before_trunk(port: Port | None) -> str:
    return f"trunk {port.trunk.trunk_id}" if port is not None and port.trunk is not None else ""


def _settle(world: World, trunk: Trunk) -> None:
    parent = world.ports.get(trunk.port_id)
    if parent is None or parent.is_leaving:
        _end(world, trunk)
        return
    for port in _sub_ports(world, trunk):
        _follow(world, parent, port)
    details = tuple(_details(world, trunk))
    if parent.trunk is not None and parent.trunk.sub_ports != details:
        put_port(world, replace(parent, trunk=replace(parent.trunk, sub_ports=details)))
    status = status_of(parent, list(_sub_ports(world, trunk)))
    if status is not trunk.status:
        world.of(Trunk).put(trunk.id, replace(trunk, status=status))


def _end(world: World, trunk: Trunk) -> None:
    """Its parent went by another way than the API's, which refuses that."""
    world.of(Trunk).put(trunk.id, None)
    for port in _sub_ports(world, trunk):
        put_port(world, replace(port, trunk=None, device_owner="", device_id=""))


def _follow(world: World, parent: Port, port: Port) -> None:
    """Bind a subport as its parent is, and ask for it ahead where that is."""
    if port.is_leaving:
        return
    active = parent.active_binding
    port = bind(world, port, active.host if active is not None else "", actor=_ACTOR)
    ahead = {one.host for one in parent.bindings if one.prepared is not None}
    for binding in port.bindings:
        if binding.prepared is not None and binding.host not in ahead:
            port = withdraw(world, port, binding, Event.UNBIND)
            port = happen(world, port, Event.UNBIND, actor=_ACTOR, binding=binding)
    for host in sorted(ahead):
        if port.binding_on(host) is None:
            port = stand_by(world, port, host, Prepared(vnic_type=port.vnic_type))
            port = happen(world, port, Event.PREPARE, actor=_ACTOR, binding=port.binding_on(host))


def _sub_ports(world: World, trunk: Trunk) -> Iterator[Port]:
    found = (world.ports.get(one.port_id) for one in trunk.sub_ports)
    return (port for port in found if port is not None)


def _details(world: World, trunk: Trunk) -> Iterator[SubPortDetail]:
    for one in trunk.sub_ports:
        port = world.ports.get(one.port_id)
        if port is not None:
            yield SubPortDetail(
                port_id=port.id,
                segmentation_type=one.segmentation_type,
                segmentation_id=one.segmentation_id,
                mac_address=port.mac_address,
            )


def status_of(parent: Port, sub_ports: list[Port]) -> TrunkStatus:
    """How a trunk of these stands. What is administratively down is as it is to be."""
    active: Binding | None = parent.active_binding
    if active is None:
        return TrunkStatus.DOWN
    states = {port.state for port in (parent, *sub_ports) if port.admin_state_up}
    if states <= {PortState.ACTIVE}:
        return TrunkStatus.ACTIVE
    if PortState.ERROR in states:
        is_part = PortState.ACTIVE in states
        return TrunkStatus.DEGRADED if is_part else TrunkStatus.ERROR
    return TrunkStatus.DEGRADED if PortState.DEGRADED in states else TrunkStatus.BUILD
