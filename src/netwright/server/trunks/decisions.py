"""Decisions about trunks: which ports are in them, and what is refused as Neutron refuses it.

A port is in one trunk at most, as its parent or as a subport, and is not deleted meanwhile. A
trunk may be made of a port that is bound, and deleted while it is: the agent changes no more than
the subports' wiring.
"""

from collections.abc import Iterable
from functools import partial

from msgspec import UNSET
from msgspec.structs import replace

from netwright.model.resources import Network, NetworkType, Port, TrunkPlace
from netwright.model.routing_errors import PortInUse
from netwright.model.trunk_errors import (
    DuplicateSubPort,
    ParentPortInUse,
    SubPortBindingError,
    SubPortMtuGreaterThanTrunkPortMtu,
    SubPortNotFound,
    TrunkDisabled,
    TrunkNotFound,
    TrunkPortInUse,
)
from netwright.model.trunks import SubPort, Trunk
from netwright.server.commands import Caller
from netwright.server.each import each
from netwright.server.networks import check_revision
from netwright.server.ports.decisions import owned as owned_port
from netwright.server.trunks.commands import (
    AddSubPorts,
    CreateTrunks,
    DeleteTrunk,
    RemoveSubPorts,
    SubPortWish,
    TrunkDraft,
    UpdateTrunk,
)
from netwright.server.trunks.following import SUBPORT_OWNER, put_port, settle
from netwright.server.world import World


def create(world: World, command: CreateTrunks) -> tuple[Trunk, ...]:
    return each("trunks", command.drafts, partial(_create, world, command.caller))


def update(world: World, command: UpdateTrunk) -> tuple[Trunk, ...]:
    trunk = _owned(world, command.caller, command.id)
    check_revision(trunk.revision_number, command.if_match)
    wanted = {
        "name": command.name,
        "description": command.description,
        "admin_state_up": command.admin_state_up,
    }
    after = replace(trunk, **{key: one for key, one in wanted.items() if one is not UNSET})
    return (trunk if after == trunk else _put(world, after),)


def delete(world: World, command: DeleteTrunk) -> tuple[()]:
    trunk = _owned(world, command.caller, command.id)
    check_revision(trunk.revision_number, command.if_match)
    _require_enabled(trunk)
    world.of(Trunk).put(trunk.id, None)
    for one in trunk.sub_ports:
        let_go(world, one.port_id)
    parent = world.ports.get(trunk.port_id)
    if parent is not None:
        put_port(world, replace(parent, trunk=None))
    return ()


def add(world: World, command: AddSubPorts) -> tuple[Trunk, ...]:
    trunk = _owned(world, command.caller, command.trunk_id)
    _require_enabled(trunk)
    return (_with_sub_ports(world, command.caller, trunk, command.sub_ports),)


def remove(world: World, command: RemoveSubPorts) -> tuple[Trunk, ...]:
    trunk = _owned(world, command.caller, command.trunk_id)
    _require_enabled(trunk)
    has = {one.port_id for one in trunk.sub_ports}
    for port_id in command.port_ids:
        if port_id not in has:
            raise SubPortNotFound(
                f"SubPort on trunk {trunk.id} with parent port {port_id} could not be found."
            )
        let_go(world, port_id)
    left = tuple(one for one in trunk.sub_ports if one.port_id not in command.port_ids)
    _put(world, replace(trunk, sub_ports=left))
    return (_settled(world, trunk.id),)


def let_go(world: World, port_id: str) -> None:
    """The port is no subport any more, and nobody's."""
    port = world.ports.get(port_id)
    if port is not None:
        put_port(world, replace(port, trunk=None, device_owner="", device_id=""))


def _create(world: World, caller: Caller, draft: TrunkDraft) -> Trunk:
    parent = owned_port(world, caller, draft.port_id)
    _require_free(parent)
    trunk = Trunk(
        id=draft.id,
        project_id=draft.project_id,
        port_id=parent.id,
        name=draft.name,
        description=draft.description,
        admin_state_up=draft.admin_state_up,
        created_at=world.now,
        updated_at=world.now,
    )
    put_port(world, replace(parent, trunk=TrunkPlace(trunk_id=trunk.id)))
    return _with_sub_ports(world, caller, trunk, draft.sub_ports)


def _with_sub_ports(
    world: World, caller: Caller, trunk: Trunk, wishes: Iterable[SubPortWish]
) -> Trunk:
    parent = world.ports.get(trunk.port_id)
    assert parent is not None, f"trunk {trunk.id}'s parent was not loaded"
    found = list(trunk.sub_ports)
    for wish in wishes:
        port = owned_port(world, caller, wish.port_id)
        _require_free(port)
        _require_unattached(port)
        _require_carried(world, parent, port)
        vlan = wish.segmentation_id or _inherited(_network_of(world, port), port)
        if any(one.segmentation_id == vlan for one in found):
            raise DuplicateSubPort(
                f"segmentation_type vlan and segmentation_id {vlan} already in use on trunk "
                f"{trunk.id}.",
                next="choose another VLAN id",
            )
        place = TrunkPlace(trunk_id=trunk.id, parent_id=parent.id, segmentation_id=vlan)
        put_port(world, replace(port, trunk=place, device_owner=SUBPORT_OWNER, device_id=trunk.id))
        found.append(SubPort(port_id=port.id, segmentation_id=vlan))
    _put(world, replace(trunk, sub_ports=tuple(found)))
    return _settled(world, trunk.id)


def _settled(world: World, trunk_id: str) -> Trunk:
    """The trunk with its subports where its parent is."""
    settle(world)
    trunk = world.of(Trunk).get(trunk_id)
    assert trunk is not None, "it was just put"
    return trunk


def _put(world: World, trunk: Trunk) -> Trunk:
    after = replace(trunk, revision_number=trunk.revision_number + 1, updated_at=world.now)
    world.of(Trunk).put(trunk.id, after)
    return after


def _require_free(port: Port) -> None:
    if port.trunk is None:
        return
    if port.trunk.parent_id is None:
        raise ParentPortInUse(
            f"Port {port.id} is currently in use and is not eligible for use as a parent port.",
            next=f"it is the parent of trunk {port.trunk.trunk_id}: add subports there",
        )
    raise TrunkPortInUse(
        f"Port {port.id} is in use by another trunk.",
        next=f"take it from trunk {port.trunk.trunk_id} first",
    )


def _require_unattached(port: Port) -> None:
    if port.device_id or port.active_binding is not None:
        raise PortInUse(
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port "
            f"already has an attached device {port.device_id}.",
            next="a subport has no device of its own: detach it first, or make another port",
        )


def _require_carried(world: World, parent: Port, port: Port) -> None:
    most, mtu = _network_of(world, parent).mtu, _network_of(world, port).mtu
    if mtu > most:
        raise SubPortMtuGreaterThanTrunkPortMtu(
            f"MTU {mtu} of subport {port.id} cannot be greater than MTU {most} of its trunk's port "
            f"{parent.id}.",
            next="lower the MTU of the subport's network, or choose another parent",
        )


def _inherited(network: Network, port: Port) -> int:
    segment = network.segment
    if segment.network_type is NetworkType.VLAN and segment.segmentation_id is not None:
        return segment.segmentation_id
    raise SubPortBindingError(
        f"Invalid input for operation: subport {port.id} inherits nothing: its network is "
        f"{segment.network_type}, and a trunk tells its subports apart by VLAN ids.",
        next="give segmentation_type vlan and a segmentation_id",
    )


def _network_of(world: World, port: Port) -> Network:
    network = world.networks.get(port.network_id)
    assert network is not None, f"port {port.id}'s network was not loaded"
    return network


def _require_enabled(trunk: Trunk) -> None:
    if not trunk.admin_state_up:
        raise TrunkDisabled(
            f"Trunk {trunk.id} is currently disabled.",
            next=f"openstack network trunk set --enable {trunk.id}",
        )


def _owned(world: World, caller: Caller, trunk_id: str) -> Trunk:
    trunk = world.of(Trunk).get(trunk_id)
    if trunk is None or not caller.may_touch(trunk.project_id):
        raise TrunkNotFound(f"Trunk {trunk_id} could not be found.")
    return trunk
