"""A switch as its kernel and its daemons tell it: values, not yet judged."""

from collections.abc import Iterator, Mapping

from netwright.fabric.config import Nat
from netwright.fabric.drivers.frr.shows import BgpConfiguration, Instance
from netwright.fabric.drivers.linux import marks
from netwright.fabric.drivers.linux.filters import Filter
from netwright.linux.links import KernelRoute, Link
from netwright.model.resources import Value


class Space(Value, frozen=True):
    """A network namespace: links by index, addresses by the link's index; `nat` by its table.

    `senders` are filters of ours at the egress of vxlans, by the link's index; `leading` is what
    stays known in transit VNIs' vxlans: MAC → tunnel end, "" when that is none of ours.
    """

    links: Mapping[int, Link]
    addresses: Mapping[int, tuple[str, ...]] = {}
    routes: frozenset[KernelRoute] = frozenset()
    nat: Mapping[str, Nat] = {}
    senders: Mapping[int, Filter] = {}
    leading: Mapping[int, Mapping[str, str]] = {}

    def find(self, name: str) -> Link | None:
        return next((link for link in self.links.values() if link.name == name), None)

    def sender_filter(self, index: int) -> str:
        """The name of the one at this link; "" when there is none."""
        return self.senders[index].name if index in self.senders else ""


class Observed(Value, frozen=True):
    """`spaces`: "" is the switch's own namespace; the others are VRFs, ours or not.

    `filters` are ours by the interface's index. `tagged`, `ports`, `fenced` are the maps of
    `bpf.programs`, the last by interface: a leaf's tens of thousands are looked up by its hundreds.
    `vnis` are in force in bgpd, `l3vnis` in zebra. `sessions` are bgpd's
    for EVPN, and whether they are established. `ends` are tunnel ends of ours, by their addresses.
    `silent` says which daemons do not answer, and why.
    """

    spaces: Mapping[str, Space]
    filters: Mapping[int, Filter] = {}
    tagged: Mapping[tuple[int, int], int] = {}
    ports: Mapping[int, tuple[int, int]] = {}
    fenced: Mapping[int, Mapping[str, str]] = {}
    bgp: BgpConfiguration = BgpConfiguration()
    vnis: Mapping[int, Instance] = {}
    l3vnis: Mapping[str, int] = {}
    sessions: Mapping[str, bool] = {}
    ends: frozenset[str] = frozenset()
    silent: tuple[str, ...] = ()

    @property
    def own(self) -> Space:
        return self.spaces[""]

    def marked(self) -> Iterator[tuple[str, Link, Mapping[str, str]]]:
        """Interfaces that bear our mark, with their namespaces and what the mark says."""
        for name, space in self.spaces.items():
            for link in space.links.values():
                mark = marks.read(link.alias) if link.alias else None
                if mark is not None:
                    yield name, link, mark
