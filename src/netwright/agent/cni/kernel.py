"""A container's veth: made, read and removed by netlink; no process is started.

What happens inside a container's namespace happens in a thread that enters it (setns is per thread)
and ends there: no thread of the agent's is ever left in a namespace that is not its own.
"""

import _thread
import asyncio
import ctypes
import errno
import functools
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_interface
from pathlib import Path
from typing import BinaryIO, TypeVar

from netwright.agent.cni.abreast import Gate
from netwright.agent.cni.made import DEVICE_PREFIX, Fitting, Seen, Way
from netwright.linux import links
from netwright.linux.checksums import disable_checksum_offload
from netwright.linux.codec import Request
from netwright.linux.netlink import Netlink, RefusedError
from netwright.linux.shaping import Limit, shape

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_IPV6 = 6
_SO_NETNS_COOKIE, _COOKIE_BYTES = 71, 8
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESRCH})
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceGoneError(Exception):
    """There is no network namespace at that path (any more)."""


class InterfaceExistsError(Exception):
    """The container has an interface of that name already."""


class Kernel:
    """What is asked of this host's kernel. `checksums` false turns their offload off inside.

    Open vSwitch's userspace datapath takes frames as they leave the container, before any NIC
    could have completed a checksum.
    """

    def __init__(self, *, checksums: bool) -> None:
        self._checksums = checksums

    async def pair(self, fit: Fitting, netns: str, ifname: str, mark: str) -> str:
        """Both ends, the host's up: it may be plugged; which namespace the other is in.

        Whoever follows the host's links hears of a pair once, for all that is done comes at once.
        The other end is down: it hears and says nothing, wherever the host's end is plugged.
        Raises NamespaceGoneError, InterfaceExistsError, or OSError with what the kernel refused;
        what was made until then is for `remove`.
        """

        def work() -> str:
            with _opened(netns) as namespace:
                _make_pair(fit, namespace.fileno(), ifname, mark)
                _enter(namespace)
            return _identity()

        return await apart(work)

    async def furnish(
        self, fit: Fitting, netns: str, ifname: str, pair_in: str, wired: Gate
    ) -> None:
        """All that the container's end is to have; up when its port is `wired`.

        `pair_in` is what `pair` returned.
        Raises NamespaceGoneError, also when another is at that path, or OSError.
        """

        def work() -> None:
            with _opened(netns) as namespace:
                _enter(namespace)
            if _identity() != pair_in:
                raise NamespaceGoneError(f"{netns} is another one now")
            self._furnish(fit, ifname, wired)

        await apart(work, wired.give_up)

    async def read(self, netns: str, ifname: str) -> Seen | None:
        """The container's end as it is; None when it is not there. Raises NamespaceGoneError."""

        def work() -> Seen | None:
            with _opened(netns) as namespace:
                _enter(namespace)
            return _seen(ifname)

        return await apart(work)

    async def remove(self, device: str, mark: str | None = None) -> None:
        """The host's end, and the other with it; no error when they are gone already.

        With `mark`, only if it bears that one.
        """
        await apart(lambda: _remove(device, mark))

    async def links(self) -> Mapping[str, str]:
        """The host's veths that are named like a container's: their aliases ("": none) by name."""
        return await apart(_links)

    async def namespace(self, netns: str) -> str:
        """Which namespace is at that path, as `pair` returned it; "" when there is none.

        Raises OSError when that cannot be told.
        """

        def work() -> str:
            try:
                with _opened(netns) as namespace:
                    _enter(namespace)
            except NamespaceGoneError as gone:
                error = gone.__cause__
                if isinstance(error, OSError) and error.errno not in _NOTHING_THERE:
                    raise error from None
                return ""
            except OSError as error:
                if error.errno != errno.EINVAL:  # an empty file is left of it
                    raise
                return ""
            return _identity()

        return await apart(work)

    def _furnish(self, fit: Fitting, ifname: str, wired: Gate) -> None:
        """Runs inside. IPv6 is turned on before the interface is up: a runtime may have it off."""
        if any(ip_interface(one.address).version == _IPV6 for one in fit.addresses):
            Path("/proc/sys/net/ipv6/conf", ifname, "disable_ipv6").write_text("0", "ascii")
        with Netlink() as netlink:
            body = netlink.get(links.get_link(ifname))
            if body is None:
                raise NamespaceGoneError(ifname)
            index = links.parse_link(body).index
            netlink.tell(
                [
                    links.set_link(index, ifname, mac_address=fit.mac_address),
                    *_limited(index, fit.sent, f"a limit of what {ifname} sends"),
                ]
            )
            if not self._checksums:
                disable_checksum_offload(ifname)
            if not wired.wait():
                return
            netlink.tell(
                [
                    links.start("lo"),
                    links.start(ifname),
                    *(
                        links.change_address(index, one.address, ifname, add=True)
                        for one in fit.addresses
                    ),
                    *(
                        links.change_route(way.destination, way.nexthop, add=True)
                        for way in fit.ways
                    ),
                ]
            )


def _make_pair(fit: Fitting, namespace: int, ifname: str, mark: str) -> None:
    device = fit.device
    with Netlink() as netlink:
        try:
            netlink.tell([links.add_veth(device, ifname, namespace, fit.mtu, forwards=True)])
        except RefusedError as error:
            if error.errno == errno.EEXIST and netlink.get(links.get_link(device)) is None:
                raise InterfaceExistsError(ifname) from error
            raise
        try:
            netlink.tell([links.mark_forwarding(device, mark)])
        except RefusedError as error:
            if error.errno == errno.ENODEV:  # the container's namespace went, and both ends with it
                raise NamespaceGoneError(ifname) from error
            raise
        if fit.received is None:
            return
        body = netlink.get(links.get_link(device))
        if body is None:
            raise NamespaceGoneError(ifname)
        index = links.parse_link(body).index
        netlink.tell(_limited(index, fit.received, f"a limit of what {ifname} receives"))


def _limited(index: int, limit: Limit | None, what: str) -> Sequence[Request]:
    return () if limit is None else (shape(index, limit, what),)


async def apart(work: Callable[[], T], give_up: Callable[[], None] = lambda: None) -> T:
    """What `work` returns or raises, in a thread of its own: the kernel may keep it waiting.

    It is waited for also when the caller is cancelled: whoever undoes what it does must come after.
    `give_up` is called then, for a thread that waits for the caller.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, result)

    _thread.start_new_thread(run, ())  # `Thread.start` waits until it runs, as would the loop
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        give_up()
        with suppress(Exception):
            await done
        raise


def _opened(netns: str) -> BinaryIO:
    def open_at_once(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_NONBLOCK)  # whatever stands at that path

    try:
        return open(netns, "rb", buffering=0, opener=open_at_once)
    except OSError as error:
        raise NamespaceGoneError(f"{netns}: {error.strerror}") from error


def _enter(namespace: BinaryIO) -> None:
    """Move the calling thread for the rest of its life."""
    if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        what = f"{namespace.name} cannot be entered: {os.strerror(number)}"
        raise OSError(number, what)


def _identity() -> str:
    """Which namespace the calling thread is in: the kernel gives its number to no other until boot.

    An inode's number, and a path, it gives anew.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as any_socket:
        cookie = any_socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE_BYTES)
    return f"{_boot()}/{int.from_bytes(cookie, sys.byteorder)}"


@functools.cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _links() -> Mapping[str, str]:
    with Netlink() as netlink:
        found = map(links.parse_link, netlink.dump(links.dump_links()))
        return {
            one.name: one.alias
            for one in found
            if one.kind == "veth" and one.name.startswith(DEVICE_PREFIX)
        }


def _remove(device: str, mark: str | None) -> None:
    with Netlink() as netlink:
        body = netlink.get(links.get_link(device))
        if body is None:
            return
        link = links.parse_link(body)
        if mark not in {None, link.alias}:
            return
        try:
            netlink.tell([links.delete_link(link.index, device)])
        except RefusedError as error:
            if error.errno != errno.ENODEV:  # its namespace went meanwhile
                raise


def _seen(ifname: str) -> Seen | None:
    with Netlink() as netlink:
        body = netlink.get(links.get_link(ifname))
        if body is None:
            return None
        link = links.parse_link(body)
        addresses = (links.parse_address(each) for each in netlink.dump(links.dump_addresses()))
        routes = (links.parse_route(each) for each in netlink.dump(links.dump_routes()))
        return Seen(
            mac_address=link.mac_address,
            mtu=link.mtu,
            is_up=link.is_up,
            addresses=frozenset(
                one.address for one in addresses if one and one.index == link.index
            ),
            ways=frozenset(
                Way(destination=one.destination, nexthop=one.nexthop) for one in routes if one
            ),
        )
