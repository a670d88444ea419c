"""The driver `core`: gateways of provider networks, and static routes, on a Linux core router."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from netwright.fabric.changes import Change
from netwright.fabric.config import Route, VlanGateway
from netwright.fabric.drivers.base import Actual, Learned
from netwright.fabric.drivers.core import reading
from netwright.fabric.drivers.core.ovsdb import Ovsdb
from netwright.fabric.drivers.core.reading import Core
from netwright.fabric.drivers.linux import marks, tokens
from netwright.fabric.drivers.linux.node import ProcessNode
from netwright.fabric.drivers.wording import element_words
from netwright.linux import links
from netwright.linux.checksums import disable_checksum_offload
from netwright.linux.links import KernelRoute, Link
from netwright.linux.netlink import Netlink
from netwright.model.errors import DeviceError
from netwright.reasons import reason

T = TypeVar("T")
_MTU = 1500
_WATCH_S = 1.0
_GATEWAY_SETTINGS = {
    "ipv6/conf/{}/disable_ipv6": "0",
    "ipv6/conf/{}/accept_dad": "0",
    "ipv4/conf/{}/arp_notify": "1",
    "ipv4/conf/{}/send_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
}
"""Of an interface that is made. Hosts that a redirect sends to a VPC's way out remember its address
for minutes, also when it has gone. `all` turns them on everywhere; off, each interface has its own.
"""
_ABSENT = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)


class RefusedError(Exception):
    """Something stands in a change's way; the text names it and says what to do."""


class CoreDriver:
    """`directory` has the router's `pid`, and its line card's database as `ovs/db.sock`."""

    def __init__(self, name: str, directory: Path) -> None:
        self._name = name
        self._node = ProcessNode(directory)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"switch-{name}")

    async def read(self) -> Actual:
        return await self._run(self._read)

    async def apply(self, changes: Sequence[Change], *, token: int) -> None:
        await self._run(lambda session: self._apply(session, changes, token))

    async def learned(self, vnis: Sequence[int]) -> Mapping[int, Learned]:
        """A core takes no part in EVPN."""
        del vnis
        return {}

    async def watch(self) -> AsyncIterator[None]:
        """Looks each second: a core has a handful of interfaces."""
        before: Actual | str | None = None
        while True:
            now: Actual | str
            try:
                now = await self.read()
            except DeviceError as error:
                now = str(error)
            if now != before:
                before = now
                yield
            await asyncio.sleep(_WATCH_S)

    async def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _read(self, session: "_Session") -> Actual:
        core = session.observe()
        return Actual(
            config=reading.config(core),
            links={
                link.name: link.is_up and link.has_carrier
                for link in core.links.values()
                if link.name != "lo" and marks.read(link.alias) is None
            },
            boot_id=self._node.boot_id(),
            token=session.token(),
        )

    def _apply(self, session: "_Session", changes: Sequence[Change], token: int) -> None:
        session.hold_token(token, self._name)
        for change in changes:
            session.hold_token(token, self._name)
            try:
                session.carry_out(change)
            except (OSError, RefusedError) as error:
                raise DeviceError(
                    f"switch {self._name}, {element_words(change)}: {error}. What stands now is "
                    "read back; the change is tried again."
                ) from error

    async def _run(self, work: "Callable[[_Session], T]") -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, work)

    def _do(self, work: "Callable[[_Session], T]") -> T:
        try:
            session = _Session(self._node)
            try:
                return work(session)
            finally:
                session.close()
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"switch {self._name} does not answer {self._node.where}: {reason(error)}. "
                "Is it running, and its address in the inventory right?"
            ) from error


class _Session:
    """One task's connections: netlink in the router's namespace, its line card's database."""

    def __init__(self, node: ProcessNode) -> None:
        self._node = node
        self._netlink: Netlink = node.open_netlink("")
        try:
            self._ovsdb = Ovsdb(node.directory / "ovs" / "db.sock")
        except OSError:
            self._netlink.close()
            raise

    def close(self) -> None:
        self._netlink.close()
        self._ovsdb.close()

    def observe(self) -> Core:
        netlink = self._netlink
        found = map(links.parse_link, netlink.dump(links.dump_links()))
        addresses: dict[int, tuple[str, ...]] = {}
        for address in map(links.parse_address, netlink.dump(links.dump_addresses())):
            if address is not None:
                held = addresses.get(address.index, ())
                addresses[address.index] = tuple(sorted({*held, address.address}))
        routes = map(links.parse_route, netlink.dump(links.dump_routes()))
        return Core(
            links={link.index: link for link in found},
            addresses=addresses,
            routes=frozenset(route for route in routes if route is not None),
            ports=self._ovsdb.ports(),
        )

    def carry_out(self, change: Change) -> None:
        match change.before, change.after:
            case Route() as before, after if after is None or isinstance(after, Route):
                self._route(before, add=False)
                if after is not None:
                    self._route(after, add=True)
            case None, Route() as route:
                self._route(route, add=True)
            case before, VlanGateway() as gateway:
                if isinstance(before, VlanGateway) and before.key != gateway.key:
                    self._remove(before)
                self._ensure(gateway)
            case VlanGateway() as gateway, None:
                self._remove(gateway)
            case _:
                raise RefusedError("a core has gateways and routes alone: correct the plan")

    def token(self) -> int:
        return tokens.kept(self._netlink)

    def hold_token(self, token: int, switch: str) -> None:
        tokens.hold(self._netlink, token, switch)

    def _ensure(self, gateway: VlanGateway) -> None:
        if gateway.vrf is not None:
            raise RefusedError(f"a core has no VRF {gateway.vrf}: correct the plan")
        core = self.observe()
        if reading.config(core).gateways.get(gateway.key) == gateway:
            return
        link = core.find(gateway.interface)
        if link is not None and marks.read(link.alias) is None:
            self._adopt(core, link, gateway)
            return
        self._make(core, link, gateway)

    def _adopt(self, core: Core, link: Link, gateway: VlanGateway) -> None:
        """Its owner made the interface: what it has beside what is ours stays."""
        wanted, held = set(gateway.addresses), set(core.addresses.get(link.index, ()))
        ours = set(reading.added_by_us(core, link))
        names = {reading.adopted_name(gateway)} | {
            reading.address_name(each, was_found=each in held - ours) for each in wanted
        }
        stale = {each for each in link.alternative_names if each.startswith("netwright")} - names
        for name in sorted(names - set(link.alternative_names)):
            self._netlink.tell([links.change_alternative_name(link.index, name, add=True)])
        for address in sorted(ours - wanted):
            self._address(link, address, add=False)
        for name in sorted(stale):
            self._netlink.tell([links.change_alternative_name(link.index, name, add=False)])
        for address in sorted(wanted - held):
            self._address(link, address, add=True)
        if not link.is_up:
            self._netlink.tell([links.set_link(link.index, link.name, up=True)])

    def _make(self, core: Core, link: Link | None, gateway: VlanGateway) -> None:
        bridge, _, vlan = gateway.interface.rpartition(".")
        if not bridge or vlan != str(gateway.vlan) or bridge not in self._ovsdb.bridges():
            raise RefusedError(
                f"there is no interface {gateway.interface}, and it is not BRIDGE.VLAN of a line "
                "card: name one or the other in the inventory's gateways"
            )
        end, tag = reading.access_port(gateway.interface), int(vlan)
        port = core.ports.get(end)
        if link is not None and (other := core.find(end)) and other.peer != link.index:
            self._delete(gateway.interface)
            link = None
        if link is None:
            self._delete(end)
            self._ovsdb.remove_port(end)  # else the daemon would hold on to the end that was
            self._ovsdb.settle()
            port = None
            descriptor = self._node.open_namespace("")
            try:
                pair = links.add_veth(gateway.interface, end, descriptor, _MTU)
                mark = links.mark(gateway.interface, reading.alias(gateway))
                self._netlink.tell([pair, mark, links.mark(end, marks.write(access=tag))])
            finally:
                os.close(descriptor)
            self._node.enter("")
            disable_checksum_offload(gateway.interface)
            disable_checksum_offload(end)
            for setting, value in _GATEWAY_SETTINGS.items():
                Path("/proc/sys/net", setting.format(gateway.interface)).write_text(value)
        if port is None or (port.bridge, port.tag, port.is_ours) != (bridge, tag, True):
            self._ovsdb.remove_port(end)
            self._ovsdb.add_access_port(bridge, end, tag)
            self._ovsdb.settle()
        made, other = self._found(gateway.interface), self._found(end)
        self._netlink.tell(
            [
                links.silence(other.index, end),
                links.set_link(other.index, end, up=True),
                links.set_link(
                    made.index,
                    made.name,
                    up=True,
                    alias=reading.alias(gateway),
                    mac_address=gateway.mac_address or reading.stable_mac(gateway),
                ),
            ]
        )
        held, wanted = set(core.addresses.get(made.index, ())), set(gateway.addresses)
        for address in sorted(held - wanted):
            self._address(made, address, add=False)
        for address in sorted(wanted - held):
            self._address(made, address, add=True)

    def _remove(self, gateway: VlanGateway) -> None:
        core = self.observe()
        link = core.find(gateway.interface)
        port = core.ports.get(reading.access_port(gateway.interface))
        if port is not None and port.is_ours:
            self._ovsdb.remove_port(port.name)
        if link is None:
            return
        if marks.read(link.alias) is not None:
            self._delete(link.name)
            return
        for address in reading.added_by_us(core, link):
            self._address(link, address, add=False)
        for name in link.alternative_names:
            if name.startswith("netwright"):
                self._netlink.tell([links.change_alternative_name(link.index, name, add=False)])

    def _route(self, route: Route, *, add: bool) -> None:
        if route.vrf is not None:
            raise RefusedError(f"a core has no VRF {route.vrf}: correct the plan")
        known = KernelRoute(route.destination, route.nexthop)
        if (known in self.observe().routes) != add:
            self._netlink.tell([links.change_route(route.destination, route.nexthop, add=add)])

    def _address(self, link: Link, address: str, *, add: bool) -> None:
        try:
            self._netlink.tell([links.change_address(link.index, address, link.name, add=add)])
        except OSError as error:
            if add or error.errno not in _ABSENT:
                raise

    def _delete(self, name: str) -> None:
        if (link := self._link(name)) is not None:
            if marks.read(link.alias) is None:
                raise RefusedError(f"an interface {name} is not ours: rename or remove it")
            self._netlink.tell([links.delete_link(link.index, name)])

    def _link(self, name: str) -> Link | None:
        body = self._netlink.get(links.get_link(name))
        return links.parse_link(body) if body is not None else None

    def _found(self, name: str) -> Link:
        if (link := self._link(name)) is None:
            raise OSError(errno.ENODEV, f"no interface {name}")
        return link
