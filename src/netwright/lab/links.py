"""Interfaces: veth pairs, addresses, routes, checksum offload, kernel settings.

Both ends of a veth are made directly in their namespaces, never first in the machine's own: a lab
that is killed leaves nothing behind there.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netwright.lab import netns
from netwright.lab.errors import LabError

_IFF_NOARP = 0x80
_IFF_UP = 1
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


class VethEnd(Struct, frozen=True):
    namespace: str
    interface: str


class Configuration(Struct, frozen=True):
    """What an interface shall be: absent values stay as the kernel made them.

    `addresses` carry prefix lengths; `gateways` become default routes, one a family at most. The
    kernel speaks IPv6 only on an interface that has such an address, or `link_local`. Without
    `asks_neighbours` there is no ARP: all others are taken to have the interface's own MAC.
    """

    interface: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    mac: str | None = None
    mtu: int | None = None
    checksum_offload: bool = True
    link_local: bool = False
    is_up: bool = True
    asks_neighbours: bool = True


def create_veths(pairs: Iterable[tuple[VethEnd, VethEnd]]) -> None:
    """All pairs over one netlink socket. Raises LabError naming the pair that failed."""
    descriptors: dict[str, int] = {}

    def descriptor(namespace: str) -> int:
        if namespace not in descriptors:
            descriptors[namespace] = os.open(netns.FOLDER / namespace, os.O_RDONLY | os.O_CLOEXEC)
        return descriptors[namespace]

    try:
        with IPRoute() as netlink:
            for one, other in pairs:
                try:
                    netlink.link(
                        "add",
                        kind="veth",
                        ifname=one.interface,
                        net_ns_fd=descriptor(one.namespace),
                        peer={
                            "ifname": other.interface,
                            "net_ns_fd": descriptor(other.namespace),
                        },
                    )
                except (NetlinkError, FileNotFoundError) as error:
                    msg = (
                        f"lab: no veth from {one.interface} in {one.namespace} to "
                        f"{other.interface} in {other.namespace}: {error}"
                    )
                    raise LabError(msg) from error
    finally:
        for number in descriptors.values():
            os.close(number)


def open_switch_ports(namespace: str, mark: str) -> None:
    """Brings every interface of a switch or host up, marks it, and keeps the kernel's own IPv6 off.

    The kernel must not speak (router solicitations, MLD) on interfaces that OVS forwards on.
    """

    def work() -> None:
        write_sysctl("net/ipv6/conf/all/disable_ipv6", "1")
        with IPRoute() as netlink:
            for link in netlink.get_links():
                name = link.get_attr("IFLA_IFNAME")
                alias = {} if name == "lo" else {"ifalias": mark}
                netlink.link("set", index=link["index"], state="up", **alias)

    netns.run_in(namespace, work)


def configure(namespace: str, mark: str, configurations: Iterable[Configuration]) -> None:
    """Makes interfaces so and brings them up; IPv6 addresses are usable at once.

    Duplicate address detection is off: it would delay an address by seconds, and who has which
    address is decided elsewhere. Raises LabError naming the interface.
    """

    def work() -> None:
        with IPRoute() as netlink:
            netlink.link("set", index=1, state="up")
            for wanted in configurations:
                try:
                    _configure(netlink, mark, wanted)
                except (NetlinkError, OSError) as error:
                    msg = f"lab: {wanted.interface} in {namespace} cannot become {wanted}: {error}"
                    raise LabError(msg) from error

    netns.run_in(namespace, work)


def bridge(namespace: str, mark: str, name: str, members: Iterable[str]) -> None:
    """Makes a bridge of the kernel's with these interfaces on it, all up; it speaks no IPv6."""

    def work() -> None:
        write_sysctl("net/ipv6/conf/all/disable_ipv6", "1")
        with IPRoute() as netlink:
            netlink.link("add", kind="bridge", ifname=name, br_stp_state=0, br_forward_delay=0)
            netlink.link("set", index=_index(netlink, name), state="up", ifalias=mark)
            for member in members:
                index = _index(netlink, member)
                port = {"state": "up", "ifalias": mark, "master": _index(netlink, name)}
                netlink.link("set", index=index, **port)

    netns.run_in(namespace, work)


def move(namespace: str, other: str, interfaces: Iterable[str]) -> None:
    """Takes interfaces to another namespace, where they are down and bare; their peers stay."""
    descriptor = os.open(netns.FOLDER / other, os.O_RDONLY | os.O_CLOEXEC)

    def work() -> None:
        with IPRoute() as netlink:
            for interface in interfaces:
                netlink.link("set", index=_index(netlink, interface), net_ns_fd=descriptor)

    try:
        netns.run_in(namespace, work)
    finally:
        os.close(descriptor)


def set_state(namespace: str, interface: str, *, up: bool) -> None:
    """Takes an interface down or up; its peer sees carrier go or come."""

    def work() -> None:
        with IPRoute() as netlink:
            index = _index(netlink, interface)
            netlink.link("set", index=index, state="up" if up else "down")

    netns.run_in(namespace, work)


def neighbours(namespace: str, interface: str) -> tuple[tuple[str, str], ...]:
    """Whom it knows by an interface: (address, MAC)."""

    def work() -> tuple[tuple[str, str], ...]:
        with IPRoute() as netlink:
            found = netlink.get_neighbours(ifindex=_index(netlink, interface))
            known = ((one.get_attr("NDA_DST"), one.get_attr("NDA_LLADDR")) for one in found)
            return tuple((address, mac) for address, mac in known if address and mac)

    return netns.run_in(namespace, work)


def learn(namespace: str, interface: str, known: Iterable[tuple[str, str]]) -> None:
    """Have it know these, as it knows those that it has not spoken to for a while."""

    def work() -> None:
        with IPRoute() as netlink:
            index = _index(netlink, interface)
            for address, mac in known:
                netlink.neigh("replace", dst=address, lladdr=mac, ifindex=index, state="stale")

    netns.run_in(namespace, work)


def flush(namespace: str, interface: str) -> None:
    """Takes all addresses, and with them the routes, off an interface."""

    def work() -> None:
        with IPRoute() as netlink:
            netlink.flush_addr(index=_index(netlink, interface))

    netns.run_in(namespace, work)


def remove(namespace: str, interfaces: Iterable[str]) -> None:
    """Deletes interfaces; absent ones are no error.

    A veth may go between look-up and deletion: the kernel ends it with its peer's namespace.
    """

    def work() -> None:
        with IPRoute() as netlink:
            for interface in interfaces:
                for index in netlink.link_lookup(ifname=interface):
                    try:
                        netlink.link("del", index=index)
                    except NetlinkError as error:
                        if error.code != errno.ENODEV:
                            raise

    netns.run_in(namespace, work)


def interfaces_in(namespace: str) -> list[str]:
    def work() -> list[str]:
        return [name for _, name in socket.if_nameindex()]

    return netns.run_in(namespace, work)


def interfaces_down(namespace: str) -> set[str]:
    """Those that were taken down; an interface that only lost its carrier is not."""

    def work() -> set[str]:
        with IPRoute() as netlink:
            return {
                str(link.get_attr("IFLA_IFNAME"))
                for link in netlink.get_links()
                if not link["flags"] & _IFF_UP
            }

    return netns.run_in(namespace, work)


def write_sysctl(name: str, value: str) -> None:
    """`net/…` belongs to the namespace of the thread that writes it."""
    (Path("/proc/sys") / name).write_text(value)


def _configure(netlink: IPRoute, mark: str, wanted: Configuration) -> None:
    index = _index(netlink, wanted.interface)
    if not wanted.checksum_offload:
        _disable_checksum_offload(wanted.interface)
    settings: dict[str, object] = {"ifalias": mark}
    if wanted.mac is not None:
        settings["address"] = wanted.mac
    if wanted.mtu is not None:
        settings["mtu"] = wanted.mtu
    if not wanted.asks_neighbours:
        settings |= {"flags": _IFF_NOARP, "mask": _IFF_NOARP}
    netlink.link("set", index=index, **settings)
    ipv6 = f"net/ipv6/conf/{wanted.interface}"
    speaks_ipv6 = wanted.link_local or any(":" in address for address in wanted.addresses)
    write_sysctl(f"{ipv6}/disable_ipv6", "0" if speaks_ipv6 else "1")
    write_sysctl("net/ipv6/conf/all/accept_dad", "0")
    write_sysctl(f"{ipv6}/accept_dad", "0")
    netlink.link("set", index=index, state="up" if wanted.is_up else "down")
    for address in wanted.addresses:
        ip, _, length = address.partition("/")
        netlink.addr("replace", index=index, address=ip, prefixlen=int(length))
    for gateway in wanted.gateways:
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        default = "::/0" if ":" in gateway else "0.0.0.0/0"
        netlink.route("replace", family=family, dst=default, gateway=gateway, oif=index)


def _index(netlink: IPRoute, interface: str) -> int:
    found = netlink.link_lookup(ifname=interface)
    if not found:
        raise OSError(f"there is no interface {interface}")
    return int(found[0])


def _disable_checksum_offload(interface: str) -> None:
    """`ethtool -K IF tx off`, without a process.

    OVS's userspace data path passes frames on as it reads them; with offload on, TCP and UDP
    would leave here with half a checksum that nobody completes (ping does not show it).
    """
    value = (ctypes.c_uint32 * 2)(_ETHTOOL_STXCSUM, 0)
    request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(value))  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, request)
