"""Operations, done on a switch one by one. Blocks; raises OSError at the first that fails."""

import errno
import os
import struct
from contextlib import suppress
from itertools import islice
from pathlib import Path

from netwright.fabric.config import Nat
from netwright.fabric.drivers.bpf import programs
from netwright.fabric.drivers.frr import nft, shows
from netwright.fabric.drivers.frr.observed import Observed
from netwright.fabric.drivers.frr.operations import (
    AcceptArp,
    AddBridge,
    AddEnd,
    AddNamespace,
    AddVeth,
    AddVxlan,
    Announce,
    Attach,
    ChangeAddress,
    ChangeRoute,
    Configure,
    DeleteLink,
    Detach,
    DisableChecksumOffload,
    Fence,
    Forget,
    HandOver,
    Lead,
    MapVlan,
    Operation,
    RemoveEnd,
    RemoveNamespace,
    Set,
    SetSender,
    SetTunnelPort,
    Silence,
    Translate,
)
from netwright.fabric.drivers.frr.session import Session
from netwright.fabric.drivers.frr.settling import wait_until
from netwright.fabric.drivers.frr.vty import VtyError
from netwright.fabric.drivers.linux import filters
from netwright.linux import arp, connections, links, tunnel_ends
from netwright.linux.checksums import disable_checksum_offload
from netwright.linux.codec import Request
from netwright.linux.links import Link
from netwright.linux.netlink import NETFILTER

_TOGETHER = 100  # answers stay far below the receive buffer
_ABSENT = (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)

VRF_SETTINGS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/fib_multipath_hash_policy": "1",
    "ipv6/conf/all/forwarding": "1",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_untracked_na": "1",
}
"""Of a VRF's namespace. Duplicate address detection is off: all leaves have the same gateway."""


class Workshop:
    """Carries out operations in one session; `observed` is what it looked like before them."""

    def __init__(self, session: Session, observed: Observed) -> None:
        self._session = session
        self._filters = dict(observed.filters)
        self._senders = [each for one in observed.spaces.values() for each in one.senders.values()]
        self._links: dict[tuple[str, str], Link] = {}

    def do(self, operation: Operation) -> None:  # noqa: C901, PLR0912 (one line an operation)
        match operation:
            case AddNamespace():
                self._add_namespace(operation)
            case RemoveNamespace(name):
                self._remove_namespace(name)
            case Configure():
                self._configure(operation)
            case AddBridge(space, name, alias, mac, mtu):
                self._tell(space, links.add_bridge(name, mac, mtu), links.mark(name, alias))
            case AddVxlan():
                self._add_vxlan(operation)
            case AddVeth():
                self._add_veth(operation)
            case Set():
                self._set(operation)
            case SetTunnelPort(space, name, learning):
                index = self._index(space, name)
                self._tell(space, links.set_tunnel_port(index, name, learning=learning))
            case SetSender():
                self._set_sender(operation)
            case AddEnd() | RemoveEnd() | Lead() | HandOver():
                self._lead(operation)
            case Forget(space, name):
                self._tell(space, links.flush_bridge_port(self._index(space, name), name))
            case AcceptArp(space, name):
                self._tell(space, links.set_arp_accept(self._index(space, name), name))
            case Silence(space, name):
                self._tell(space, links.silence(self._index(space, name), name))
            case DeleteLink(space, name):
                self._delete(space, name)
            case ChangeAddress():
                self._change_address(operation)
            case ChangeRoute(space, destination, nexthop, add):
                request = links.change_route(destination, nexthop, add=add)
                self._tell(space, request, absent_is_fine=not add)
            case Translate(space, name, nat):
                self._translate(space, name, nat)
            case Announce(space, name, address):
                self._announce(space, name, address)
            case Attach(name, filter_):
                self._attach(name, filter_)
            case Detach(name):
                self._detach(name)
            case DisableChecksumOffload(name):
                self._session.node.enter("")
                disable_checksum_offload(name)
            case MapVlan():
                self._map_vlan(operation)
            case Fence():
                self._fence(operation)

    def _add_namespace(self, operation: AddNamespace) -> None:
        self._session.node.add_namespace(operation.name, VRF_SETTINGS, operation.alias)
        # It looks when the directory tells; when it is quicker than the mount, a second later.
        # (`vrf NAME`, `netns NAME` at its vty does not find the namespace's number, and bars that.)
        wait_until(
            f"zebra lists VRF {operation.name}",
            lambda: operation.name in shows.active_vrfs(self._show("zebra", shows.SHOW_VRFS)),
        )

    def _remove_namespace(self, name: str) -> None:
        self._session.forget(name)
        self._session.node.remove_namespace(name)
        wait_until(
            f"zebra leaves VRF {name}",
            lambda: name not in shows.active_vrfs(self._show("zebra", shows.SHOW_VRFS)),
        )
        with suppress(VtyError):  # it knew it by the namespace alone
            self._session.vty("zebra").configure((f"no vrf {name}",))

    def _configure(self, operation: Configure) -> None:
        vty = self._session.vty(operation.daemon)
        if not operation.patient:
            vty.configure(operation.lines)
            return
        refusals: list[str] = []

        def attempt() -> bool:
            try:
                vty.configure(operation.lines)
            except VtyError as error:
                refusals.append(str(error))
                return False
            return True

        wait_until(f"{operation.daemon} takes `{operation.lines[-1]}`", attempt, refusals)

    def _add_vxlan(self, operation: AddVxlan) -> None:
        descriptor = self._session.node.open_namespace(operation.space)
        try:
            request = links.add_vxlan(
                operation.name,
                operation.vni,
                self._session.loopback,
                operation.mtu,
                descriptor,
            )
            wait_until(
                f"VNI {operation.vni} is free of other vxlan devices",
                lambda: self._is_made(request),
            )
        finally:
            os.close(descriptor)
        self._tell(operation.space, links.mark(operation.name, operation.alias))

    def _is_made(self, request: Request) -> bool:
        """Not while another has its VNI: that may be one of ours, going with its VRF."""
        try:
            self._tell("", request)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            return False
        return True

    def _add_veth(self, operation: AddVeth) -> None:
        descriptor = self._session.node.open_namespace(operation.space)
        try:
            request = links.add_veth(operation.outer, operation.inner, descriptor, operation.mtu)
            self._tell("", request, links.mark(operation.outer, operation.alias))
        finally:
            os.close(descriptor)
        self._tell(operation.space, links.mark(operation.inner, operation.alias))

    def _set(self, operation: Set) -> None:
        space, name = operation.space, operation.name
        master = operation.master
        index = self._index(space, name)
        descriptor = None
        if operation.move is not None:
            descriptor = self._session.node.open_namespace(operation.move)
        try:
            request = links.set_link(
                index,
                str(operation),
                up=operation.up,
                alias=operation.alias,
                mac_address=operation.mac_address,
                mtu=operation.mtu,
                master=self._index(space, master) if master else (None if master is None else 0),
                namespace=descriptor,
            )
            self._tell(space, request)
        finally:
            if descriptor is not None:
                os.close(descriptor)
                self._links.pop((space, name), None)
        if operation.up and space == "":
            _release(self._session, name)

    def _change_address(self, operation: ChangeAddress) -> None:
        """zebra hears of links and addresses on two sockets, and drops an address without a link.

        It never asks again. So it must know the link first, and show the address in the end.
        """  # noqa: D403 - its name
        space, name, address = operation.space, operation.name, operation.address
        index = self._index(space, name)
        if not operation.add:
            request = links.change_address(index, address, name, add=False)
            self._tell(space, request, absent_is_fine=True)
            return
        wait_until(f"zebra knows {name}", lambda: shows.is_known(self._interface(space, name)))
        self._tell(space, links.change_address(index, address, name, add=True))
        wait_until(
            f"zebra knows {address} on {name}",
            lambda: address in shows.addresses(self._interface(space, name)),
        )

    def _interface(self, space: str, name: str) -> str:
        """What zebra shows of it; that it cannot find it is no error here."""
        try:
            return self._show("zebra", shows.show_interface(name, space))
        except VtyError as error:
            return str(error)

    def _translate(self, space: str, name: str, nat: Nat | None) -> None:
        """What goes from a leaf to a leaf is routed: as frames of a bridge it would pass half."""
        self._session.node.enter(space)
        with suppress(FileNotFoundError):
            Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("0")
        self._session.node.nft(space, "-f", "-", said=nft.ruleset(name, nat))
        self._forget_connections(space, nat)

    def _forget_connections(self, space: str, nat: Nat | None) -> None:
        """Those that contradict what is translated now."""
        with self._session.node.open_netlink(space, NETFILTER) as netlink:
            found = map(connections.parse_connection, netlink.dump(connections.dump_connections()))
            forgotten = map(connections.forget, nft.contradicting(nat, found))
            while requests := list(islice(forgotten, _TOGETHER)):
                try:
                    netlink.tell(requests)
                except OSError as error:
                    if error.errno != errno.ENOENT:  # one ended by itself meanwhile
                        raise

    def _lead(self, operation: AddEnd | RemoveEnd | Lead | HandOver) -> None:
        """The kernel lets neither an end of ours nor an address take the other's place."""
        match operation:
            case AddEnd(address):
                self._tell("", *tunnel_ends.add_end(address))
            case RemoveEnd(address):
                self._tell("", tunnel_ends.remove_end(address), absent_is_fine=True)
            case Lead(space, name, mac, address) | HandOver(space, name, mac, address):
                index, is_ours = self._index(space, name), isinstance(operation, Lead)
                self._tell(space, tunnel_ends.remove_entry(index, mac), absent_is_fine=True)
                if address:
                    add = tunnel_ends.add_entry if is_ours else tunnel_ends.add_common_entry
                    self._tell(space, add(index, mac, address))

    def _delete(self, space: str, name: str) -> None:
        link = self._session.link(space, name)
        if link is not None:
            self._tell(space, links.delete_link(link.index, name), absent_is_fine=True)
        self._links.clear()

    def _announce(self, space: str, name: str, address: str) -> None:
        link = self._session.link(space, name)
        self._session.node.enter(space)
        if link is not None:
            arp.announce(name, link.mac_address, address.partition("/")[0])

    def _attach(self, name: str, filter_: str) -> None:
        index = self._hooked("", name)
        program = self._session.program(filter_, self._filters)
        self._tell("", filters.set_filter(index, filter_, program, name))

    def _set_sender(self, operation: SetSender) -> None:
        space, name, filter_ = operation.space, operation.name, operation.filter
        if not filter_:
            self._unhook(space, self._index(space, name), name, filters.EGRESS)
            return
        index = self._hooked(space, name)
        program = self._session.sender_program(filter_, self._senders)
        self._tell(space, filters.set_filter(index, filter_, program, name, filters.EGRESS))

    def _hooked(self, space: str, name: str) -> int:
        """The index of an interface that has the hook for filters."""
        index = self._index(space, name)
        try:
            self._tell(space, filters.add_hook(index, name))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        return index

    def _detach(self, name: str) -> None:
        link = self._session.link("", name)
        if link is not None:
            self._unhook("", link.index, name, filters.INGRESS)

    def _unhook(self, space: str, index: int, name: str, side: int) -> None:
        """Our filter goes, the hook as well, unless somebody else's filter is at it."""
        self._tell(space, filters.delete_filter(index, name, side), absent_is_fine=True)
        netlink = self._session.netlink(space)
        for parent in (filters.INGRESS, filters.EGRESS):
            if netlink.dump(filters.dump_filters(index, parent)):
                return
        self._tell(space, filters.delete_hook(index, name), absent_is_fine=True)

    def _map_vlan(self, operation: MapVlan) -> None:
        maps = self._session.maps(self._filters, create=operation.veth is not None)
        key = programs.tagged_key(operation.port, operation.vlan)
        tagged, ports = maps.get(programs.TAGGED.name), maps.get(programs.PORTS.name)
        if operation.veth is None:
            if tagged is not None:
                tagged.delete(key)
            if ports is not None:
                for veth in [veth for veth, place in ports.items() if place == key]:
                    ports.delete(veth)
            return
        assert tagged is not None
        assert ports is not None
        index = struct.pack("=I", self._index("", operation.veth))
        ports.put(index, key)
        tagged.put(key, index)

    def _fence(self, operation: Fence) -> None:
        maps = self._session.maps(self._filters, create=operation.port_id is not None)
        if programs.FENCED.name not in maps:
            return
        key = programs.fenced_key(operation.port, operation.sender)
        if operation.port_id is None:
            maps[programs.FENCED.name].delete(key)
        else:
            maps[programs.FENCED.name].put(key, operation.port_id.encode())

    def _index(self, space: str, name: str) -> int:
        if (space, name) not in self._links:
            link = self._session.link(space, name)
            if link is None:
                raise OSError(errno.ENODEV, f"no interface {name} in {space or 'the switch'}")
            self._links[space, name] = link
        return self._links[space, name].index

    def _tell(self, space: str, *requests: Request, absent_is_fine: bool = False) -> None:
        try:
            self._session.netlink(space).tell(requests)
        except OSError as error:
            if not (absent_is_fine and error.errno in _ABSENT):
                raise

    def _show(self, daemon: str, line: str) -> str:
        return self._session.vty(daemon).ask(line)


def _release(session: Session, port: str) -> None:
    """A port that the switch left down when it started has been raised: it is not held any more."""
    path = session.node.hold
    try:
        names = path.read_text().split()
    except FileNotFoundError:
        return
    if port not in names:
        return
    left = [each for each in names if each != port]
    if not left:
        path.unlink(missing_ok=True)
        return
    part = path.with_name(".hold.part")
    part.write_text("".join(f"{each}\n" for each in left))
    part.replace(path)
