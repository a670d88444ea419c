"""A plan under way: its operations, and the switch as they will have left it. Pure.

Each change is planned on what those before it will have made, without asking the switch again:
what an operation does to the switch is written down here once more, on values.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

import msgspec

from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.operations import (
    AcceptArp,
    AddBridge,
    AddNamespace,
    AddVeth,
    AddVxlan,
    Attach,
    ChangeAddress,
    ChangeRoute,
    DeleteLink,
    Detach,
    Fence,
    MapVlan,
    Operation,
    RemoveNamespace,
    Set,
    SetTunnelPort,
)
from netwright.fabric.drivers.linux import marks
from netwright.fabric.drivers.linux.filters import PRIORITY, Filter
from netwright.fabric.drivers.linux.links import KernelRoute, Link

_FIRST_INDEX = 1 << 24  # of what is planned: no kernel counts that far


class PlanError(Exception):
    """Something stands in a change's way; the text names it and says what to do."""


@dataclass
class Plan:
    """`add` plans an operation; `observed` is then as if it were done."""

    observed: Observed
    held: frozenset[str]
    loopback: str
    operations: list[Operation] = field(default_factory=list)
    _indexes: Any = field(default_factory=lambda: itertools.count(_FIRST_INDEX))

    def __post_init__(self) -> None:
        seen = self.observed
        self._spaces = {
            name: Space(
                links=dict(space.links), addresses=dict(space.addresses), routes=space.routes
            )
            for name, space in seen.spaces.items()
        }
        self._filters, self._tagged = dict(seen.filters), dict(seen.tagged)
        self._ports, self._fenced = dict(seen.ports), dict(seen.fenced)
        self.observed = msgspec.structs.replace(
            seen,
            spaces=self._spaces,
            filters=self._filters,
            tagged=self._tagged,
            ports=self._ports,
            fenced=self._fenced,
        )

    @property
    def asn(self) -> int:
        if self.observed.bgp.asn is None:
            raise PlanError("bgpd has no BGP instance: configure the underlay first")
        return self.observed.bgp.asn

    def port(self, name: str) -> Link:
        """An interface of the switch's own. Raises PlanError when there is none."""
        if (link := self.observed.own.find(name)) is None:
            raise PlanError(f"it has no interface {name}: correct the inventory's link")
        return link

    def find(self, space: str, name: str) -> Link | None:
        """What has this name. Raises PlanError when that is not ours.

        In a VRF, which is ours itself, it is: a driver that died between making and marking it
        leaves it so. In the switch's own namespace both are one step.
        """
        link = self._spaces[space].find(name) if space in self._spaces else None
        if link is not None and not space and marks.read(link.alias) is None:
            raise PlanError(f"an interface {name} is not ours: rename or remove it")
        return link

    def members(self, space: str, bridge: Link) -> list[Link]:
        return [each for each in self._spaces[space].links.values() if each.master == bridge.index]

    def add(self, *operations: Operation) -> None:
        for operation in operations:
            self.operations.append(operation)
            self._project(operation)

    def _project(self, operation: Operation) -> None:  # noqa: C901, PLR0912 (one line an operation)
        match operation:
            case AddNamespace(name, alias):
                loopback = Link(index=1, name="lo", alias=alias, is_up=True)
                self._spaces[name] = Space(links={1: loopback}, addresses={})
            case RemoveNamespace(name):
                del self._spaces[name]
            case AddBridge(space, name, alias, mac, mtu):
                self._put(space, Link(index=self._index(), name=name, kind="bridge", alias=alias,
                                      mac_address=mac or "", mtu=mtu))  # fmt: skip
            case AddVxlan(space, name, alias, vni, mtu):
                self._put(space, Link(index=self._index(), name=name, kind="vxlan", alias=alias,
                                      vni=vni, local=self.loopback, mtu=mtu))  # fmt: skip
            case AddVeth(outer, inner, space, alias, mtu):
                one, other = self._index(), self._index()
                self._put("", Link(index=one, name=outer, kind="veth", alias=alias, peer=other,
                                   mtu=mtu))  # fmt: skip
                self._put(space, Link(index=other, name=inner, kind="veth", alias=alias, peer=one,
                                      mtu=mtu))  # fmt: skip
            case DeleteLink(space, name):
                self._delete(space, name)
            case Set():
                self._set(operation)
            case SetTunnelPort(space, name):
                self._change(space, name, learns=False, suppresses=True)
            case AcceptArp(space, name):
                self._change(space, name, accepts_arp=True)
            case ChangeAddress(space, name, address, add):
                self._change_address(space, name, address, add=add)
            case ChangeRoute(space, destination, nexthop, add):
                self._change_route(space, KernelRoute(destination, nexthop), add=add)
            case Attach(name, filter_):
                index = self._own(name).index
                self._filters[index] = Filter(PRIORITY, filter_, 0)
            case Detach(name):
                self._filters.pop(self._own(name).index, None)
            case MapVlan() | Fence():
                self._map(operation)
            case _:
                pass

    def _map(self, operation: MapVlan | Fence) -> None:
        if isinstance(operation, Fence):
            key = (operation.port, operation.sender)
            self._fenced.pop(key, None)
            if operation.port_id is not None:
                self._fenced[key] = operation.port_id
            return
        place = (operation.port, operation.vlan)
        veth = self._tagged.pop(place, None)
        if operation.veth is None:
            if veth is not None:
                self._ports.pop(veth, None)
            return
        index = self._own(operation.veth).index
        self._tagged[place], self._ports[index] = index, place

    def _set(self, operation: Set) -> None:
        space, name = operation.space, operation.name
        link = self._spaces[space].find(name)
        assert link is not None
        master = link.master
        if operation.master is not None:
            bridge = self._spaces[space].find(operation.master)
            master = bridge.index if bridge else 0
        changed = msgspec.structs.replace(
            link,
            is_up=link.is_up if operation.up is None else operation.up,
            alias=link.alias if operation.alias is None else operation.alias,
            mac_address=operation.mac_address or link.mac_address,
            mtu=operation.mtu or link.mtu,
            master=0 if operation.move is not None else master,
        )
        self._put(space, changed)
        if operation.move is not None:
            del self._links(space)[link.index]
            self._put(operation.move, msgspec.structs.replace(changed, is_up=False))

    def _delete(self, space: str, name: str) -> None:
        link = self._spaces[space].find(name)
        if link is None:
            return
        del self._links(space)[link.index]
        for other_space, other in self._spaces.items():
            for each in list(other.links.values()):
                if each.master == link.index and other_space == space:
                    self._put(space, msgspec.structs.replace(each, master=0))
                is_pair = link.kind == each.kind == "veth"
                if is_pair and (each.peer, link.peer) == (link.index, each.index):
                    del self._links(other_space)[each.index]
        for index in (link.index, link.peer if link.kind == "veth" else 0):
            self._filters.pop(index, None)

    def _change_address(self, space: str, name: str, address: str, *, add: bool) -> None:
        link = self._spaces[space].find(name)
        assert link is not None
        held = dict(self._spaces[space].addresses)
        left = {*held.get(link.index, ())} - {address} | ({address} if add else set())
        held[link.index] = tuple(sorted(left))
        self._spaces[space] = msgspec.structs.replace(self._spaces[space], addresses=held)

    def _change_route(self, space: str, route: KernelRoute, *, add: bool) -> None:
        held = self._spaces[space]
        routes = held.routes | {route} if add else held.routes - {route}
        self._spaces[space] = msgspec.structs.replace(held, routes=routes)

    def _change(self, space: str, name: str, **values: bool) -> None:
        link = self._spaces[space].find(name)
        assert link is not None
        self._put(space, msgspec.structs.replace(link, **values))

    def _own(self, name: str) -> Link:
        link = self._spaces[""].find(name)
        assert link is not None
        return link

    def _put(self, space: str, link: Link) -> None:
        self._links(space)[link.index] = link

    def _links(self, space: str) -> dict[int, Link]:
        links = self._spaces[space].links
        assert isinstance(links, dict)
        return links

    def _index(self) -> int:
        return int(next(self._indexes))


def fence_senders(observed: Observed, port: int) -> dict[str, str]:
    """What is dropped at a port: MAC or address → port id."""
    return {sender: who for (index, sender), who in observed.fenced.items() if index == port}


FILTER_OF_HOST_PORT = {False: programs.FROM_HOST, True: programs.HELD}
"""By whether we hold the port down."""
