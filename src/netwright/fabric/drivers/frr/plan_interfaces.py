"""Host ports: filters, drops, and a veth for each VLAN into its segment's bridge. Pure."""

from netwright.fabric.config import Interface
from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import names
from netwright.fabric.drivers.frr.operations import (
    AddVeth,
    Attach,
    DeleteLink,
    Detach,
    DisableChecksumOffload,
    Fence,
    Forget,
    MapVlan,
    Set,
    Silence,
)
from netwright.fabric.drivers.frr.planned import (
    FILTER_OF_HOST_PORT,
    Plan,
    PlanError,
    fence_senders,
)
from netwright.fabric.drivers.frr.reading import BROKEN_VNI, inner_end, is_whole, outer_ends
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import Link


def ensure(plan: Plan, interface: Interface) -> None:
    """Held down before anything else changes; drops first; opened when all is in place.

    The filter's name says that it is we who hold it down: it is so from before until after.
    """
    port = plan.port(interface.name)
    was_held = _is_held(plan, port)
    _ensure_filter(plan, port, FILTER_OF_HOST_PORT[interface.is_down or was_held])
    if interface.is_down and port.is_up:
        plan.add(Set("", port.name, up=False))
        _forget_hosts(plan, port)
    _ensure_fences(plan, port, interface)
    untagged = interface.untagged or BROKEN_VNI
    # A broken VLAN may stand in what is in between: it goes, until it is wanted whole.
    wanted = {
        vlan: vni for vlan, vni in {0: untagged, **interface.tagged}.items() if vni != BROKEN_VNI
    }
    ends = outer_ends(plan.observed, "port", port.name)
    mapped = {vlan for index, vlan in plan.observed.tagged if index == port.index}
    for vlan in sorted({*ends, *mapped} - wanted.keys()):
        leave(plan, port, vlan, ends.get(vlan))
    for vlan, vni in sorted(wanted.items()):
        _join(plan, port, vlan, vni, ends.get(vlan))
    if was_held and not interface.is_down:
        if not plan.port(port.name).is_up:
            plan.add(Set("", port.name, up=True))
        _ensure_filter(plan, port, FILTER_OF_HOST_PORT[False])


def remove(plan: Plan, interface: Interface) -> None:
    """As it was before us; what we held down is up again."""
    port = plan.observed.own.find(interface.name)
    for vlan, outer in outer_ends(plan.observed, "port", interface.name).items():
        if port is None:
            plan.add(DeleteLink("", outer.name))
        else:
            leave(plan, port, vlan, outer)
    if port is None:
        return
    for index, vlan in list(plan.observed.tagged):
        if index == port.index:
            plan.add(MapVlan(port.index, vlan, None))
    for sender in sorted(fence_senders(plan.observed, port.index)):
        plan.add(Fence(port.index, sender, None))
    if _is_held(plan, port) and not port.is_up:
        plan.add(Set("", port.name, up=True))
    if port.index in plan.observed.filters:
        plan.add(Detach(port.name))


def sweep(plan: Plan) -> None:
    """Our filters go from ports that have nothing else of ours: a change may have broken off."""
    for index, filter_ in list(plan.observed.filters.items()):
        port = plan.observed.own.links.get(index)
        if port is None or filter_.name == programs.TO_HOST:
            continue
        if _is_held(plan, port) and not port.is_up:
            continue
        used = (
            outer_ends(plan.observed, "port", port.name)
            or outer_ends(plan.observed, "trunk", port.name)
            or fence_senders(plan.observed, index)
            or any(at == index for at, _ in plan.observed.tagged)
        )
        if not used:
            plan.add(Detach(port.name))


def leave(plan: Plan, port: Link, vlan: int, outer: Link | None) -> None:
    plan.add(MapVlan(port.index, vlan, None))
    if outer is not None:
        plan.add(DeleteLink("", outer.name))


def connect(plan: Plan, port: Link, vlan: int, space: str, bridge: Link, *, key: str) -> None:
    """A veth from a port's VLAN to a bridge; `key` names the port in its mark."""
    outer, inner = names.outer(port.index, vlan), names.inner(port.index, vlan)
    for place, name in (("", outer), (space, inner)):
        if plan.find(place, name) is not None:
            plan.add(DeleteLink(place, name))
    alias = marks.write(**{key: port.name, "vlan": vlan})
    plan.add(
        AddVeth(outer, inner, space, alias, bridge.mtu),
        Silence("", outer),
        Silence(space, inner),
        Attach(outer, programs.TO_HOST),
        Set(space, inner, master=bridge.name, up=True),
        Set("", outer, up=True),
        MapVlan(port.index, vlan, outer),
    )


def _join(plan: Plan, port: Link, vlan: int, vni: int, outer: Link | None) -> None:
    bridges = [each for each in plan.with_number("vni", vni) if each[1].kind == "bridge"]
    if not bridges:
        raise PlanError(f"VNI {vni} of VLAN {vlan} at {port.name} is not on it")
    space, bridge = bridges[0]
    if outer is not None:
        end = inner_end(plan.observed, outer)
        joined = end is not None and end[0] == space and end[1].master == bridge.index
        if joined and end and end[1].is_up and is_whole(plan.observed, port, vlan, outer):
            return
        leave(plan, port, vlan, outer)
    connect(plan, port, vlan, space, bridge, key="port")


def _ensure_filter(plan: Plan, port: Link, name: str) -> None:
    now = plan.observed.filters.get(port.index)
    if now is None:
        plan.add(DisableChecksumOffload(port.name))
    if now is None or now.name != name:
        plan.add(Attach(port.name, name))


def _ensure_fences(plan: Plan, port: Link, interface: Interface) -> None:
    wanted = {
        sender: each.port_id
        for each in interface.fenced
        for sender in (each.mac_address, *each.addresses)
        if sender
    }
    now = dict(fence_senders(plan.observed, port.index))
    for sender, port_id in sorted(wanted.items()):
        if now.get(sender) != port_id:
            plan.add(Fence(port.index, sender, port_id))
    for sender in sorted(now.keys() - wanted.keys()):
        plan.add(Fence(port.index, sender, None))


def _forget_hosts(plan: Plan, port: Link) -> None:
    """Whom it learned below a port that went down: kept, it would go on announcing them."""
    for outer in outer_ends(plan.observed, "port", port.name).values():
        end = inner_end(plan.observed, outer)
        if end is not None and end[1].master:
            plan.add(Forget(end[0], end[1].name))


def _is_held(plan: Plan, port: Link) -> bool:
    """Down by our hand, or left down by the switch when it started."""
    filter_ = plan.observed.filters.get(port.index)
    return port.name in plan.held or (filter_ is not None and filter_.name == programs.HELD)
