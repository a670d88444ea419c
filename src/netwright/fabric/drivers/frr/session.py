"""One task's connections to a switch: netlink by namespace, vty by daemon, BPF maps. Blocks.

Opened when first used and closed with the task: an open socket would keep a namespace alive that
somebody removed, and a daemon that started anew would not be noticed.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from netwright.fabric.drivers.bpf import kernel, programs
from netwright.fabric.drivers.bpf.kernel import Map
from netwright.fabric.drivers.frr.vty import Vty
from netwright.fabric.drivers.linux import filters, tokens
from netwright.fabric.drivers.linux.filters import Filter
from netwright.fabric.drivers.linux.node import Node
from netwright.linux import links
from netwright.linux.links import Link
from netwright.linux.netlink import Netlink

_OURS = "netwright-"


class Session:
    """A context: leaving it closes everything."""

    def __init__(self, node: Node, loopback: str) -> None:
        self.node = node
        self.loopback = loopback
        self._sockets: dict[str, Netlink] = {}
        self._daemons: dict[str, Vty] = {}
        self._maps: dict[str, Map] | None = None
        self._programs: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for netlink in self._sockets.values():
            netlink.close()
        for daemon in self._daemons.values():
            daemon.close()
        for map_ in (self._maps or {}).values():
            map_.close()
        for program in self._programs.values():
            os.close(program)

    def netlink(self, space: str) -> Netlink:
        if space not in self._sockets:
            self._sockets[space] = self.node.open_netlink(space)
        return self._sockets[space]

    def forget(self, space: str) -> None:
        """Closes what keeps a namespace alive."""
        if space in self._sockets:
            self._sockets.pop(space).close()

    def vty(self, daemon: str) -> Vty:
        if daemon not in self._daemons:
            self._daemons[daemon] = Vty(self.node.frr, daemon)
        return self._daemons[daemon]

    def link(self, space: str, name: str) -> Link | None:
        body = self.netlink(space).get(links.get_link(name))
        return links.parse_link(body) if body is not None else None

    def filters_at(
        self, space: str, indexes: Sequence[int], parent: int = filters.INGRESS
    ) -> dict[int, Filter]:
        """Ours on one side of these interfaces."""
        asked = [filters.get_filter(index, parent) for index in indexes]
        bodies = self.netlink(space).get_each(asked)
        found = {}
        for index, body in zip(indexes, bodies, strict=True):
            each = filters.parse_filter(body) if body is not None else None
            if each and each.priority == filters.PRIORITY and each.name.startswith(_OURS):
                found[index] = each
        return found

    def maps(self, known: Mapping[int, Filter], *, create: bool = False) -> Mapping[str, Map]:
        """Those of the programs that run on this switch; {} when none does, unless `create`."""
        if self._maps is None:
            self._maps = _running_maps(known)
        if create:
            for form in programs.MAPS:
                if form.name not in self._maps:
                    self._maps[form.name] = kernel.create_map(form)
        return self._maps

    def hand_over_maps(self) -> dict[str, Map]:
        """Those that were found; whoever takes them closes them."""
        found, self._maps = self._maps or {}, None
        return found

    def program(self, name: str, known: Mapping[int, Filter]) -> int:
        """A descriptor: of the one that runs already under this name, or loaded anew."""
        source = programs.TO_HOST if name == programs.TO_HOST else programs.FROM_HOST
        if source not in self._programs:
            running = next((each.program for each in known.values() if each.name == source), 0)
            try:
                self._programs[source] = kernel.program_by_id(running)
            except FileNotFoundError:  # none, or the last one has gone meanwhile
                maps = {n: m.descriptor for n, m in self.maps(known, create=True).items()}
                is_out = source == programs.TO_HOST
                program = programs.to_host() if is_out else programs.from_host()
                short = "nw_to_host" if is_out else "nw_from_host"
                self._programs[source] = kernel.load(short, program.assemble(maps))
        return self._programs[source]

    def sender_program(self, name: str, running: Iterable[Filter]) -> int:
        """A descriptor of the `own_sender` of a filter of this name, found as `program` does."""
        if name not in self._programs:
            number = next((each.program for each in running if each.name == name), 0)
            try:
                self._programs[name] = kernel.program_by_id(number)
            except FileNotFoundError:
                program = programs.own_sender(*programs.parse_own_sender_name(name))
                self._programs[name] = kernel.load("nw_own_sender", program.assemble({}))
        return self._programs[name]

    def token(self) -> int:
        """The highest that has written to the switch; 0: none."""
        return tokens.kept(self.netlink(""))


def _running_maps(known: Mapping[int, Filter]) -> dict[str, Map]:
    found: dict[str, Map] = {}
    for number in {each.program for each in known.values()}:
        if len(found) == len(programs.MAPS):
            break
        try:
            descriptor = kernel.program_by_id(number)
        except FileNotFoundError:  # it went after the filters were read
            continue
        for name, map_ in kernel.maps_of(descriptor, programs.MAPS).items():
            if name in found:
                map_.close()
            else:
                found[name] = map_
        os.close(descriptor)
    return found
