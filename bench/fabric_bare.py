"""What leaves themselves take, done bare by a program that knows all beforehand.

The same requests as the driver's, to the same kernel and daemons, on all leaves at once; nothing
is read, compared, saved, reported. What it makes has no mark of ours, and goes again.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from netwright.fabric.drivers.frr import shows
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux.node import Node, ProcessNode
from netwright.lab.nodes import frr
from netwright.lab.state import Lab
from netwright.linux import links

FIRST_VNI = 16_000_000
_MTU = 1500
_POLL_S = 0.004
_WAIT_S = 10.0
_VRF = "floor"
_ADMINISTRATOR = 64999
"""Of the route targets, which nobody else imports."""


class Bare(NamedTuple):
    """Seconds of some VNIs: until each leaf's bgpd has them, until each has the others' routes.

    `access`: a VLAN's pair of devices more in a bridge of each; two entries in maps are the rest.
    """

    in_force: float
    imported: float
    access: float


class Leaves:
    """Leaves that get the same. One thread each, as the controller has them."""

    def __init__(self, lab: Lab, names: Sequence[str]) -> None:
        self._leaves = [_Leaf(lab, name) for name in names]
        self._last = FIRST_VNI

    def vnis(self, count: int = 1) -> Bare:
        """So many VNIs more on all of them, then gone."""
        first, self._last = self._last, self._last + count
        numbers = range(first, self._last)
        loopbacks = {leaf.loopback for leaf in self._leaves}
        began = time.perf_counter()
        with ThreadPoolExecutor(len(self._leaves)) as pool:
            in_force = list(pool.map(lambda leaf: leaf.add(numbers) - began, self._leaves))
            imported = list(
                pool.map(lambda leaf: leaf.hear(numbers, loopbacks) - began, self._leaves)
            )
            began_access = time.perf_counter()
            access = list(
                pool.map(lambda leaf: leaf.add_access(first) - began_access, self._leaves)
            )
            list(pool.map(lambda leaf: leaf.remove(numbers, first), self._leaves))
        return Bare(max(in_force), max(imported), max(access))

    def vrf(self) -> float:
        """Seconds until zebra of all lists a VRF more; then gone."""
        began = time.perf_counter()
        with ThreadPoolExecutor(len(self._leaves)) as pool:
            took: list[float] = list(pool.map(lambda leaf: leaf.vrf() - began, self._leaves))
            return max(took)


class _Leaf:
    def __init__(self, lab: Lab, name: str) -> None:
        speaker = frr.fabric_switch(lab, name).speaker
        self.loopback, self._asn = speaker.loopback, speaker.asn
        self._node = ProcessNode(lab.node_directory(name))

    def add(self, vnis: Sequence[int]) -> float:
        """When bgpd has them."""
        with self._session() as session:
            for vni in vnis:
                self._add(session, vni)
            ask = session.vty("bgpd").ask
            _until(lambda: shows.vnis_in_force(ask(shows.SHOW_VNIS)).keys() >= set(vnis))
            return time.perf_counter()

    def hear(self, vnis: Sequence[int], loopbacks: Collection[str]) -> float:
        """When zebra has the others' routes of them."""
        others = frozenset(loopbacks) - {self.loopback}
        with self._session() as session:
            ask = session.vty("zebra").ask

            def heard() -> bool:
                known = shows.remote_vteps(ask(shows.SHOW_EVPN))
                return all(others <= known.get(vni, frozenset()) for vni in vnis)

            _until(heard)
            return time.perf_counter()

    def _add(self, session: Session, vni: int) -> None:
        bridge, vxlan = _names(vni)
        targets = [f"route-target {way} {_ADMINISTRATOR}:{vni}" for way in ("import", "export")]
        head = [f"router bgp {self._asn}", "address-family l2vpn evpn", f"vni {vni}"]
        session.vty("bgpd").configure((*head, f"rd {self.loopback}:{vni % 65536}", *targets))
        own = session.netlink("")
        own.tell([links.add_bridge(bridge, None, _MTU)])
        with _namespace(self._node) as here:
            own.tell([links.add_vxlan(vxlan, vni, self.loopback, _MTU, here)])
        index, tunnel = _index(session, bridge), _index(session, vxlan)
        own.tell(
            [
                links.set_link(index, bridge, up=True),
                links.set_link(tunnel, vxlan, master=index),
                links.set_tunnel_port(tunnel, vxlan, learning=True),
                links.set_link(tunnel, vxlan, up=True),
            ]
        )

    def add_access(self, vni: int) -> float:
        bridge, _ = _names(vni)
        outer, inner = f"bfo{vni % 10**6}", f"bfi{vni % 10**6}"
        with self._session() as session, _namespace(self._node) as here:
            own = session.netlink("")
            own.tell([links.add_veth(outer, inner, here, _MTU)])
            master = _index(session, bridge)
            own.tell(
                [
                    links.set_link(_index(session, inner), inner, up=True, master=master),
                    links.set_link(_index(session, outer), outer, up=True),
                ]
            )
            return time.perf_counter()

    def remove(self, vnis: Sequence[int], with_access: int) -> None:
        names = [f"bfo{with_access % 10**6}"]
        names += [name for vni in vnis for name in reversed(_names(vni))]
        with self._session() as session:
            for name in names:
                session.netlink("").tell([links.delete_link(_index(session, name), name)])
            gone = [f"no vni {vni}" for vni in vnis]
            head = (f"router bgp {self._asn}", "address-family l2vpn evpn")
            session.vty("bgpd").configure((*head, *gone))

    def vrf(self) -> float:
        with self._session() as session:
            ask = session.vty("zebra").ask
            self._node.add_namespace(_VRF, {}, "")
            try:
                _until(lambda: _VRF in shows.active_vrfs(ask(shows.SHOW_VRFS)))
                return time.perf_counter()
            finally:
                self._node.remove_namespace(_VRF)
                _until(lambda: _VRF not in shows.active_vrfs(ask(shows.SHOW_VRFS)))

    def _session(self) -> Session:
        return Session(self._node, self.loopback)


def _names(vni: int) -> tuple[str, str]:
    return f"bfb{vni % 10**6}", f"bfx{vni % 10**6}"


def _index(session: Session, name: str) -> int:
    link = session.link("", name)
    if link is None:
        raise RuntimeError(f"fabric_bare: {name} is not there")
    return link.index


@contextmanager
def _namespace(node: Node) -> Iterator[int]:
    descriptor = node.open_namespace("")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _WAIT_S
    while not holds():
        if time.monotonic() > give_up:
            raise RuntimeError(f"fabric_bare: not so after {_WAIT_S:.0f} s")
        time.sleep(_POLL_S)
