"""An auditor of containers: reads Open vSwitch, namespaces and the database with their own tools.

It knows what a runtime knows: which containers it was answered for and has not ended. It imports
nothing of the product, and does not ask it. An address that rests is held.

    leaked      something is there of a container that is not: a port, a device, a veth, a flow, a
                record, an address that is held for a port that is gone
    duplicated  one address in two places, or somewhere else than where the database has it
    freed       a container lives, and something of it is not there, or not its own any more

While verbs and restarts are at work only the last two can be told, and of the last not the flows.
"""

import json
import re
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_interface
from pathlib import Path
from typing import Any, NamedTuple

LEAKED, DUPLICATED, FREED = "leaked", "duplicated", "freed"
CONTAINER_OWNER = "netwright:container"
MARK, ALIAS = "netwright-container", "netwright container "
DEVICE = re.compile(r"nwc\S+")
IN_PORT = re.compile(r"\bin_port=(\d+)\b")
SOURCE_MAC = re.compile(r"\bdl_src=([0-9a-f:]{17})\b")
SOURCE_ADDRESS = re.compile(r"\b(?:nw_src|arp_spa|ipv6_src|nd_target)=([0-9a-f.:]+)")
GIVEN_BY_KERNEL = "fe80:"
UNSPECIFIED = frozenset({"0.0.0.0", "::"})
NAMESPACES = Path("/run/netns")
TIMEOUT_S = 30


class Host(NamedTuple):
    """Where its parts are: its namespace, OVS' run directory, the directory of its records."""

    name: str
    namespace: str
    ovs: Path
    records: Path


class Container(NamedTuple):
    """One for which the runtime was answered and that it has not ended."""

    id: str
    host: str
    namespace: str
    mac: str
    addresses: frozenset[str]


class Port(NamedTuple):
    id: str
    container_id: str
    host: str | None
    state: str
    mac: str


class Allocation(NamedTuple):
    """An address that is held: by a port, or, at rest, by none."""

    address: str
    port_id: str | None


class Device(NamedTuple):
    """An interface on br-int with the mark of a container."""

    host: str
    name: str
    port_id: str
    container_id: str


class Link(NamedTuple):
    """A host's end of a veth; its alias says whose it is."""

    host: str
    name: str
    container_id: str


class Source(NamedTuple):
    """What a flow lets in from a port of br-int; `address` is "" where it names none."""

    host: str
    in_port: int
    mac: str
    address: str


class Seen(NamedTuple):
    """All of it at one moment. `inside` are addresses by namespace, `macs` likewise."""

    ports: tuple[Port, ...] = ()
    port_ids: frozenset[str] = frozenset()
    """Of ports of any kind."""
    allocations: tuple[Allocation, ...] = ()
    devices: tuple[Device, ...] = ()
    numbers: Mapping[tuple[str, int], str] = {}
    """Every interface on br-int, by host and OpenFlow number."""
    links: frozenset[Link] = frozenset()
    sources: frozenset[Source] = frozenset()
    records: frozenset[tuple[str, str]] = frozenset()
    inside: Mapping[str, frozenset[str]] = {}
    macs: Mapping[str, frozenset[str]] = {}


class Fault(NamedTuple):
    kind: str
    what: str


# -- reading


def look(hosts: Sequence[Host], database: Path, containers: str) -> Seen:
    """Containers' namespaces are those whose names begin with `containers`."""
    stored = read_database(database)
    devices: list[Device] = []
    numbers: dict[tuple[str, int], str] = {}
    links: set[Link] = set()
    let_in: set[Source] = set()
    records: set[tuple[str, str]] = set()
    for host in hosts:
        for row in _interfaces(host):
            numbers[host.name, row["ofport"]] = row["name"]
            ids = row["external_ids"]
            if MARK in ids:
                container_id = ids[MARK].partition("@")[0]
                devices.append(Device(host.name, row["name"], ids["iface-id"], container_id))
        found = _links(host.namespace)
        links |= {
            Link(host.name, link["ifname"], link.get("ifalias", "").removeprefix(ALIAS))
            for link in found
            if DEVICE.match(link["ifname"])
        }
        let_in |= set(sources(host.name, _flows(host)))
        paths = host.records.iterdir() if host.records.is_dir() else ()
        records |= {(host.name, path.name.partition("@")[0]) for path in paths}
    inside, macs = {}, {}
    for name in sorted(path.name for path in NAMESPACES.glob(f"{containers}*")):
        found = _links(name)
        inside[name] = frozenset(_addresses(found))
        macs[name] = frozenset(str(link.get("address", "")) for link in found)
    return stored._replace(
        devices=tuple(devices),
        numbers=numbers,
        links=frozenset(links),
        sources=frozenset(let_in),
        records=frozenset(records),
        inside=inside,
        macs=macs,
    )


def read_database(path: Path) -> Seen:
    """In one transaction: containers' ports, and all addresses that are held."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=TIMEOUT_S)
    try:
        connection.execute("begin")
        cursor = connection.execute(
            "select id, device_id, host, state, mac_address from port where device_owner = ?",
            (CONTAINER_OWNER,),
        )
        ports = tuple(Port(*row) for row in cursor)
        cursor = connection.execute("select address, port_id from allocation")
        held = tuple(Allocation(_address(key), port_id) for key, port_id in cursor)
        ids = frozenset(id_ for (id_,) in connection.execute("select id from port"))
    finally:
        connection.close()
    return Seen(ports=ports, port_ids=ids, allocations=held)


def _address(key: bytes) -> str:
    """Sixteen bytes; IPv4 lies in them as ::ffff:a.b.c.d."""
    address = IPv6Address(key)
    return str(address.ipv4_mapped or address)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def _interfaces(host: Host) -> Iterator[dict[str, Any]]:
    table = json.loads(
        _run("ovs-vsctl", f"--db=unix:{host.ovs}/db.sock", "--timeout=20", "--format=json",
             "--columns=name,external_ids,ofport", "list", "Interface")
    )  # fmt: skip
    on_bridge = _run("ovs-vsctl", f"--db=unix:{host.ovs}/db.sock", "list-ports", "br-int").split()
    for name, external_ids, ofport in table["data"]:
        if name not in on_bridge:
            continue
        number = ofport if isinstance(ofport, int) else -1  # it has none (yet)
        yield {"name": name, "external_ids": dict(external_ids[1]), "ofport": number}


def _flows(host: Host) -> str:
    target = f"unix:{host.ovs}/br-int.mgmt"
    return _run("ovs-ofctl", "-OOpenFlow14", "--no-names", "dump-flows", target)


def sources(host: str, flows: str) -> Iterator[Source]:
    for line in flows.splitlines():
        port, mac = IN_PORT.search(line), SOURCE_MAC.search(line)
        if port is not None and mac is not None:
            found = SOURCE_ADDRESS.search(line)
            address = found[1] if found else ""
            yield Source(host, int(port[1]), mac[1], "" if address in UNSPECIFIED else address)


def _links(namespace: str) -> list[dict[str, Any]]:
    """None of a namespace that went a moment ago."""
    argv = ("ip", "-netns", namespace, "-json", "-details", "address", "show")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    links: list[dict[str, Any]] = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return [link for link in links if link]


def _addresses(links: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for link in links:
        for one in link.get("addr_info", ()):
            address = str(ip_interface(str(one["local"])).ip)
            if link["ifname"] != "lo" and not address.startswith(GIVEN_BY_KERNEL):
                yield address


# -- judging


def faults(seen: Seen, live: Iterable[Container], *, settled: bool = True) -> list[Fault]:
    """`settled`: nothing is at work, and what was due has had its time."""
    containers = tuple(live)
    found = [*_duplicated(seen, containers), *_freed(seen, containers, with_flows=settled)]
    if settled:
        found += _leaked(seen, containers)
    return sorted(set(found))


def _leaked(seen: Seen, live: Sequence[Container]) -> Iterator[Fault]:
    ids = {one.id for one in live}
    yield from _leaked_in_database(seen, ids)
    for one in seen.devices:
        if one.container_id not in ids:
            yield Fault(LEAKED, f"{one.name} on {one.host}, of container {one.container_id}")
    for link in seen.links:
        if link.container_id not in ids:
            yield Fault(LEAKED, f"link {link.name} on {link.host}")
    for host, container_id in seen.records:
        if container_id not in ids:
            yield Fault(LEAKED, f"record of container {container_id} on {host}")
    for source in seen.sources:
        if (source.host, source.in_port) not in seen.numbers:
            yield Fault(LEAKED, f"flow for {source.mac} on {source.host}, of no interface")


def _leaked_in_database(seen: Seen, ids: Collection[str]) -> Iterator[Fault]:
    for port in seen.ports:
        is_kept = port.host is None and port.state != "RELEASING"  # for the next one of its name
        if not is_kept and port.container_id not in ids:
            yield Fault(LEAKED, f"port {port.id} of container {port.container_id}")
    for held in seen.allocations:
        if held.port_id is not None and held.port_id not in seen.port_ids:
            yield Fault(LEAKED, f"address {held.address} of port {held.port_id}, which is gone")


def _duplicated(seen: Seen, live: Sequence[Container]) -> Iterator[Fault]:
    inside = [(address, name) for name, each in seen.inside.items() for address in each]
    for address, names in _several(inside):
        yield Fault(DUPLICATED, f"address {address} is in {names}")
    let_in = [
        (source.address, f"port {source.in_port} of {source.host}")
        for source in seen.sources
        if source.address and not source.address.startswith(GIVEN_BY_KERNEL)
    ]
    for address, ports in _several(let_in):
        yield Fault(DUPLICATED, f"flows let in {address} from {ports}")
    for address, ids in _several((address, one.id) for one in live for address in one.addresses):
        yield Fault(DUPLICATED, f"address {address} was given to {ids}")


def _several(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What comes with more than one other, and with which."""
    found: dict[str, set[str]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
    for one, others in found.items():
        if len(others) > 1:
            yield one, ", ".join(sorted(others))


def _freed(seen: Seen, live: Sequence[Container], *, with_flows: bool) -> Iterator[Fault]:
    held = {one.address: one.port_id for one in seen.allocations}
    by_container: dict[str, list[Port]] = defaultdict(list)
    for port in seen.ports:
        if port.state != "RELEASING":
            by_container[port.container_id].append(port)
    for one in live:
        own = [port for port in by_container[one.id] if port.mac == one.mac]
        if not own:
            yield Fault(FREED, f"the port of container {one.id}")
            continue
        (port, *_) = own
        if port.host != one.host:
            yield Fault(FREED, f"port {port.id} of container {one.id} is bound to {port.host}")
        for address in one.addresses:
            if (why := _not_held(held, address, port)) is not None:
                yield Fault(FREED, f"address {address} of container {one.id}: {why}")
        yield from _freed_on_host(seen, one, port, with_flows=with_flows)


def _not_held(held: Mapping[str, str | None], address: str, port: Port) -> str | None:
    if address not in held:
        return "nobody holds it"
    if held[address] is None:
        return "it rests"
    return None if held[address] == port.id else f"held by {held[address]}"


def _freed_on_host(seen: Seen, one: Container, port: Port, *, with_flows: bool) -> Iterator[Fault]:
    inside = seen.inside.get(one.namespace, frozenset())
    for address in one.addresses - inside:
        yield Fault(FREED, f"container {one.id} has no {address} inside")
    if one.mac not in seen.macs.get(one.namespace, frozenset()):
        yield Fault(FREED, f"container {one.id} has no interface with {one.mac}")
    devices = [
        each
        for each in seen.devices
        if (each.host, each.container_id, each.port_id) == (one.host, one.id, port.id)
    ]
    if not devices:
        yield Fault(FREED, f"container {one.id} is not plugged")
        return
    (device, *_) = devices
    if Link(one.host, device.name, one.id) not in seen.links:
        yield Fault(FREED, f"container {one.id} has no {device.name} on {one.host}")
    if not with_flows:
        return
    let_in = {
        source.address
        for source in seen.sources
        if source.host == one.host
        and source.mac == one.mac
        and seen.numbers.get((one.host, source.in_port)) == device.name
    }
    for address in one.addresses - let_in:
        yield Fault(FREED, f"no flow lets in {address} from container {one.id}")
