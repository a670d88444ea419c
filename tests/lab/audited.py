"""What an auditor of containers reads: Open vSwitch, namespaces, records, leaves, the database.

Each with its own tools, nothing of the product's.
"""

import json
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv6Address, ip_interface
from pathlib import Path
from typing import Any, NamedTuple

from tests.lab import leaves as leaves_of
from tests.lab.leaves import Leaf, SeenLeaves

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
    network_id: str


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
    leaves: SeenLeaves = SeenLeaves()
    vnis: Mapping[str, int] = {}
    """Of the networks that have one, by id."""
    vlans: Mapping[tuple[str, int], int] = {}
    """What the database has for a host and a VNI."""
    fences: frozenset[tuple[str, str]] = frozenset()
    """Ports, by host, whose fences the database has."""


# -- reading


def look(
    hosts: Sequence[Host],
    database: Path,
    containers: str,
    leaves: Sequence[Leaf],
    *,
    settled: bool = True,
) -> Seen:
    """Containers' namespaces are those whose names begin with `containers`.

    Leaves come first: where one of two hosts was still silenced, both may have the address after.
    Unless all is `settled` they are read for whom they silence alone.
    """
    at_leaves = leaves_of.look(leaves, whole=settled)
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
        leaves=at_leaves,
    )


def read_database(path: Path) -> Seen:
    """In one transaction: containers' ports, all addresses that are held, what leaves shall do."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=TIMEOUT_S)
    try:
        connection.execute("begin")
        cursor = connection.execute(
            "select id, device_id, host, state, mac_address, network_id from port"
            " where device_owner = ?",
            (CONTAINER_OWNER,),
        )
        ports = tuple(Port(*row) for row in cursor)
        cursor = connection.execute("select address, port_id from allocation")
        held = tuple(Allocation(_address(key), port_id) for key, port_id in cursor)
        ids = frozenset(id_ for (id_,) in connection.execute("select id from port"))
        cursor = connection.execute(
            "select id, segmentation_id from network where network_type = 'vxlan'"
        )
        vnis = dict(cursor.fetchall())
        attachments = connection.execute("select network_id, host, body from attachment").fetchall()
        hosts = connection.execute("select name, body from host").fetchall()
    finally:
        connection.close()
    return Seen(
        ports=ports,
        port_ids=ids,
        allocations=held,
        vnis=vnis,
        vlans={
            (host, vnis[network_id]): json.loads(body)["vlan"]
            for network_id, host, body in attachments
        },
        fences=frozenset(
            (name, fence["port_id"])
            for name, body in hosts
            for fence in json.loads(body)["port_fences"]
        ),
    )


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
