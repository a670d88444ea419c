"""A switch as operations will have left it: what each does to it, on values. Pure."""

import itertools
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from netwright.fabric.config import Nat
from netwright.fabric.drivers.frr import nft
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.operations import (
    AcceptArp,
    AddBridge,
    AddEnd,
    AddNamespace,
    AddVeth,
    AddVxlan,
    Attach,
    ChangeAddress,
    ChangeRoute,
    DeleteLink,
    Detach,
    Fence,
    HandOver,
    Lead,
    MapVlan,
    Operation,
    RemoveEnd,
    RemoveNamespace,
    Set,
    SetSender,
    SetTunnelPort,
    Translate,
)
from netwright.fabric.drivers.frr.shows import Instance
from netwright.fabric.drivers.linux import marks
from netwright.fabric.drivers.linux.filters import PRIORITY, Filter
from netwright.linux.links import KernelRoute, Link

K = TypeVar("K")
V = TypeVar("V")

_FIRST_INDEX = 1 << 24  # of what is planned: no kernel counts that far
_NUMBERS = ("vni", "l3vni")


class Projection:
    """`observed` is a copy whose parts change with every operation done.

    Links are found by name, and by the numbers in their marks, without looking at all of them: a
    leaf has thousands.
    """

    def __init__(self, seen: Observed, loopback: str) -> None:
        self._loopback = loopback
        taken = [index for space in seen.spaces.values() for index in space.links]
        self._indexes = itertools.count(max([_FIRST_INDEX, *taken]) + 1)
        self._spaces: dict[str, Space] = {}
        self._names: dict[tuple[str, str], int] = {}
        self._numbered: dict[tuple[str, int], dict[tuple[str, int], None]] = {}
        self._filters, self._tagged = dict(seen.filters), dict(seen.tagged)
        self._ports = dict(seen.ports)
        self._fenced = {port: dict(senders) for port, senders in seen.fenced.items()}
        for name, space in seen.spaces.items():
            self._spaces[name] = Space(
                links={},
                addresses=dict(space.addresses),
                routes=space.routes,
                nat=space.nat,
                senders=dict(space.senders),
                leading={index: dict(each) for index, each in space.leading.items()},
            )
            for link in space.links.values():
                self._put(name, link)
        self._vnis, self._vrfs = dict(seen.bgp.vnis), dict(seen.bgp.vrfs)
        self._l3vnis = dict(seen.l3vnis)
        self.observed = msgspec.structs.replace(
            seen,
            bgp=msgspec.structs.replace(seen.bgp, vnis=self._vnis, vrfs=self._vrfs),
            l3vnis=self._l3vnis,
            spaces=self._spaces,
            filters=self._filters,
            tagged=self._tagged,
            ports=self._ports,
            fenced=self._fenced,
        )

    def find(self, space: str, name: str) -> Link | None:
        index = self._names.get((space, name))
        return None if index is None else self._spaces[space].links[index]

    def with_number(self, key: str, number: int) -> list[tuple[str, Link]]:
        """Those whose mark has this number as its `vni` or `l3vni`, with their namespaces."""
        places = self._numbered.get((key, number), {})
        return [(space, self._spaces[space].links[index]) for space, index in places]

    def bgp_vni(self, vni: int, instance: Instance | None) -> None:
        """What bgpd's configuration has of a VNI once it is told; None: nothing."""
        _keep(self._vnis, vni, instance)

    def bgp_vrf(self, name: str, instance: Instance | None) -> None:
        _keep(self._vrfs, name, instance)

    def l3vni(self, vrf: str, vni: int | None) -> None:
        """What zebra has of a VRF."""
        _keep(self._l3vnis, vrf, vni)

    def do(self, operation: Operation) -> None:  # noqa: C901, PLR0912 (one line an operation)
        match operation:
            case AddNamespace(name, alias):
                self._spaces[name] = Space(links={}, addresses={}, senders={}, leading={})
                self._put(name, Link(index=1, name="lo", alias=alias, is_up=True))
            case RemoveNamespace(name):
                for link in list(self._spaces[name].links.values()):
                    self._take(name, link)
                del self._spaces[name]
            case AddBridge(space, name, alias, mac, mtu):
                self._add(space, name, "bridge", alias, mac_address=mac or "", mtu=mtu)
            case AddVxlan(space, name, alias, vni, mtu):
                self._add(space, name, "vxlan", alias, vni=vni, local=self._loopback, mtu=mtu)
            case AddVeth(outer, inner, space, alias, mtu):
                one = self._add("", outer, "veth", alias, mtu=mtu)
                other = self._add(space, inner, "veth", alias, peer=one, mtu=mtu)
                self._change("", outer, peer=other)
            case DeleteLink(space, name):
                self._delete(space, name)
            case Set():
                self._set(operation)
            case SetTunnelPort(space, name, learns):
                self._change(space, name, learns=learns, learns_ends=learns, suppresses=True)
            case SetSender(space, name, filter_):
                found = Filter(PRIORITY, filter_, 0) if filter_ else None
                _keep(self._senders(space), self._known(space, name).index, found)
            case AddEnd(address):
                self._set_ends(self.observed.ends | {address})
            case RemoveEnd(address):
                self._remove_end(address)
            case Lead(space, name, mac, address):
                self._lead(space, name, mac, address or None)
            case HandOver(space, name, mac, _):
                self._lead(space, name, mac, None)
            case AcceptArp(space, name):
                self._change(space, name, accepts_arp=True)
            case ChangeAddress(space, name, address, add):
                self._change_address(space, name, address, add=add)
            case ChangeRoute(space, destination, nexthop, add):
                self._change_route(space, KernelRoute(destination, nexthop), add=add)
            case Translate(space, name, nat):
                self._translate(space, nft.table_of(name), nat)
            case Attach(name, filter_):
                self._filters[self._known("", name).index] = Filter(PRIORITY, filter_, 0)
            case Detach(name):
                self._filters.pop(self._known("", name).index, None)
            case MapVlan() | Fence():
                self._map(operation)
            case _:
                pass  # lines for daemons: who plans them says what they make

    def _set_ends(self, ends: frozenset[str]) -> None:
        self.observed = msgspec.structs.replace(self.observed, ends=ends)

    def _remove_end(self, address: str) -> None:
        self._set_ends(self.observed.ends - {address})
        for space in self._spaces:
            for index, known in list(self._leading(space).items()):
                left = {mac: end for mac, end in known.items() if end != address}
                _keep(self._leading(space), index, left or None)

    def _lead(self, space: str, name: str, mac_address: str, address: str | None) -> None:
        leading, index = self._leading(space), self._known(space, name).index
        known = dict(leading.get(index, {}))
        _keep(known, mac_address, address)
        _keep(leading, index, known or None)

    def _map(self, operation: MapVlan | Fence) -> None:
        if isinstance(operation, Fence):
            senders = self._fenced.pop(operation.port, {})
            senders.pop(operation.sender, None)
            if operation.port_id is not None:
                senders[operation.sender] = operation.port_id
            if senders:
                self._fenced[operation.port] = senders
            return
        place = (operation.port, operation.vlan)
        veth = self._tagged.pop(place, None)
        if operation.veth is None:
            if veth is not None:
                self._ports.pop(veth, None)
            return
        index = self._known("", operation.veth).index
        self._tagged[place], self._ports[index] = index, place

    def _set(self, operation: Set) -> None:
        space, link = operation.space, self._known(operation.space, operation.name)
        master = link.master
        if operation.master is not None:
            bridge = self.find(space, operation.master)
            master = bridge.index if bridge else 0
        changed = msgspec.structs.replace(
            link,
            is_up=link.is_up if operation.up is None else operation.up,
            alias=link.alias if operation.alias is None else operation.alias,
            mac_address=operation.mac_address or link.mac_address,
            mtu=operation.mtu or link.mtu,
            master=0 if operation.move is not None else master,
        )
        if operation.move is None:
            self._put(space, changed)
        else:
            self._take(space, link)
            self._put(operation.move, msgspec.structs.replace(changed, is_up=False))

    def _delete(self, space: str, name: str) -> None:
        link = self.find(space, name)
        if link is None:
            return
        self._take(space, link)
        if link.kind == "bridge":
            for member in list(self._spaces[space].links.values()):
                if member.master == link.index:
                    self._put(space, msgspec.structs.replace(member, master=0))
        if link.kind == "veth":
            for other_space, other in self._spaces.items():
                peer = other.links.get(link.peer)
                if peer is not None and (peer.kind, peer.peer) == ("veth", link.index):
                    self._take(other_space, peer)
                    break

    def _change_address(self, space: str, name: str, address: str, *, add: bool) -> None:
        link, addresses = self._known(space, name), self._addresses(space)
        left = {*addresses.pop(link.index, ())} - {address} | ({address} if add else set())
        if left:
            addresses[link.index] = tuple(sorted(left))

    def _change_route(self, space: str, route: KernelRoute, *, add: bool) -> None:
        held = self._spaces[space]
        routes = held.routes | {route} if add else held.routes - {route}
        self._spaces[space] = msgspec.structs.replace(held, routes=routes)

    def _translate(self, space: str, table: str, nat: Nat | None) -> None:
        held = self._spaces[space]
        others = {name: each for name, each in held.nat.items() if name != table}
        now = others if nat is None else {**others, table: nat}
        self._spaces[space] = msgspec.structs.replace(held, nat=now)

    def _add(self, space: str, name: str, kind: str, alias: str, **values: Any) -> int:
        index = next(self._indexes)
        self._put(space, Link(index=index, name=name, kind=kind, alias=alias, **values))
        return index

    def _change(self, space: str, name: str, **values: object) -> None:
        self._put(space, msgspec.structs.replace(self._known(space, name), **values))

    def _known(self, space: str, name: str) -> Link:
        link = self.find(space, name)
        assert link is not None
        return link

    def _put(self, space: str, link: Link) -> None:
        links = self._links(space)
        if (old := links.get(link.index)) is not None and old.alias != link.alias:
            for each in _numbers(old):
                self._numbered[each].pop((space, old.index), None)
        links[link.index] = link
        self._names[space, link.name] = link.index
        for key, number in _numbers(link):
            self._numbered.setdefault((key, number), {})[space, link.index] = None

    def _take(self, space: str, link: Link) -> None:
        links = self._links(space)
        del links[link.index]
        self._names.pop((space, link.name), None)
        for each in _numbers(link):
            self._numbered[each].pop((space, link.index), None)
        self._addresses(space).pop(link.index, None)
        self._senders(space).pop(link.index, None)
        self._leading(space).pop(link.index, None)
        if not space:
            self._filters.pop(link.index, None)

    def _addresses(self, space: str) -> dict[int, tuple[str, ...]]:
        addresses = self._spaces[space].addresses
        assert isinstance(addresses, dict)
        return addresses

    def _senders(self, space: str) -> dict[int, Filter]:
        senders = self._spaces[space].senders
        assert isinstance(senders, dict)
        return senders

    def _leading(self, space: str) -> dict[int, Mapping[str, str]]:
        leading = self._spaces[space].leading
        assert isinstance(leading, dict)
        return leading

    def _links(self, space: str) -> dict[int, Link]:
        links = self._spaces[space].links
        assert isinstance(links, dict)
        return links


def _keep(values: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _numbers(link: Link) -> list[tuple[str, int]]:
    mark = marks.read(link.alias) if link.alias else None
    found = [(key, marks.read_number(mark, key)) for key in _NUMBERS] if mark else []
    return [(key, number) for key, number in found if number is not None]
