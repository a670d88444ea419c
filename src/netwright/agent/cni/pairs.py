"""A container's veth in the making, by one thread from its first end to its last address.

    made ─▶ plugged, while the thread goes into the namespace ─▶ told what the end is to have ─▶ up

The container's end is down until then: it hears and says nothing, wherever the host's is plugged.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from netwright.agent.cni.abreast import Gate, wholly
from netwright.agent.cni.made import Fitting
from netwright.agent.cni.namespaces import (
    NamespaceGoneError,
    begin_apart,
    enter,
    identity,
    opened,
    require_containers,
)
from netwright.linux import links
from netwright.linux.checksums import disable_checksum_offload
from netwright.linux.codec import Request
from netwright.linux.netlink import Netlink, RefusedError
from netwright.linux.shaping import Limit, shape


class InterfaceExistsError(Exception):
    """The container has an interface of that name already."""


class Pair:
    """Both ends, as they are made.

    Errors are NamespaceGoneError, NamespaceUnfitError, InterfaceExistsError, OSError.
    """

    def __init__(self) -> None:
        self._gate = Gate[Fitting]()
        self._made = asyncio.get_running_loop().create_future()
        self._done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def made(self) -> None:
        """Return when both ends are there, the host's up: it may be plugged. Raises the errors."""
        await asyncio.wait({self._made, self._done}, return_when=asyncio.FIRST_COMPLETED)
        if not self._made.done():
            self._done.result()

    def furnish(self, fit: Fitting) -> None:
        """Let the container's end have all that it is to have, and be up.

        All that is ours stands for its port, whose device may be opened meanwhile.
        """
        self._gate.open(fit)

    async def furnished(self) -> str:
        """Which namespace it is in, when it was furnished. Raises the errors."""
        return await asyncio.shield(self._done)

    async def end(self) -> None:
        """Return when the thread has ended, whatever it still does. What was made is there."""
        self._gate.give_up()
        with suppress(Exception):
            await asyncio.shield(self._done)

    def has_ended(self) -> bool:
        """Whether the thread has. Its error, if any, counts as heard."""
        if not self._done.done():
            return False
        self._done.exception()
        return True

    def begin(self, fit: Fitting, netns: str, ifname: str, mark: str, *, checksums: bool) -> None:
        loop = asyncio.get_running_loop()

        def work() -> str:
            with opened(netns) as namespace:
                require_containers(namespace)
                _make(fit, namespace.fileno(), ifname, mark)
                loop.call_soon_threadsafe(self._made.set_result, None)
                inode = os.fstat(namespace.fileno()).st_ino
                enter(namespace)
            with Netlink() as netlink:
                end = _End(netlink, ifname)
                if not checksums:
                    disable_checksum_offload(ifname)
                found = identity()
                furnished = self._gate.wait()
                if furnished is not None:
                    _require_at(netns, inode)
                    end.furnish(furnished)
            return found

        self._done = begin_apart(work)


@asynccontextmanager
async def pair(
    fit: Fitting, netns: str, ifname: str, mark: str, *, checksums: bool
) -> AsyncIterator[Pair]:
    """What is begun goes on; at the end its thread has ended, and what it made is for `remove`.

    Of `fit` it needs device, MTU, and what is received.
    """
    found = Pair()
    found.begin(fit, netns, ifname, mark, checksums=checksums)
    try:
        yield found
    finally:
        if not found.has_ended():
            await wholly(found.end())


class _End:
    """The container's, in the thread that is inside."""

    def __init__(self, netlink: Netlink, ifname: str) -> None:
        try:
            self._index = socket.if_nametoindex(ifname)
        except OSError as error:
            raise NamespaceGoneError(ifname) from error
        self._netlink = netlink
        self._ifname = ifname
        netlink.tell([links.start("lo")])

    def furnish(self, fit: Fitting) -> None:
        """IPv6 is turned on before the interface is up: a runtime may have it off."""
        ifname, index = self._ifname, self._index
        if any(":" in one.address for one in fit.addresses):
            _write(f"/proc/sys/net/ipv6/conf/{ifname}/disable_ipv6", b"0")
        self._netlink.tell(
            [
                links.set_link(index, ifname, mac_address=fit.mac_address),
                *_limited(index, fit.sent, f"a limit of what {ifname} sends"),
            ]
        )
        self._netlink.tell(
            [
                links.start(ifname),
                *(
                    links.change_address(index, one.address, ifname, add=True)
                    for one in fit.addresses
                ),
                *(links.change_route(way.destination, way.nexthop, add=True) for way in fit.ways),
            ]
        )


def _make(fit: Fitting, namespace: int, ifname: str, mark: str) -> None:
    device = fit.device
    with Netlink() as netlink:
        try:
            netlink.tell([links.add_veth(device, ifname, namespace, fit.mtu, forwards=True)])
        except RefusedError as error:
            if error.errno == errno.EEXIST and netlink.get(links.get_link(device)) is None:
                raise InterfaceExistsError(ifname) from error
            raise
        try:
            # Asked for once while it is down, the kernel has dealt with the carrier that it lacks:
            # of one that is up, whoever asks first waits for an RCU grace period (ovs-vswitchd).
            netlink.tell([links.get_link(device), links.mark_forwarding(device, mark)])
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


def _write(path: str, value: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, value)
    finally:
        os.close(file)


def _require_at(netns: str, inode: int) -> None:
    """The thread holds its namespace: no other has that inode meanwhile."""
    try:
        is_there = os.stat(netns).st_ino == inode  # noqa: PTH116 - pathlib takes as long again
    except OSError:
        is_there = False
    if not is_there:
        raise NamespaceGoneError(f"{netns} is another one now, or gone")


def _limited(index: int, limit: Limit | None, what: str) -> Sequence[Request]:
    return () if limit is None else (shape(index, limit, what),)
