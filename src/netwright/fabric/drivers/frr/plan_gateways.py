"""A border's gateways in VLANs of the provider networks. Pure.

A VLAN of a trunk may lead to several VRFs, each with an address of its own:

    trunk ─ (filter, VLAN) ─ veth ─ bridge of the VLAN ─┬─ veth ─ core1.101 in VRF a
            all in the switch's own namespace           └─ veth ─ core1.101 in VRF b
"""

import zlib

from netwright.fabric.config import VlanGateway
from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import nft, plan_interfaces
from netwright.fabric.drivers.frr.operations import (
    AddBridge,
    AddVeth,
    Announce,
    Attach,
    ChangeAddress,
    DeleteLink,
    DisableChecksumOffload,
    Set,
    Silence,
    Translate,
)
from netwright.fabric.drivers.frr.planned import Plan, PlanError
from netwright.fabric.drivers.frr.reading import gateways, inner_end, is_whole, outer_ends
from netwright.fabric.drivers.linux import marks
from netwright.linux.links import Link

_MTU = 1500


def ensure(plan: Plan, gateway: VlanGateway) -> None:
    space = gateway.vrf or ""
    if space not in plan.observed.spaces:
        raise PlanError(f"VRF {space} of gateway {gateway.key} is not on it")
    now = {each.key: each for each in gateways(plan.observed)}.get(gateway.key)
    if now == gateway:
        return
    trunk, tag = _trunk(plan, gateway)
    bridge = _ensure_access(plan, trunk, tag)
    alias = marks.write(
        gateway=gateway.network_id,
        interface=gateway.interface,
        trunk=trunk.name,
        tag=tag,
        vlan=gateway.vlan,
        physical=gateway.physical_network,
        mac=gateway.mac_address,
        nat=None if gateway.nat is None else 1,
    )
    outer = _outer_name(gateway.key)
    link = plan.find(space, gateway.interface)
    if link is None:
        if plan.find("", outer) is not None:
            plan.add(DeleteLink("", outer))
        plan.add(AddVeth(outer, gateway.interface, space, alias, _MTU))
        link = plan.find(space, gateway.interface)
        assert link is not None
    table = nft.table_of(gateway.interface)
    is_other = plan.observed.spaces[space].nat.get(table) != gateway.nat
    if is_other and gateway.nat is None:  # while the mark still says that it is there
        plan.add(Translate(space, gateway.interface, None))
    plan.add(
        Silence("", outer),
        Set("", outer, master=bridge.name, up=True),
        Set(space, link.name, alias=alias, mac_address=gateway.mac_address, up=True),
    )
    if is_other and gateway.nat is not None:
        plan.add(Translate(space, link.name, gateway.nat))
    held = set(plan.observed.spaces[space].addresses.get(link.index, ()))
    wanted = set(gateway.addresses)
    plan.add(*(ChangeAddress(space, link.name, a, add=False) for a in sorted(held - wanted)))
    plan.add(*(ChangeAddress(space, link.name, a, add=True) for a in sorted(wanted - held)))
    plan.add(*(Announce(space, link.name, a) for a in sorted(wanted - held) if ":" not in a))


def remove(plan: Plan, gateway: VlanGateway) -> None:
    """The VLAN's bridge, and what the trunk has of ours, go with the last gateway there."""
    outer = plan.find("", _outer_name(gateway.key))
    space = gateway.vrf or ""
    held = plan.observed.spaces.get(space)
    if held is not None and nft.table_of(gateway.interface) in held.nat:
        plan.add(Translate(space, gateway.interface, None))
    if outer is not None:
        plan.add(DeleteLink("", outer.name))
    elif space in plan.observed.spaces:
        link = plan.observed.spaces[space].find(gateway.interface)
        if link is not None and "gateway" in (marks.read(link.alias) or {}):
            plan.add(DeleteLink(space, link.name))
    sweep(plan)


def sweep(plan: Plan) -> None:
    """What leads from a trunk to no gateway any more."""
    for link in list(plan.observed.own.links.values()):
        mark = marks.read(link.alias) or {}
        if link.kind != "bridge" or "trunk" not in mark:
            continue
        tag = marks.read_number(mark, "vlan") or 0
        if any(each.name.startswith("nwg") for each in plan.members("", link)):
            continue
        trunk = plan.observed.own.find(mark["trunk"])
        end = outer_ends(plan.observed, "trunk", mark["trunk"]).get(tag)
        if trunk is not None:
            plan_interfaces.leave(plan, trunk, tag, end)
            if not outer_ends(plan.observed, "trunk", trunk.name):
                plan_interfaces.sweep(plan)
        elif end is not None:
            plan.add(DeleteLink("", end.name))
        plan.add(DeleteLink("", link.name))


def _trunk(plan: Plan, gateway: VlanGateway) -> tuple[Link, int]:
    """`TRUNK.VLAN`, or an interface that has the VLAN untagged."""
    trunk, _, vlan = gateway.interface.rpartition(".")
    if trunk and vlan == str(gateway.vlan):
        return plan.port(trunk), int(vlan)
    raise PlanError(
        f"gateway interface {gateway.interface} must be TRUNK.VLAN of a trunk to the core: "
        "name the trunk in the inventory's gateways"
    )


def _ensure_access(plan: Plan, trunk: Link, tag: int) -> Link:
    """The VLAN's bridge, joined to the trunk."""
    name, alias = f"nwp{trunk.index}.{tag}", marks.write(trunk=trunk.name, vlan=tag)
    bridge = plan.find("", name)
    if bridge is None:
        plan.add(AddBridge("", name, alias, None, _MTU), Silence("", name))
    if bridge is None or not bridge.is_up:
        plan.add(Set("", name, up=True))
    bridge = plan.find("", name)
    assert bridge is not None
    now = plan.observed.filters.get(trunk.index)
    if now is None or now.name != programs.FROM_CORE:
        plan.add(DisableChecksumOffload(trunk.name), Attach(trunk.name, programs.FROM_CORE))
    end = outer_ends(plan.observed, "trunk", trunk.name).get(tag)
    other = inner_end(plan.observed, end) if end else None
    joined = other is not None and other[1].master == bridge.index and other[1].is_up
    if end is None or not joined or not is_whole(plan.observed, trunk, tag, end):
        plan_interfaces.connect(plan, trunk, tag, "", bridge, key="trunk")
    return bridge


def _outer_name(key: str) -> str:
    """A gateway has one name at most; two VRFs' differ (CRC-32, eight digits)."""
    return f"nwg{zlib.crc32(key.encode()):08x}"
