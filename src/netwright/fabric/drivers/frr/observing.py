"""Ask the kernel and the daemons for everything that `observed` holds. Blocks."""

import struct
from collections.abc import Mapping

from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import nft, shows
from netwright.fabric.drivers.frr.observed import Observed, Space
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.frr.vty import VtyError
from netwright.fabric.drivers.linux import marks
from netwright.fabric.drivers.linux.filters import EGRESS, Filter
from netwright.linux import links, tunnel_ends
from netwright.linux.links import KernelRoute, Link


def observe(session: Session) -> Observed:
    """Raises OSError when the switch does not answer."""
    netlink = session.netlink("")
    ends = tunnel_ends.parse_ends(netlink.dump(tunnel_ends.dump_ends()))
    spaces = {"": _space(session, "", ends)}
    for name in session.node.namespaces():
        try:
            spaces[name] = _space(session, name, ends)
        except OSError:  # one that goes at this moment, or a file that names no namespace
            continue
    found = filters(session, spaces[""].links)
    tagged, ports, fenced = _maps(session, found)
    daemons = _Daemons(session)
    return Observed(
        spaces=spaces,
        filters=found,
        tagged=tagged,
        ports=ports,
        fenced=fenced,
        bgp=shows.bgp_configuration(daemons.ask("bgpd", shows.SHOW_RUNNING)),
        vnis=shows.vnis_in_force(daemons.ask("bgpd", shows.SHOW_VNIS)),
        l3vnis=shows.l3vnis(daemons.ask("zebra", shows.SHOW_VRF_VNIS)),
        sessions=shows.sessions(daemons.ask("bgpd", shows.SHOW_SESSIONS)),
        ends=frozenset(ends.values()),
        silent=tuple(daemons.silent.values()),
    )


class _Daemons:
    """A daemon that does not answer is asked once; what it would say is then empty."""

    def __init__(self, session: Session) -> None:
        self.silent: dict[str, str] = {}
        self._session = session

    def ask(self, daemon: str, line: str) -> str:
        if daemon in self.silent:
            return ""
        try:
            return self._session.vty(daemon).ask(line)
        except VtyError:
            raise
        except OSError as error:
            self.silent[daemon] = error.strerror or str(error)
            return ""


def held(session: Session) -> frozenset[str]:
    """Host ports that the switch left down when it started, until it is complete."""
    try:
        text = session.node.hold.read_text()
    except FileNotFoundError:
        return frozenset()
    return frozenset(text.split())


def filters(session: Session, own: Mapping[int, Link] | None = None) -> dict[int, Filter]:
    """Ours, by interface; of interfaces that may have one."""
    if own is None:
        found_links = map(links.parse_link, session.netlink("").dump(links.dump_links()))
        own = {link.index: link for link in found_links}
    asked = [
        link.index
        for link in own.values()
        if link.kind not in {"bridge", "vxlan"}
        and link.name != "lo"
        and not (link.name.startswith(("nwi", "nwg")) and marks.read(link.alias) is not None)
    ]
    return session.filters_at("", asked)


def _space(session: Session, name: str, ends: Mapping[int, str]) -> Space:
    """`ends` are tunnel ends of ours, by the number that entries have for them."""
    netlink = session.netlink(name)
    found = map(links.parse_link, netlink.dump(links.dump_links()))
    addresses: dict[int, list[str]] = {}
    for address in map(links.parse_address, netlink.dump(links.dump_addresses())):
        if address is not None:
            addresses.setdefault(address.index, []).append(address.address)
    routes: set[KernelRoute] = set()
    for route in map(links.parse_route, netlink.dump(links.dump_routes())):
        if route is not None:
            routes.add(route)
    known = {link.index: link for link in found}
    return Space(
        links=known,
        addresses={index: tuple(sorted(each)) for index, each in addresses.items()},
        routes=frozenset(routes),
        nat=nft.parse(session.node.nft(name, "list", "ruleset")) if _translates(known) else {},
        senders=session.filters_at(name, _tunnels(known, "vni"), EGRESS),
        leading={
            index: {mac: ends.get(number, "") for mac, number in found_there.items()}
            for index in _tunnels(known, "l3vni")
            if (
                found_there := tunnel_ends.parse_entries(
                    netlink.dump(tunnel_ends.dump_entries(index))
                )
            )
        },
    )


def _tunnels(links_there: Mapping[int, Link], key: str) -> list[int]:
    """The vxlans of networks (`vni` in their marks), or of transit VNIs (`l3vni`); ours."""
    vxlans = (link for link in links_there.values() if link.kind == "vxlan")
    return [link.index for link in vxlans if key in (marks.read(link.alias) or {})]


def _translates(links_there: Mapping[int, Link]) -> bool:
    """Whether a gateway's mark says that it translates: to ask nft of every VRF takes long."""
    marked = (marks.read(link.alias) for link in links_there.values() if link.alias)
    return any(mark is not None and "nat" in mark for mark in marked)


def _maps(
    session: Session, found: dict[int, Filter]
) -> tuple[dict[tuple[int, int], int], dict[int, tuple[int, int]], dict[int, dict[str, str]]]:
    maps = session.maps(found)
    tagged: dict[tuple[int, int], int] = {}
    ports: dict[int, tuple[int, int]] = {}
    fenced: dict[int, dict[str, str]] = {}
    if map_ := maps.get(programs.TAGGED.name):
        for key, value in map_.items():
            port, vlan = struct.unpack("=II", key)
            tagged[port, vlan] = struct.unpack("=I", value)[0]
    if map_ := maps.get(programs.PORTS.name):
        for key, value in map_.items():
            port, vlan = struct.unpack("=II", value)
            ports[struct.unpack("=I", key)[0]] = port, vlan
    if map_ := maps.get(programs.FENCED.name):
        for key, value in map_.items():
            port, sender = programs.parse_fenced_key(key)
            port_id = value.rstrip(b"\0").decode(errors="replace")
            fenced.setdefault(port, {})[sender] = port_id
    return tagged, ports, fenced
