"""A container's veth: made, read and removed by netlink; no process is started.

What happens inside a container's namespace happens in a thread that enters it (setns is per thread)
and ends there: no thread of the agent's is ever left in a namespace that is not its own.
"""

import errno
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from netwright.agent.cni import pairs
from netwright.agent.cni.made import DEVICE_PREFIX, Fitting, Seen, Way
from netwright.agent.cni.namespaces import NamespaceGoneError, apart, enter, identity, opened
from netwright.agent.cni.pairs import Pair
from netwright.linux import links
from netwright.linux.netlink import Netlink, RefusedError

_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESRCH})


class Kernel:
    """What is asked of this host's kernel. `checksums` false turns their offload off inside.

    Open vSwitch's userspace datapath takes frames as they leave the container, before any NIC
    could have completed a checksum.
    """

    def __init__(self, *, checksums: bool) -> None:
        self._checksums = checksums

    def pair(
        self, fit: Fitting, netns: str, ifname: str, mark: str
    ) -> AbstractAsyncContextManager[Pair]:
        """A veth with one end in that namespace, as `pairs.pair` makes it."""
        return pairs.pair(fit, netns, ifname, mark, checksums=self._checksums)

    async def read(self, netns: str, ifname: str) -> Seen | None:
        """The container's end as it is; None when it is not there. Raises NamespaceGoneError."""

        def work() -> Seen | None:
            with opened(netns) as namespace:
                enter(namespace)
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
                with opened(netns) as namespace:
                    enter(namespace)
            except NamespaceGoneError as gone:
                error = gone.__cause__
                if isinstance(error, OSError) and error.errno not in _NOTHING_THERE:
                    raise error from None
                return ""
            except OSError as error:
                if error.errno != errno.EINVAL:  # an empty file is left of it
                    raise
                return ""
            return identity()

        return await apart(work)


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
