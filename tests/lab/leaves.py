"""What leaves do for containers' hosts, read by an auditor: bridges, BPF maps, FRR.

    led     a VLAN at a host's port comes to a VNI         map nw_tagged, a veth, a bridge, a vxlan
    vnis    a VNI is there                                 the kernel's vxlan; zebra's, bgpd's list
    heard   a MAC is behind a host's port                  the bridge's table, zebra's
    drops   what a fence drops at a host's port            map nw_fenced
    shut    a host's port that is held down                the kernel's flags
    loose   a bridge or veth that belongs to nothing

It imports nothing of the product, and takes no name of an interface for what it is: the kernel's
indexes, masters and peers say that.
"""

import json
import re
import socket
import struct
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from tests.lab.bpf_maps import maps_of

TAGGED, FENCED = "nw_tagged", "nw_fenced"
OWN_BRIDGE = "netwright"
"""It is down, has no ports, and bears the number of the lease: it stays."""
TIMEOUT_S = 30
MAC, IPV4, IPV6 = 1, 4, 6
"""Kinds of what a fence drops; sixteen octets follow."""
WORDS = re.compile(r"^(\d+)$")

Links: TypeAlias = Mapping[int, Mapping[str, Any]]
"""Of a namespace, by index, as `ip -json` has them."""


class UnreadError(Exception):
    """A tool of the system could not read what it was asked for."""


class Leaf(NamedTuple):
    """Its namespace, the directory of its daemons' sockets, and the host behind each port."""

    name: str
    namespace: str
    daemons: Path
    hosts: Mapping[str, str]


class Led(NamedTuple):
    """`vni` is 0 where the VLAN leads to nothing that has one."""

    leaf: str
    host: str
    vlan: int
    vni: int


class Vni(NamedTuple):
    """`where` is the kernel, zebra or bgpd."""

    leaf: str
    vni: int
    where: str


class Heard(NamedTuple):
    leaf: str
    host: str
    vni: int
    mac: str


class Drop(NamedTuple):
    """`sender` is a MAC or an address."""

    leaf: str
    host: str
    sender: str


class SeenLeaves(NamedTuple):
    """All of it at one moment. `of_host` are each host's leaves, whatever they do for it.

    `unread` has those that did not answer, and why.
    """

    of_host: Mapping[str, frozenset[str]] = {}
    led: frozenset[Led] = frozenset()
    vnis: frozenset[Vni] = frozenset()
    heard: frozenset[Heard] = frozenset()
    drops: frozenset[Drop] = frozenset()
    shut: frozenset[tuple[str, str]] = frozenset()
    loose: frozenset[tuple[str, str]] = frozenset()
    unread: frozenset[tuple[str, str]] = frozenset()

    def silences(self, host: str, mac: str) -> bool:
        """Whether each leaf of the host drops what it says by this MAC, or hears nothing of it."""
        leaves = self.of_host.get(host, frozenset())
        dropping = {one.leaf for one in self.drops if (one.host, one.sender) == (host, mac)}
        deaf = {leaf for leaf, of_port in self.shut if of_port == host}
        return bool(leaves) and leaves <= dropping | deaf


def look(leaves: Sequence[Leaf], *, whole: bool = True) -> SeenLeaves:
    """Without `whole` no more than whom they silence."""
    of_host: dict[str, set[str]] = defaultdict(set)
    for leaf in leaves:
        for host in leaf.hosts.values():
            of_host[host].add(leaf.name)
    with ThreadPoolExecutor(max(len(leaves), 1)) as pool:
        each = list(pool.map(lambda leaf: _look_at(leaf, whole=whole), leaves))
    parts = {
        name: frozenset[Any]().union(*(getattr(one, name) for one in each))
        for name in SeenLeaves._fields
        if name != "of_host"
    }
    return SeenLeaves(of_host={host: frozenset(names) for host, names in of_host.items()}, **parts)


def _look_at(leaf: Leaf, *, whole: bool) -> SeenLeaves:
    try:
        links = read_links(leaf.namespace)
        tagged, fenced = read_maps(leaf)
        silenced = _silenced(leaf, links, fenced)
        return _read_whole(leaf, links, tagged, silenced) if whole else silenced
    except (OSError, UnreadError, ValueError) as error:  # it boots, it was just changed
        return SeenLeaves(unread=frozenset({(leaf.name, str(error))}))


def _silenced(leaf: Leaf, links: Links, fenced: Iterable[bytes]) -> SeenLeaves:
    ports = _ports(leaf, links)
    return SeenLeaves(
        drops=frozenset(
            Drop(leaf.name, ports.get(port, f"port {port}"), sender)
            for port, sender in map(fence_of, fenced)
        ),
        shut=frozenset(
            (leaf.name, host) for index, host in ports.items() if "UP" not in links[index]["flags"]
        ),
    )


def _read_whole(
    leaf: Leaf, links: Links, tagged: Mapping[bytes, bytes], silenced: SeenLeaves
) -> SeenLeaves:
    led, inner = ways(leaf.name, _ports(leaf, links), tagged, links)
    told = {
        "the kernel": [vni for link in links.values() if (vni := vni_of(link))],
        "zebra": numbers(_ask(leaf, "zebra", "show evpn vni json")),
        "bgpd": numbers(_ask(leaf, "bgpd", "show bgp l2vpn evpn vni json")),
    }
    return silenced._replace(
        led=frozenset(led),
        vnis=frozenset(Vni(leaf.name, vni, where) for where, each in told.items() for vni in each),
        heard=frozenset(
            Heard(leaf.name, inner[name].host, inner[name].vni, mac)
            for name, mac in [*_zebra_macs(leaf), *_bridged_macs(leaf.namespace)]
            if name in inner
        ),
        loose=frozenset((leaf.name, name) for name in loose(tagged, links)),
    )


def _ports(leaf: Leaf, links: Links) -> Mapping[int, str]:
    """Hosts by the index of their port."""
    return {
        index: leaf.hosts[link["ifname"]]
        for index, link in links.items()
        if link["ifname"] in leaf.hosts
    }


# -- reading


def read_maps(leaf: Leaf) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Of the programs at its hosts' ports; they have their maps in common."""
    for number in programs(leaf):
        with maps_of(number) as maps:
            if {TAGGED, FENCED} <= maps.keys():
                return maps[TAGGED].content(), maps[FENCED].content()
    return {}, {}


def programs(leaf: Leaf) -> Iterator[int]:
    """The numbers of the programs that its hosts' frames come to."""
    for port in sorted(leaf.hosts):
        argv = ("tc", "-n", leaf.namespace, "-json", "filter", "show", "dev", port, "ingress")
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        for found in json.loads(done.stdout or "[]"):  # nothing where there is no hook
            if (program := found.get("options", {}).get("prog")) is not None:
                yield int(program["id"])


def read_links(namespace: str) -> Links:
    found = json.loads(_run("ip", "-n", namespace, "-json", "-details", "link", "show"))
    return {int(link["ifindex"]): link for link in found if link}


def _bridged_macs(namespace: str) -> Iterator[tuple[str, str]]:
    """MACs that the kernel has learned, with the bridge's port."""
    for entry in json.loads(_run("bridge", "-n", namespace, "-json", "fdb", "show")):
        learned = "master" in entry and entry.get("state") != "permanent"
        if learned and "extern_learn" not in entry["flags"]:
            yield entry["ifname"], entry["mac"]


def _zebra_macs(leaf: Leaf) -> Iterator[tuple[str, str]]:
    for of_vni in _ask(leaf, "zebra", "show evpn mac vni all json").values():
        for mac, known in of_vni.get("macs", {}).items():
            if known["type"] == "local":
                yield known.get("intf", ""), mac


def numbers(answer: Mapping[str, Any]) -> Iterator[int]:
    """The VNIs of a list by number; other keys are counts."""
    yield from (int(key) for key in answer if WORDS.match(key))


def _ask(leaf: Leaf, daemon: str, words: str) -> dict[str, Any]:
    argv = ("vtysh", "--vty_socket", str(leaf.daemons), "-d", daemon, "-c", words)
    answer: dict[str, Any] = json.loads(_run(*argv) or "{}")
    return answer


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise UnreadError(f"{argv}: {done.stderr}")
    return done.stdout


# -- understanding


def ways(
    leaf: str, ports: Mapping[int, str], tagged: Mapping[bytes, bytes], links: Links
) -> tuple[set[Led], dict[str, Led]]:
    """Where VLANs of hosts' ports lead; and by which of a bridge's ports each comes in."""
    vni_at = {link.get("master"): vni for link in links.values() if (vni := vni_of(link))}
    by_name = {link["ifname"]: link for link in links.values()}
    led, inner = set(), {}
    for key, value in tagged.items():
        (port, vlan), (outer,) = struct.unpack("=II", key), struct.unpack("=I", value)
        peer = by_name.get(links.get(outer, {}).get("link", ""), {})
        vni = vni_at.get(peer.get("master"), 0) if peer.get("master") else 0
        found = Led(leaf, ports.get(port, f"port {port}"), vlan, vni)
        led.add(found)
        if peer:
            inner[peer["ifname"]] = found
    return led, inner


def loose(tagged: Mapping[bytes, bytes], links: Links) -> Iterator[str]:
    """Veths of its own that no VLAN leads to; bridges without a VNI. Cables end elsewhere."""
    outers = {struct.unpack("=I", value)[0] for value in tagged.values()}
    bridged = {link.get("master") for link in links.values() if vni_of(link)}
    for index, link in links.items():
        kind = link.get("linkinfo", {}).get("info_kind")
        if kind == "veth" and "link" in link and "master" not in link and index not in outers:
            yield link["ifname"]
        if kind == "bridge" and link["ifname"] not in bridged | {OWN_BRIDGE}:
            yield link["ifname"]


def vni_of(link: Mapping[str, Any]) -> int:
    """A vxlan's; 0 of all else."""
    info = link.get("linkinfo", {})
    return int(info["info_data"]["id"]) if info.get("info_kind") == "vxlan" else 0


def fence_of(key: bytes) -> tuple[int, str]:
    """The port's index, and what is dropped there."""
    port, kind = struct.unpack_from("=II", key)
    octets = key[8:]
    if kind == MAC:
        return port, octets[:6].hex(":")
    if kind == IPV4:
        return port, socket.inet_ntop(socket.AF_INET, octets[:4])
    return port, socket.inet_ntop(socket.AF_INET6, octets[:16])


def fence_key(port: int, mac: str) -> bytes:
    return struct.pack("=II", port, MAC) + bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")


# -- judging


class Wish(NamedTuple):
    """A network is wanted at a host, where a container of it is."""

    host: str
    vni: int


def left(
    seen: SeenLeaves, wishes: Collection[Wish], vlans: Mapping[tuple[str, int], int]
) -> Iterator[str]:
    """What is there of networks without a container. `vlans`, by host and VNI, has the database."""
    for one in seen.led:
        if Wish(one.host, one.vni) not in wishes:
            yield f"{one.leaf} leads VLAN {one.vlan} of {one.host} to VNI {one.vni}"
    behind = {
        (leaf, wish.vni) for wish in wishes for leaf in seen.of_host.get(wish.host, frozenset())
    }
    for each in seen.vnis:
        if (each.leaf, each.vni) not in behind:
            yield f"VNI {each.vni} on {each.leaf}, as {each.where} has it"
    for drop in seen.drops:
        yield f"{drop.leaf} drops {drop.sender} from {drop.host}"
    for leaf, name in seen.loose:
        yield f"{name} on {leaf}, which belongs to nothing"
    for host, vni in vlans:
        if Wish(host, vni) not in wishes:
            yield f"attachment of VNI {vni} on {host}"


def misled(seen: SeenLeaves, vlans: Mapping[tuple[str, int], int]) -> Iterator[str]:
    """Another VLAN than the database has; a MAC behind two hosts."""
    for one in seen.led:
        told = vlans.get((one.host, one.vni), one.vlan)
        if one.vlan != told:
            way = f"{one.leaf} leads VLAN {one.vlan} of {one.host} to VNI {one.vni}"
            yield f"{way}, not VLAN {told}"
    behind: dict[tuple[int, str], set[str]] = defaultdict(set)
    for each in seen.heard:
        behind[each.vni, each.mac].add(each.host)
    for (vni, mac), hosts in behind.items():
        if len(hosts) > 1:
            yield f"MAC {mac} of VNI {vni} is behind {', '.join(sorted(hosts))}"


def missing(seen: SeenLeaves, wish: Wish) -> Iterator[str]:
    """Leaves of a container's host that do not take its network."""
    leading = {one.leaf for one in seen.led if (one.host, one.vni) == wish}
    for leaf in sorted(seen.of_host.get(wish.host, frozenset()) - leading):
        yield f"{leaf} leads no VLAN of {wish.host} to VNI {wish.vni}"


def elsewhere(seen: SeenLeaves, wish: Wish, mac: str) -> Iterator[str]:
    """Other hosts than its own behind which a living container's MAC was last heard."""
    hosts = {one.host for one in seen.heard if (one.vni, one.mac) == (wish.vni, mac)}
    for host in sorted(hosts - {wish.host}):
        yield f"MAC {mac} of VNI {wish.vni} is behind {host}"
