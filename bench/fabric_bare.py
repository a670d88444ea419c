"""What a fabric itself takes on one pair of leaves, done bare by a program that knows all beforehand.

The same requests as the driver's, to the same kernel and daemons, on both leaves at once; nothing
is read, compared, saved, reported. What it makes has no mark of ours, and goes again.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

from netwright.fabric.drivers.frr import shows
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.linux import links
from netwright.fabric.drivers.linux.node import Node
from netwright.lab.nodes import frr
from netwright.lab.state import Lab

FIRST_VNI = 16_000_000
_MTU = 1500
_POLL_S = 0.004
_WAIT_S = 10.0
_VRF = "floor"
_ADMINISTRATOR = 64999
"""Of the route targets, which nobody else imports."""


class Bare(NamedTuple):
    """Seconds of one VNI: until each leaf's bgpd has it, until each has the other's route too.

    `access`: a VLAN's pair of devices more in its bridge; the rest of a VLAN is two entries in maps.
    """

    in_force: float
    imported: float
    access: float


class Pair:
    """Two leaves that share hosts. One thread each, as the controller has them."""

    def __init__(self, lab: Lab, leaves: tuple[str, str]) -> None:
        self._leaves = [_Leaf(lab, name) for name in leaves]
        self._vni = FIRST_VNI

    def vni(self) -> Bare:
        """One VNI more on both, then gone."""
        self._vni += 1
        number, (one, other) = self._vni, self._leaves
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            in_force = list(pool.map(lambda leaf: leaf.add(number) - began, self._leaves))
            heard = [
                pool.submit(one.hear, number, other.loopback),
                pool.submit(other.hear, number, one.loopback),
            ]
            imported = [each.result() - began for each in heard]
            began = time.perf_counter()
            access = list(pool.map(lambda leaf: leaf.add_access(number) - began, self._leaves))
            list(pool.map(lambda leaf: leaf.remove(number), self._leaves))
        return Bare(max(in_force), max(imported), max(access))

    def vrf(self) -> float:
        """Seconds until zebra of both lists a VRF more; then gone."""
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            return max(pool.map(lambda leaf: leaf.vrf() - began, self._leaves))


class _Leaf:
    def __init__(self, lab: Lab, name: str) -> None:
        speaker = frr.fabric_switch(lab, name).speaker
        self.loopback, self._asn = speaker.loopback, speaker.asn
        self._node = Node(lab.node_directory(name))

    def add(self, vni: int) -> float:
        """When bgpd has it."""
        bridge, vxlan = _names(vni)
        with self._session() as session:
            lines = (f"rd {self.loopback}:{vni % 65536}",)
            lines += tuple(
                f"route-target {way} {_ADMINISTRATOR}:{vni}" for way in ("import", "export")
            )
            head = (f"router bgp {self._asn}", "address-family l2vpn evpn", f"vni {vni}")
            session.vty("bgpd").configure((*head, *lines))
            own = session.netlink("")
            own.tell([links.add_bridge(bridge, None, _MTU)])
            with _namespace(self._node) as here:
                own.tell([links.add_vxlan(vxlan, vni, self.loopback, _MTU, here)])
            index = _index(session, bridge)
            tunnel = _index(session, vxlan)
            own.tell(
                [
                    links.set_link(index, bridge, up=True),
                    links.set_link(tunnel, vxlan, master=index),
                    links.set_bridge_port(tunnel, vxlan, learning=False, suppress=True),
                    links.set_link(tunnel, vxlan, up=True),
                ]
            )
            ask = session.vty("bgpd").ask
            _until(lambda: vni in shows.vnis_in_force(ask(shows.SHOW_VNIS)))
            return time.perf_counter()

    def hear(self, vni: int, other: str) -> float:
        """When zebra has the other leaf's route of it."""
        with self._session() as session:
            ask = session.vty("zebra").ask
            _until(lambda: other in shows.remote_vteps(ask(shows.SHOW_EVPN)).get(vni, ()))
            return time.perf_counter()

    def add_access(self, vni: int) -> float:
        bridge, _ = _names(vni)
        outer, inner = f"bfo{vni % 10**6}", f"bfi{vni % 10**6}"
        with self._session() as session, _namespace(self._node) as here:
            own = session.netlink("")
            own.tell([links.add_veth(outer, inner, here, _MTU)])
            own.tell(
                [
                    links.set_link(
                        _index(session, inner), inner, up=True, master=_index(session, bridge)
                    ),
                    links.set_link(_index(session, outer), outer, up=True),
                ]
            )
            return time.perf_counter()

    def remove(self, vni: int) -> None:
        with self._session() as session:
            for name in (f"bfo{vni % 10**6}", *reversed(_names(vni))):
                session.netlink("").tell([links.delete_link(_index(session, name), name)])
            head = (f"router bgp {self._asn}", "address-family l2vpn evpn")
            session.vty("bgpd").configure((*head, f"no vni {vni}"))

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
